"""The synthesized sounds, the videos made of them, and the checkpoint that names them."""

import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

from hf_audio_tagger.demo import CHECKPOINT
from hf_audio_tagger.demo.sounds import LABELS, synthesize
from hf_audio_tagger.demo.videos import NO_AUDIO, UNREADABLE, write_demo_videos, write_video
from tools.train_demo.evaluate import FIRST_TEST_SEED, evaluate, sequence_trials, single_trials

MIB = 2**20
OTHER_SEEDS = FIRST_TEST_SEED + 500_000  # neither trained on nor in the model card's figures

AUDIOSET_NAMES = {
    "Beep, bleep",
    "Busy signal",
    "Chirp tone",
    "Church bell",
    "Clicking",
    "Cricket",
    "Dial tone",
    "Heart sounds, heartbeat",
    "Mains hum",
    "Music",
    "Pink noise",
    "Silence",
    "Sine wave",
    "Siren",
    "Speech",
    "Tick-tock",
    "White noise",
    "Wind",
}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Clips are short: a second thread gains little, and waits where the machine is shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model():
    return AutoModelForAudioClassification.from_pretrained(CHECKPOINT)


@pytest.fixture(scope="module")
def extractor():
    return AutoFeatureExtractor.from_pretrained(CHECKPOINT)


def test_labels_are_audioset_names() -> None:
    assert set(LABELS) == AUDIOSET_NAMES
    assert list(LABELS) == sorted(LABELS)


@pytest.mark.parametrize("label", LABELS)
def test_a_sound_is_its_seeds(label: str) -> None:
    first, again, other = (synthesize(label, 1.5, 16_000, seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    assert first.dtype == np.float32
    assert first.shape == (24_000,)
    assert np.abs(first).max() <= 1.0
    if label == "Silence":
        assert np.abs(first).max() < 1e-3
    else:
        assert np.abs(first).max() > 0.02
        assert not np.array_equal(first, other)


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize(("seconds", "rate_hz"), [(0.0, 16_000), (1 / 16_000, 16_000), (0.01, 8_000)])
def test_a_sound_may_be_very_short(label: str, seconds: float, rate_hz: int) -> None:
    sound = synthesize(label, seconds, rate_hz, seed=0)
    assert sound.shape == (round(seconds * rate_hz),)
    assert np.isfinite(sound).all()


def test_an_unknown_sound_is_refused() -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        synthesize("Vuvuzela", 1.0, 16_000, seed=0)


@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_video_has_the_streams_asked_for(tmp_path: Path, rate_hz: int, channels: int) -> None:
    sound = synthesize("Music", 2.0, rate_hz, seed=1)
    path = tmp_path / "clip.mp4"
    write_video(path, sound if channels == 1 else np.stack([sound, sound]), rate_hz, size=(32, 16))
    with av.open(str(path)) as container:
        (video,), (audio,) = container.streams.video, container.streams.audio
        assert (video.width, video.height) == (32, 16)
        assert (audio.rate, audio.channels, audio.codec_context.name) == (rate_hz, channels, "aac")
        decoded = np.concatenate([f.to_ndarray() for f in container.decode(audio=0)], axis=1)
    assert decoded.shape[1] == pytest.approx(2.0 * rate_hz, abs=3 * 1024)


def test_a_video_without_sound(tmp_path: Path) -> None:
    write_video(tmp_path / "mute.mp4", None, 44_100, seconds=3.0)
    with av.open(str(tmp_path / "mute.mp4")) as container:
        assert not container.streams.audio
        assert sum(1 for _ in container.decode(video=0)) == 6


def test_a_video_of_five_channels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="5 channels"):
        write_video(tmp_path / "clip.mp4", np.zeros((5, 100), np.float32), 44_100)


def test_demo_videos(tmp_path: Path) -> None:
    videos = write_demo_videos(tmp_path, seed=3)
    expected = [video.expected for video in videos]
    assert len(videos) == 12
    assert expected.count(NO_AUDIO) == expected.count(UNREADABLE) == 1
    assert set(expected) <= {*LABELS, NO_AUDIO, UNREADABLE}
    for video in videos:
        if video.expected == UNREADABLE:
            with pytest.raises(av.FFmpegError):
                av.open(str(video.path))
        else:
            with av.open(str(video.path)) as container:
                assert bool(container.streams.audio) == (video.expected != NO_AUDIO)


def test_the_checkpoint_is_small_and_complete() -> None:
    names = {path.name for path in CHECKPOINT.iterdir()}
    assert names >= {"config.json", "preprocessor_config.json", "model.safetensors", "README.md"}
    assert sum(path.stat().st_size for path in CHECKPOINT.iterdir()) < 4 * MIB
    config = json.loads((CHECKPOINT / "config.json").read_text(encoding="utf-8"))
    assert config["problem_type"] == "multi_label_classification"
    assert tuple(config["id2label"][str(index)] for index in range(len(LABELS))) == LABELS
    assert config["label2id"] == {label: index for index, label in enumerate(LABELS)}


def test_importing_the_demo_imports_nothing_heavy() -> None:
    code = (
        "import sys, hf_audio_tagger; before = set(sys.modules); import hf_audio_tagger.demo; "
        "print((set(sys.modules) - before) & {'av', 'numpy', 'torch', 'transformers'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("trials", [60, pytest.param(200, marks=pytest.mark.campaign)])
def test_the_checkpoint_names_sounds_in_videos(model, extractor, trials: int) -> None:
    score = evaluate(model, extractor, single_trials(trials, seconds=(2.0, 5.0), seed=OTHER_SEEDS))
    assert score.trials == trials
    assert score.accuracy >= 0.95, str(score)


@pytest.mark.timeout(120)
def test_the_checkpoint_names_each_window_of_a_long_clip(model, extractor) -> None:
    score = evaluate(model, extractor, sequence_trials(12, seed=OTHER_SEEDS))
    assert score.trials == 24
    assert score.accuracy >= 0.95, str(score)
