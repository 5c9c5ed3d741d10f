"""Resampling a block at a time equals torchaudio's resampling of the whole."""

import tracemalloc

import numpy as np
import pytest
import torch
import torchaudio

from hf_audio_tagger.media.resample import read_resampled, resample, resample_blocks

RATES_HZ = [
    (44_100, 16_000),
    (48_000, 16_000),
    (8_000, 16_000),
    (11_025, 16_000),
    (22_050, 16_000),
    (32_000, 16_000),
    (96_000, 16_000),
    (16_000, 16_000),
    (44_100, 48_000),
    (47_952, 16_000),
    (16_000, 22_050),
]
COPRIME_HZ = (4_001, 1_600)  # a kernel of 6.4 million values: worked out sparsely


def noise(count: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(count)).astype(np.float32)


def whole(samples: np.ndarray, rate_in_hz: int, rate_out_hz: int) -> np.ndarray:
    """torchaudio's own."""
    return torchaudio.transforms.Resample(rate_in_hz, rate_out_hz)(torch.from_numpy(samples)).numpy()


class Blocks:
    """A sound that is read in blocks of a given size, as a decoder gives it."""

    def __init__(self, samples: np.ndarray, rate_hz: int, size: int) -> None:
        self.samples, self.rate_hz, self.size = samples, rate_hz, size
        self.duration_seconds = len(samples) / rate_hz

    def blocks(self, start=0, stop=None):
        samples = self.samples[start:stop]
        return (samples[at : at + self.size] for at in range(0, len(samples), self.size))


@pytest.mark.parametrize("size", [100_000, 4_410, 1_000, 37])
@pytest.mark.parametrize(("rate_in_hz", "rate_out_hz"), RATES_HZ)
def test_blocks_equal_the_whole(rate_in_hz: int, rate_out_hz: int, size: int) -> None:
    samples = noise(min(round(0.5 * rate_in_hz), 150 * size) + 13)
    blocks = Blocks(samples, rate_in_hz, size).blocks()
    made = np.concatenate(list(resample_blocks(blocks, rate_in_hz, rate_out_hz)))
    made_of = whole(samples, rate_in_hz, rate_out_hz)
    assert made.shape == made_of.shape
    np.testing.assert_allclose(made, made_of, atol=1e-6)


@pytest.mark.parametrize(("rate_in_hz", "rate_out_hz"), RATES_HZ)
@pytest.mark.parametrize("count", [1, 2, 15, 441])
def test_less_than_the_filter_is_wide(count: int, rate_in_hz: int, rate_out_hz: int) -> None:
    samples = noise(count)
    made = np.concatenate(list(resample_blocks([samples[:1], samples[1:]], rate_in_hz, rate_out_hz)))
    np.testing.assert_allclose(made, whole(samples, rate_in_hz, rate_out_hz), atol=1e-6)


def test_nothing_stays_nothing() -> None:
    assert list(resample_blocks([], 44_100, 16_000)) == []
    assert sum(map(len, resample_blocks([np.zeros(0, np.float32)], 44_100, 16_000))) == 0
    assert len(resample(np.zeros(0, np.float32), 44_100, 16_000)) == 0


def test_empty_blocks_between_others_change_nothing() -> None:
    samples, nothing = noise(30_000), np.zeros(0, np.float32)
    blocks = [nothing, samples[:100], nothing, samples[100:20_000], nothing, samples[20_000:], nothing]
    made = np.concatenate(list(resample_blocks(blocks, 44_100, 16_000)))
    np.testing.assert_allclose(made, whole(samples, 44_100, 16_000), atol=1e-6)


@pytest.mark.parametrize(("rate_in_hz", "rate_out_hz"), RATES_HZ)
def test_a_window_from_the_middle_equals_the_whole_there(rate_in_hz: int, rate_out_hz: int) -> None:
    samples = noise(3 * rate_in_hz + 5)
    reference = whole(samples, rate_in_hz, rate_out_hz)
    sound = Blocks(samples, rate_in_hz, 10_000)
    for start in (0, 1, 159, 16_001, 2 * rate_out_hz + 77, len(reference) - 10, len(reference) + 10):
        blocks = list(read_resampled(sound, rate_out_hz, start, 5_000))
        assert all(map(len, blocks))  # behind the end there is no block, not an empty one
        part = np.concatenate([np.zeros(0, np.float32), *blocks])
        np.testing.assert_allclose(part, reference[start : start + 5_000], atol=1e-6)


def test_rates_without_a_common_divisor() -> None:
    rate_in_hz, rate_out_hz = COPRIME_HZ
    samples = noise(2 * rate_in_hz + 100)
    at_once = resample(samples, rate_in_hz, rate_out_hz)
    # torchaudio rounds a tap's place to float32, which tells here.
    np.testing.assert_allclose(at_once, whole(samples, rate_in_hz, rate_out_hz), atol=2e-5)
    blocks = Blocks(samples, rate_in_hz, 999).blocks()
    made = np.concatenate(list(resample_blocks(blocks, rate_in_hz, rate_out_hz)))
    np.testing.assert_allclose(made, at_once, atol=1e-6)


def test_a_wild_rate_takes_little_memory() -> None:
    """torchaudio's own filter for this pair would hold 16000 times 44135 values."""
    time = np.arange(44_101) / 44_101
    tracemalloc.start()
    made = resample(np.sin(2 * np.pi * 440 * time).astype(np.float32), 44_101, 16_000)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    expected = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    np.testing.assert_allclose(made[200:-200], expected[200:-200], atol=2e-3)
    assert peak_bytes < 100e6
