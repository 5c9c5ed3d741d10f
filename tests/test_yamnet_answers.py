"""YAMNet's known answers: from files to tags and scores, beside the plain YAMNet of `plain_yamnet`.

The stand-in weights are random ones whose classifier is solved for, so that the answers to a few generated
clips are known. With HF_AUDIO_TAGGER_MEDIA, the packaged weights on real clips are compared as well.
"""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
import torchaudio
from datasets import Dataset
from packaged_weights import PACKAGED, read_packaged
from plain_yamnet import RATE_HZ, run_plain_yamnet
from random_weights import patches_of, sigmoid, unprepared_yamnet
from sound_files import H264, KINDS, write_sound

from hf_audio_tagger import build_tagger, ontology
from hf_audio_tagger.demo.sounds import synthesize

KNOWN_LOGIT = 2.0  # a score of 0.88; its opposite: 0.12
CLASSES = [category.name for category in ontology.yamnet_classes()]
CLIPS = {  # the sound, its rate, the levels of its channels, how it is stored
    "stereo.mp4": ("Siren", 44_100, (0.9, 0.3), H264),
    "mono.mp4": ("Church bell", 44_100, (0.8,), H264),
    "noise.wav": ("White noise", 16_000, (0.5,), KINDS["wav-pcm_s16le"]),
    "vorbis.ogg": ("Dial tone", 22_050, (0.7, 0.7), KINDS["ogg-vorbis"]),
    "clicks.webm": ("Clicking", 48_000, (0.9,), KINDS["webm-libopus"]),
}
REAL_CLIPS = ("video1.mp4", "video4.mp4")

State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for seed, (name, (label, rate_hz, levels, kind)) in enumerate(CLIPS.items(), start=100):
        sound = np.array(levels, np.float32)[:, None] * synthesize(label, 5.0, rate_hz, seed)
        write_sound(folder / name, sound, rate_hz=rate_hz, kind=kind)
    return folder


def decoded(path: Path) -> np.ndarray:
    """The whole sound of a file, mono at 16 kHz, by PyAV and torchaudio alone."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        planar = av.AudioResampler(format="fltp")
        frames = [part.to_ndarray() for frame in container.decode(stream) for part in planar.resample(frame)]
        mono = torch.from_numpy(np.concatenate(frames, axis=1).mean(axis=0))
        # torchaudio.functional would compute the filter in float32.
        return torchaudio.transforms.Resample(stream.rate, RATE_HZ)(mono).numpy()


@pytest.fixture(scope="module")
def state(folder: Path) -> State:
    """Random layers, and a classifier that gives every window of a clip the logit KNOWN_LOGIT for its sound.

    All other logits are its opposite. It is solved for from the plain YAMNet's embeddings: so many weights
    meet so few windows to the last digits.
    """
    state = dict(unprepared_yamnet(0).state_dict())
    windows = [patches_of(decoded(folder / name)) for name in CLIPS]
    embeddings, _ = run_plain_yamnet(state, np.concatenate(windows))
    inputs = np.hstack([embeddings, np.ones((len(embeddings), 1))]).astype(np.float64)
    logits = np.full((len(embeddings), len(CLASSES)), -KNOWN_LOGIT)
    labels = [CLASSES.index(label) for label, *_ in CLIPS.values()]
    logits[np.arange(len(logits)), np.repeat(labels, [len(each) for each in windows])] = KNOWN_LOGIT
    fitted = torch.from_numpy(np.linalg.lstsq(inputs, logits, rcond=1e-6)[0]).float()
    return {**state, "classifier.weight": fitted[:-1].T.contiguous(), "classifier.bias": fitted[-1]}


@pytest.fixture(scope="module")
def weights(state: State, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "yamnet.pth"
    torch.save(state, path)
    return path


def assert_plain_scores(path: Path, weights: Path, state: State, atol: float) -> None:
    """Every class's mean score over the clip, and the embedding, are the plain YAMNet's."""
    tagger = build_tagger("yamnet", weights=weights, top_k=len(CLASSES), embeddings=True, decoder="pyav")
    (result,) = tagger.classify(str(path))
    embeddings, logits = run_plain_yamnet(state, patches_of(decoded(path)))
    scores = sigmoid(logits).mean(axis=0)
    assert result.top is not None
    assert result.tag == CLASSES[scores.argmax()]
    found: dict[str, Any] = dict(result.top)
    np.testing.assert_allclose([found[label] for label in CLASSES], scores, atol=atol)
    np.testing.assert_allclose(result.embedding, embeddings.mean(axis=0), atol=10 * atol)


@pytest.mark.parametrize("name", CLIPS)
def test_scores_are_the_plain_yamnets(folder: Path, name: str, weights: Path, state: State) -> None:
    assert_plain_scores(folder / name, weights, state, atol=1e-3)


def test_known_sounds_get_their_tags_and_scores(folder: Path, weights: Path) -> None:
    ds = Dataset.from_dict({"video": [str(folder / name) for name in CLIPS]})
    tagged = ds.map(build_tagger("yamnet", weights=weights, top_k=2), batched=True)
    assert tagged["video_audio_tags"][:] == [[label] for label, *_ in CLIPS.values()]
    expected = sigmoid(np.array([KNOWN_LOGIT, -KNOWN_LOGIT]))
    for [top] in tagged["video_audio_top"]:
        assert [one["score"] for one in top] == pytest.approx(expected, abs=0.02)


@pytest.mark.real_media
@pytest.mark.parametrize("name", REAL_CLIPS)
def test_scores_of_the_packaged_weights_are_the_plain_yamnets(real_media: Path, name: str) -> None:
    assert_plain_scores(real_media / name, PACKAGED, read_packaged(), atol=1e-3)
