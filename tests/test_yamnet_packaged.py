"""YAMNet from the package alone: its weights, their identity, its answers to sounds like real ones."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from natural_sounds import RATE_HZ, make_music, make_noise, make_speech
from packaged_weights import PACKAGED, read_packaged
from plain_yamnet import run_plain_yamnet
from random_weights import patches_of, sigmoid
from sound_files import H264, write_sound

from hf_audio_tagger import ModelError, build_tagger, export_predictions
from hf_audio_tagger.cli.wording import SETTINGS, use_options
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.models.families.pretrained import explain_failure
from hf_audio_tagger.models.networks.yamnet import read_network

SECONDS = 4.0
CONTENT = "5d5db755bbc56cc81d11f5d36b296723"
ANSWERS = {  # the best labels with their scores
    "speech": {"Speech": 0.47},
    "music": {"Music": 0.98, "Electric piano": 0.22, "Piano": 0.17, "Keyboard (musical)": 0.16},
    "noise": {"Static": 0.46, "Noise": 0.34, "White noise": 0.33},
    "telephone": {"Telephone": 0.92, "Alarm": 0.82, "Dial tone": 0.79},
    "silence": {"Silence": 0.79},
}


@cache
def make_sound(name: str) -> np.ndarray:
    if name == "silence":
        return np.zeros(round(SECONDS * RATE_HZ), np.float32)
    if name == "telephone":
        return synthesize("Dial tone", SECONDS, RATE_HZ, 3)
    return {"speech": make_speech, "music": make_music, "noise": make_noise}[name](SECONDS)


@pytest.fixture(autouse=True)
def _offline(weights_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No weights but those of the package, and no network."""
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("it asked for a file"))


@pytest.fixture(scope="module")
def plain_scores() -> dict[str, np.ndarray]:
    """The mean score of every class, by the plain YAMNet."""
    state = read_packaged()
    outputs = {name: run_plain_yamnet(state, patches_of(make_sound(name))) for name in ANSWERS}
    return {name: sigmoid(logits).mean(axis=0) for name, (_, logits) in outputs.items()}


@pytest.mark.parametrize("name", ANSWERS)
def test_sounds_get_the_labels_that_a_person_would_give(
    name: str, plain_scores: dict[str, np.ndarray]
) -> None:
    tagger = build_tagger("yamnet", top_k=521, device="cpu")
    (result,) = tagger.classify({"array": make_sound(name), "sampling_rate": RATE_HZ})
    assert result.top is not None
    best = dict(result.top[: len(ANSWERS[name])])
    assert result.tag == next(iter(best))
    assert best == pytest.approx(ANSWERS[name], abs=0.03)
    scores = dict(result.top)
    np.testing.assert_allclose([scores[label] for label in tagger.labels], plain_scores[name], atol=1e-3)


def test_videos_are_tagged_from_the_package_alone(tmp_path: Path) -> None:
    clips = {"speech": "Speech", "music": "Music", "telephone": "Telephone"}
    for name in clips:
        loud = np.stack([make_sound(name)] * 2)
        write_sound(tmp_path / f"{name}.mp4", loud, rate_hz=RATE_HZ, kind=H264)
    ds = Dataset.from_dict({"video": [str(tmp_path / f"{name}.mp4") for name in clips]})
    assert ds.map(build_tagger("yamnet"))["video_audio_tags"][:] == [[label] for label in clips.values()]
    summary = export_predictions(tmp_path, tmp_path / "labelled")  # yamnet is its default
    assert (summary.labelled, summary.failed) == (3, 0)


def test_the_identity_is_that_of_the_content(tmp_path: Path) -> None:
    tagger = build_tagger("yamnet")
    assert CONTENT in repr(tagger.identity())
    assert str(PACKAGED.parent) not in repr(tagger.identity())
    copy = tmp_path / "mine.safetensors"
    copy.write_bytes(PACKAGED.read_bytes())
    assert build_tagger("yamnet", weights=copy).identity() == tagger.identity()
    copy.write_bytes(copy.read_bytes()[:-1] + b"\0")
    assert build_tagger("yamnet", weights=copy).identity() != tagger.identity()


@pytest.mark.parametrize("content", [b"\x10\0\0\0\0\0\0\0{", b"\xff\xff\xff\xff\xff\xff\xff\x7f{}", None])
def test_a_damaged_file_is_refused(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "yamnet.safetensors"
    path.write_bytes(PACKAGED.read_bytes()[:-1] if content is None else content)
    with pytest.raises(ModelError, match=r"yamnet\.safetensors is refused"):
        read_network(path)


def test_notice_and_licence_lie_beside_the_weights() -> None:
    assert "Google" in (PACKAGED.parent / "NOTICE").read_text("utf-8")
    licence = (PACKAGED.parent / "LICENSE").read_text("utf-8")
    assert "Apache License" in licence
    assert "Version 2.0" in licence


def test_where_another_model_cannot_be_loaded_the_error_names_it() -> None:
    """It never stands in by itself."""
    spec = build_tagger().spec
    with pytest.raises(ModelError, match="no network here") as caught, explain_failure(spec):
        raise OSError("no network here")
    assert 'build_tagger("yamnet") is packaged' in str(caught.value)
    assert "--model yamnet is packaged" in use_options(str(caught.value), SETTINGS)


@pytest.mark.real_models
def test_the_packaged_weights_are_the_float_ones(real_models: Path) -> None:
    ours, floats = (read_network(path).state_dict() for path in (PACKAGED, real_models / "yamnet.pth"))
    assert ours.keys() == floats.keys()
    assert all(torch.equal(ours[name], floats[name]) for name in floats)
    for name in ("speech", "music"):
        clip = {"array": make_sound(name), "sampling_rate": RATE_HZ}
        taggers = [
            build_tagger("yamnet", weights=weights, top_k=521, device="cpu")
            for weights in (None, real_models / "yamnet.pth")
        ]
        assert taggers[0].classify(clip)[0].top == taggers[1].classify(clip)[0].top
