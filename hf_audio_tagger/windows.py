"""Which windows of a clip are scored: the first, all of them, or some spread evenly."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from .errors import MediaError
from .media.resample import read_resampled
from .media.sound import Sound, concatenate, no_sound
from .models.family import AudioModel


@dataclass(frozen=True)
class Window:
    start_sample: int
    samples: np.ndarray

    def find_span(self, rate_hz: int) -> tuple[float, float]:
        """Start and end in seconds."""
        return self.start_sample / rate_hz, (self.start_sample + len(self.samples)) / rate_hz


def cut_windows(
    sound: Sound, name: str, model: AudioModel, windows: str | int, hop_samples: int
) -> Iterator[Window]:
    """The windows of a clip at the model's rate, as `windows` selects them: "first", "all" or how many.

    The last may be as short as one frame. Raises `MediaError` without a window, or if a sample is not finite.
    """
    size, frame, rate_hz = model.window_samples, model.frame_samples, model.rate_hz
    starts: Sequence[int] | None = [0] if windows == "first" else None
    if windows not in ("first", "all"):
        starts = find_starts(sound, rate_hz, size, hop_samples, int(windows))
    if starts is None:
        found = slide_windows(read_resampled(sound, rate_hz), size, hop_samples, frame)
    else:
        parts = ((start, list(read_resampled(sound, rate_hz, start, size))) for start in starts)
        found = (
            Window(start, pad_to(concatenate(blocks).copy(), frame)) for start, blocks in parts if blocks
        )
    is_empty = True
    for window in found:
        if not np.isfinite(window.samples).all():
            raise MediaError(f"{name}: its samples are not all finite numbers.")
        is_empty = False
        yield window
    if is_empty:
        raise no_sound(name)


def estimate_count(sound: Sound, model: AudioModel, windows: str | int, hop_samples: int) -> int | None:
    """How many windows a clip has, as far as its container states its length."""
    if windows == "first":
        return 1
    if not sound.duration_seconds:
        return None if windows == "all" else int(windows)
    left = sound.duration_seconds * model.rate_hz - model.window_samples
    count = 1 + ceil(max(0, left) / hop_samples)
    return count if windows == "all" else min(count, int(windows))


def find_starts(sound: Sound, rate_hz: int, size: int, hop: int, count: int) -> list[int] | None:
    """Where `count` evenly spread windows begin. If the header overstates the length, samples are counted."""
    if sound.duration_seconds:
        total = ceil(sound.duration_seconds * rate_hz)
        starts = spread_starts(total, size, hop, count)
        last_second = read_resampled(sound, rate_hz, max(0, total - rate_hz), rate_hz)
        if starts is None or any(map(len, last_second)):
            return starts
    total = ceil(sum(len(block) for block in sound.blocks()) * rate_hz / sound.rate_hz)
    return spread_starts(total, size, hop, count)


def spread_starts(total: int, size: int, hop: int, count: int) -> list[int] | None:
    """Where `count` windows begin, each in the middle of its share of the clip.

    None if the clip has no more windows than that: all are then cut in order.

    >>> spread_starts(total=1000, size=100, hop=100, count=2)
    [200, 700]
    """
    if 1 + ceil(max(0, total - size) / hop) <= count:
        return None
    middle = (total / count - size) / 2
    return [min(max(0, round(index * total / count + middle)), total - size) for index in range(count)]


def slide_windows(blocks: Iterable[np.ndarray], size: int, hop: int, frame: int) -> Iterator[Window]:
    """Windows of `size` every `hop` samples, over a stream.

    A shorter last window is added if some of it is in no other window and it has at least one frame.
    """
    held = np.zeros(0, np.float32)
    start = 0  # of the next window, in the clip
    skip = 0  # samples between the end of `held` and that start, where windows leave gaps
    for block in blocks:
        block, skip = block[skip:], max(0, skip - len(block))
        held = np.concatenate([held, block]) if len(held) else block
        while len(held) >= size:
            yield Window(start, held[:size].copy())  # a view would keep the whole block alive
            start += hop
            skip += max(0, hop - len(held))
            held = held[hop:]
    uncovered = len(held) if start == 0 else len(held) - max(0, size - hop)
    if uncovered > 0 and (start == 0 or len(held) >= frame):
        yield Window(start, pad_to(held.copy(), frame))


def pad_to(samples: np.ndarray, length: int) -> np.ndarray:
    """Samples padded with zeros to `length`, so that even 20 ms of sound have an analysis frame."""
    return samples if len(samples) >= length else np.pad(samples, (0, length - len(samples)))
