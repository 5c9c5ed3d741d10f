"""Windows that overlap share their log-mel frames, and score as each does alone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from plain_yamnet import plain_log_mel
from random_weights import load_patch_model, write_yamnet

from hf_audio_tagger.models.front_ends import logmel
from hf_audio_tagger.models.front_ends.logmel import draw_patches

WINDOW, HOP, FRAME = 15_600, 7_680, 160
CPU = torch.device("cpu")


def cut(sound: np.ndarray, hop: int, count: int, first: int = 0) -> list[np.ndarray]:
    starts = range(first, first + count * hop, hop)
    return [sound[start : start + WINDOW].copy() for start in starts]


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * 16_000))).astype(np.float32)


@pytest.fixture
def frames_computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many frames each call of the front end took."""
    counts: list[int] = []
    compute = logmel._log_mel

    def counted(frames: torch.Tensor, offset: float) -> torch.Tensor:
        counts.append(len(frames))
        return compute(frames, offset)

    monkeypatch.setattr(logmel, "_log_mel", counted)
    return counts


@pytest.mark.parametrize(
    ("hop", "frames"),
    [
        (HOP, 96 + 19 * 48),  # YAMNet's
        (15_360, 96 + 19 * 96),  # VGGish's: a frame is in no two windows
        (1_600, 96 + 19 * 10),
        (0, 96),  # the same window again and again
        (1_000, 20 * 98 - 2),  # not whole frames: nothing is shared, and two frames lie between two windows
        (20_000, 20 * 98 - 2),
    ],
)
def test_a_frame_is_computed_once(hop: int, frames: int, frames_computed: list[int]) -> None:
    sound = noise(30)
    windows = [sound[start * hop : start * hop + WINDOW] for start in range(20)]
    patches = draw_patches(windows, 0.001, CPU).numpy()
    assert sum(frames_computed) == frames
    assert patches.shape == (20, 96, 64)
    for window, patch in zip(windows, patches, strict=True):
        np.testing.assert_allclose(patch, plain_log_mel(window, 0.001), atol=2e-4)


def test_windows_are_known_by_their_samples(frames_computed: list[int]) -> None:
    """Some of a clip may be left out, and other clips may follow."""
    one, other = cut(noise(20, 1), HOP, 20), cut(noise(20, 2), HOP, 20)
    windows = [*one[:5], *one[6:9], *other[3:5], *one[9:11]]
    draw_patches(windows, 0.001, CPU)
    stretches = [96 + 7 * 48 + 48, 96 + 48, 96 + 48]  # where one is left out, its frames are in two others
    assert sum(frames_computed) == sum(stretches) + 2 * (len(stretches) - 1)


def test_sound_that_repeats_or_is_silent_is_not_mixed_up() -> None:
    silence = np.zeros(3 * WINDOW, np.float32)
    tone = np.tile(noise(0.01), 3 * WINDOW // FRAME)  # each frame is the same
    half = np.concatenate([noise(0.5), silence])
    windows = [*cut(silence, HOP, 3), *cut(tone, HOP, 3), *cut(half, HOP, 4), *cut(half[::-1], HOP, 4)]
    patches = draw_patches(windows, 0.01, CPU).numpy()
    for window, patch in zip(windows, patches, strict=True):
        np.testing.assert_allclose(patch, plain_log_mel(window, 0.01), atol=2e-4)


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_a_clip_scores_as_its_windows_do_alone(engine: str, tmp_path: Path) -> None:
    if engine == "openvino":
        pytest.importorskip("openvino")
    model = load_patch_model("yamnet", write_yamnet(tmp_path / "yamnet.pth"), engine=engine)
    windows = [*cut(noise(20), HOP, 30), noise(0.3, 5)]  # the last one is short
    together = model.predict(windows)
    backwards = model.predict(windows[::-1])
    assert together.embeddings is not None
    for index, window in enumerate(windows):
        alone = model.predict([window])
        assert alone.embeddings is not None
        np.testing.assert_allclose(together.logits[index], alone.logits[0], atol=3e-4)
        np.testing.assert_allclose(together.embeddings[index], alone.embeddings[0], atol=3e-4)
        np.testing.assert_allclose(backwards.logits[-1 - index], alone.logits[0], atol=3e-4)
