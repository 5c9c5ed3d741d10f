"""Windows: which are scored, where they lie, and that the scores are transformers' own."""

from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

from hf_audio_tagger import build_tagger
from hf_audio_tagger.cells import SamplesMedia
from hf_audio_tagger.demo import CHECKPOINT
from hf_audio_tagger.demo.sounds import LABELS, synthesize
from hf_audio_tagger.demo.videos import write_video
from hf_audio_tagger.media.sound import SamplesSound
from hf_audio_tagger.models import ModelSpec, get_model
from hf_audio_tagger.windows import Window, cut_windows, slide_windows, spread_starts

WINDOW, HOP = 164_080, 163_840  # AST: 1,024 frames at 16 kHz, and the next 1,024


def sequence(*labels: str, seconds: float = 10.0, rate_hz: int = 16_000) -> np.ndarray:
    return np.concatenate(
        [synthesize(label, seconds, rate_hz, 500 + seed) for seed, label in enumerate(labels)]
    )


def cell(waveform: np.ndarray, rate_hz: int = 16_000) -> dict[str, Any]:
    return {"array": waveform, "sampling_rate": rate_hz}


def transformers_scores(waveform: np.ndarray) -> np.ndarray:
    """Sigmoids of the demo model by transformers alone."""
    extractor = AutoFeatureExtractor.from_pretrained(CHECKPOINT)
    model = AutoModelForAudioClassification.from_pretrained(CHECKPOINT).eval()
    with torch.no_grad():
        logits = model(**extractor(waveform, sampling_rate=16_000, return_tensors="pt")).logits
    return torch.sigmoid(logits.double())[0].numpy()


def test_scores_are_a_straightforward_recomputation_with_transformers() -> None:
    waveform = sequence("Siren", "Dial tone", "Clicking", seconds=9.0)
    windows = [waveform[start : start + WINDOW] for start in range(0, len(waveform), HOP)]
    scores = np.stack([transformers_scores(window) for window in windows])
    tagger = build_tagger("demo", windows="all", top_k=len(LABELS), segments=True)
    result = tagger.classify(cell(waveform))[0]
    assert result.top is not None
    assert result.segments is not None
    mean = dict(zip(tagger.labels, scores.mean(axis=0), strict=True))
    assert [label for label, _ in result.top] == sorted(mean, key=lambda label: -mean[label])
    assert max(abs(score - mean[label]) for label, score in result.top) < 1e-4
    leaders = [tagger.labels[int(row.argmax())] for row in scores]
    assert [segment.label for segment in result.segments] == [label for label, _ in groupby(leaders)]
    first = build_tagger("demo", top_k=len(LABELS)).classify(cell(waveform))[0]
    assert first.top is not None
    assert (
        max(abs(score - dict(zip(tagger.labels, scores[0], strict=True))[name]) for name, score in first.top)
        < 1e-4
    )


def test_two_sounds_give_two_segments_with_the_border_within_a_window(tmp_path: Path) -> None:
    path = tmp_path / "two.mp4"
    write_video(path, sequence("Siren", "White noise", rate_hz=44_100), 44_100)
    result = build_tagger("demo", windows="all", segments=True).classify(path)[0]
    assert result.segments is not None
    assert [segment.label for segment in result.segments] == ["Siren", "White noise"]
    siren, noise = result.segments
    assert siren.start == 0
    assert abs(siren.end - 10.0) < 10.24
    assert siren.end == noise.start
    assert abs(noise.end - 20.0) < 0.1
    fine = build_tagger("demo", windows="all", hop_seconds=2.0, segments=True).classify(path)[0]
    assert fine.segments is not None
    assert {segment.label for segment in fine.segments} >= {"Siren", "White noise"}


@pytest.mark.parametrize("seconds", [0.5, 5.0, 10.24, 10.255])
def test_all_windows_of_a_clip_of_one_window_are_the_first(seconds: float) -> None:
    waveform = synthesize("Music", seconds, 16_000, 3)
    settings = {"top_k": 5, "embeddings": True}
    results = [
        build_tagger("demo", windows=w, **settings).classify(cell(waveform))[0] for w in ("first", "all", 3)
    ]
    for other in results[1:]:
        assert (other.tag, other.top) == (results[0].tag, results[0].top)
        assert other.embedding is not None
        assert np.array_equal(other.embedding, results[0].embedding)


def test_spread_windows_cover_the_clip() -> None:
    labels = ("Siren", "White noise", "Dial tone", "Clicking", "Church bell")
    waveform = sequence(*labels, seconds=20.0)
    result = build_tagger("demo", windows=5, segments=True).classify(cell(waveform))[0]
    assert result.segments is not None
    assert tuple(segment.label for segment in result.segments) == labels
    starts = [segment.start for segment in result.segments]
    assert np.allclose(starts, [20 * n + 10 - WINDOW / 32_000 for n in range(5)], atol=0.01)


