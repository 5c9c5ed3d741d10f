"""The interface of an opened clip's sound, helpers for all decoders, and sound from arrays."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from ..cells import SamplesMedia
from ..errors import MediaError

RATES_HZ = range(1_000, 768_001)  # plausible rates; resampling from extreme ones takes gigabytes
BLOCK_VALUES = 1 << 20  # samples in one block of a sound that is already in memory


class Sound(Protocol):
    """An opened clip's first audio stream."""

    rate_hz: int
    duration_seconds: float | None  # None: the container does not state it

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Mono float32 from source sample `start` up to `stop` or the end, a few seconds at a time."""


class SamplesSound:
    """Samples in memory as a `Sound`: arrays in dataset cells, and decord's output."""

    def __init__(self, media: SamplesMedia, channels: str) -> None:
        samples = media.samples
        if samples.ndim not in (1, 2) or samples.dtype.kind not in "fiu":
            raise MediaError(
                f"{media.name}: samples must be numbers of shape (samples,) or (channels, samples); "
                f"got {samples.dtype} of shape {samples.shape}."
            )
        if not samples.size:
            raise MediaError(f"{media.name}: it holds no samples.")
        self.samples = to_mono(np.atleast_2d(samples), channels)
        self.rate_hz = check_sample_rate(media.rate_hz, media.name)
        self.duration_seconds: float | None = len(self.samples) / self.rate_hz

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        return split_blocks(self.samples[start:stop])


def to_mono(samples: np.ndarray, channels: str) -> np.ndarray:
    """``(channels, samples)`` of floats or integers → ``(samples,)`` of float32 in [-1, 1]."""
    if channels == "first":
        samples = samples[:1]
    if samples.dtype.kind == "u":  # unsigned: silence is the middle value
        middle = (int(np.iinfo(samples.dtype).max) + 1) // 2
        samples = samples.astype(np.float32) / middle - 1
    elif samples.dtype.kind == "i":
        samples = samples.astype(np.float32) / -float(np.iinfo(samples.dtype).min)
    if len(samples) == 2:  # the mean, to the last bit, in a third of its time
        left, right = samples.astype(np.float32, copy=False)
        return (left + right) / np.float32(2)
    mono = samples[0] if len(samples) == 1 else samples.mean(axis=0, dtype=np.float32)
    return np.ascontiguousarray(mono, dtype=np.float32)


def check_sample_rate(rate_hz: int | None, name: str) -> int:
    if rate_hz is None or rate_hz not in RATES_HZ:
        allowed = f"{RATES_HZ[0]} to {RATES_HZ[-1]} Hz"
        raise MediaError(f"{name}: its sample rate must be {allowed}; got {rate_hz}.")
    return rate_hz


def no_sound(name: str) -> MediaError:
    return MediaError(f"{name}: it has an audio stream, but no sound can be decoded from it.")


def concatenate(parts: Sequence[np.ndarray]) -> np.ndarray:
    """One array of the parts; a single part is not copied."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def split_blocks(samples: np.ndarray) -> Iterator[np.ndarray]:
    return (samples[offset : offset + BLOCK_VALUES] for offset in range(0, len(samples), BLOCK_VALUES))