def test_embeddings_are_the_mean_of_what_enters_the_classifier() -> None:
    waveform = sequence("Siren", "Clicking", seconds=10.24)
    model = AutoModelForAudioClassification.from_pretrained(CHECKPOINT).eval()
    extractor = AutoFeatureExtractor.from_pretrained(CHECKPOINT)
    pooled = []
    for start in (0, HOP):
        window = waveform[start : start + WINDOW]
        with torch.no_grad():
            inputs = extractor(window, sampling_rate=16_000, return_tensors="pt")
            pooled.append(model.audio_spectrogram_transformer(**inputs).pooler_output[0].numpy())
    embedding = build_tagger("demo", windows="all", embeddings=True).classify(cell(waveform))[0].embedding
    assert embedding is not None
    assert embedding.dtype == np.float32
    assert np.abs(embedding - np.mean(pooled, axis=0)).max() < 1e-4


@pytest.mark.parametrize(
    ("length", "size", "hop", "expected"),
    [
        (5, 10, 10, [(0, 5)]),
        (10, 10, 10, [(0, 10)]),
        (25, 10, 10, [(0, 10), (10, 10), (20, 5)]),
        (21, 10, 10, [(0, 10), (10, 10)]),  # one sample makes no frame of two
        (3, 10, 5, [(0, 3)]),  # less than what two windows share
        (5, 10, 5, [(0, 5)]),
        (25, 10, 5, [(0, 10), (5, 10), (10, 10), (15, 10)]),  # no remainder
        (26, 10, 5, [(0, 10), (5, 10), (10, 10), (15, 10), (20, 6)]),
        (30, 10, 15, [(0, 10), (15, 10)]),  # a gap between windows
        (37, 10, 15, [(0, 10), (15, 10), (30, 7)]),
        (1, 10, 10, [(0, 2)]),  # padded to a frame
    ],
)
@pytest.mark.parametrize("block", [1, 3, 7, 100])
def test_sliding_windows(
    length: int, size: int, hop: int, expected: list[tuple[int, int]], block: int
) -> None:
    clip = np.arange(1, length + 1, dtype=np.float32)
    blocks = [clip[start : start + block] for start in range(0, length, block)]
    windows = list(slide_windows(blocks, size, hop, frame=2))
    assert [(window.start_sample, len(window.samples)) for window in windows] == expected
    for window in windows:
        there = clip[window.start_sample : window.start_sample + len(window.samples)]
        assert np.array_equal(window.samples[: len(there)], there)


def test_spread_starts_lie_inside_and_in_order() -> None:
    assert spread_starts(total=1000, size=100, hop=100, count=1) == [450]
    assert spread_starts(total=1000, size=100, hop=100, count=10) is None
    for total in (0, 1, 99, 100):  # a window holds the whole clip
        assert spread_starts(total=total, size=100, hop=100, count=1) is None
    assert spread_starts(total=101, size=100, hop=100, count=1) == [0]
    for count in (2, 3, 9):
        starts = spread_starts(total=1000, size=100, hop=100, count=count)
        assert starts is not None
        assert len(starts) == count
        assert starts == sorted(starts)
        assert starts[0] >= 0
        assert starts[-1] <= 900


@pytest.mark.parametrize("is_writeable", [False, True])
@pytest.mark.parametrize("windows", ["first", "all", 3])
def test_a_window_keeps_no_clip_alive(windows: str | int, is_writeable: bool) -> None:
    """Sound that is in memory at the model's rate is cut out of it, not looked at through it."""
    model = get_model(ModelSpec("demo"))
    clip = np.zeros((2, 60 * 16_000), np.float32)
    clip.setflags(write=is_writeable)
    sound = SamplesSound(SamplesMedia(clip, 16_000, "a clip"), "first")
    windows_cut = list(cut_windows(sound, "a clip", model, windows, model.hop_samples))
    assert windows_cut
    for window in windows_cut:
        assert window.samples.flags.writeable
        whole = window.samples if window.samples.base is None else window.samples.base
        assert whole.nbytes < 2 * 4 * model.window_samples


@pytest.mark.parametrize("rate_hz", [44_100, 48_000, 22_050, 11_025, 16_000, 8_000])
def test_windows_are_cut_from_the_whole_clip_at_the_models_rate(rate_hz: int) -> None:
    from torchaudio.functional import resample

    waveform = sequence("Music", "Siren", seconds=13.0, rate_hz=rate_hz)
    whole = resample(torch.from_numpy(waveform), rate_hz, 16_000).numpy()
    sound = SamplesSound(SamplesMedia(waveform, rate_hz), "mean")
    model = get_model(ModelSpec("demo"))
    for windows in ("first", "all", 2):
        windows_cut: list[Window] = list(cut_windows(sound, "a clip", model, windows, HOP))
        assert len(windows_cut) == {"first": 1, "all": 3, 2: 2}[windows]
        for window in windows_cut:
            there = whole[window.start_sample : window.start_sample + WINDOW]
            assert window.samples.shape == there.shape
            assert np.abs(window.samples - there).max() < 5e-5
