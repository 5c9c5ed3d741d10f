"""torchaudio's resampler, faster and a block at a time, equal to resampling the whole clip at once.

It turns groups of ``step_in`` samples into groups of ``step_out`` (44.1 to 16 kHz: 441 into 160), and each
output depends on a few samples on either side. A part that begins at a group boundary, with a margin on both
sides, gives the same samples as the whole clip.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from math import ceil, gcd

import numpy as np
import torch
from torchaudio.transforms import Resample

from .sound import Sound, concatenate

LOWPASS_FILTER_WIDTH = 6  # zero crossings to either side: torchaudio's default
ROLLOFF = 0.99  # of the lower Nyquist frequency: torchaudio's default

# torchaudio's kernel has a filter for every output sample of a group. Rates with no common divisor, such as
# 44101 and 16000 Hz, have groups of a second, and their filters would take 5 GB.
MOST_KERNEL_VALUES = 1 << 22
SPARSE_VALUES = 1 << 20  # filter values at a time where there is no kernel

# Most of a kernel is zeros: an output depends on its own neighbourhood, not on all samples of its group. So
# the kernel is split into products of a few filters with the samples that they reach, a third of the time.
FILTERS_AT_ONCE = 16
LEAST_OUTPUTS = 64  # of a group; shorter ones are joined, which makes fewer and larger products


class Conversion:
    """The constants for one pair of rates."""

    def __init__(self, rate_in_hz: int, rate_out_hz: int) -> None:
        common = gcd(rate_in_hz, rate_out_hz)
        joined = ceil(LEAST_OUTPUTS * common / rate_out_hz)
        self.step_in, self.step_out = joined * rate_in_hz // common, joined * rate_out_hz // common
        self.cutoff = min(self.step_in, self.step_out) * ROLLOFF
        self.reach = ceil(LOWPASS_FILTER_WIDTH * self.step_in / self.cutoff)  # source samples to either side
        self.margin_groups = ceil(self.reach / self.step_in) + 1
        self.is_sparse = self.step_out * (self.step_in + 2 * self.reach) > MOST_KERNEL_VALUES


@lru_cache(maxsize=16)
def make_filters(rate_in_hz: int, rate_out_hz: int) -> list[tuple[int, torch.Tensor]]:
    """torchaudio's filters of a group, in order, a few together: the first sample that they reach, counted
    from the group's start less `reach`, and their weights (samples, outputs)."""
    conversion = Conversion(rate_in_hz, rate_out_hz)
    resampler = Resample(rate_in_hz, rate_out_hz, lowpass_filter_width=LOWPASS_FILTER_WIDTH, rolloff=ROLLOFF)
    filters = resampler.kernel[:, 0]  # (outputs, samples) of a group that is not joined
    kernel = torch.zeros(conversion.step_out, conversion.step_in + 2 * conversion.reach)
    outputs, samples = filters.shape
    for row in range(0, conversion.step_out, outputs):
        column = row * conversion.step_in // conversion.step_out
        kernel[row : row + outputs, column : column + samples] = filters
    parts = []
    for part in kernel.split(FILTERS_AT_ONCE):
        reached = part.any(dim=0).nonzero()
        first, last = int(reached[0]), int(reached[-1])
        parts.append((first, part[:, first : last + 1].T.contiguous()))
    return parts


def resample(samples: np.ndarray, rate_in_hz: int, rate_out_hz: int) -> np.ndarray:
    """A whole mono signal at another rate."""
    if rate_in_hz == rate_out_hz or not len(samples):
        return samples
    conversion = Conversion(rate_in_hz, rate_out_hz)
    if conversion.is_sparse:
        return resample_sparsely(samples, conversion)
    step_in, reach = conversion.step_in, conversion.reach
    groups = ceil(len(samples) / step_in)
    with torch.inference_mode():
        padded = torch.zeros(groups * step_in + 2 * reach)
        padded[reach : reach + len(samples)] = torch.from_numpy(np.ascontiguousarray(samples))
        out = torch.empty(groups, conversion.step_out)
        column = 0
        for first, weights in make_filters(rate_in_hz, rate_out_hz):
            reached, outputs = weights.shape
            around = padded.as_strided((groups, reached), (step_in, 1), first)
            out[:, column : column + outputs] = around @ weights
            column += outputs
    return out.view(-1)[: ceil(len(samples) * conversion.step_out / step_in)].numpy()


def resample_sparsely(samples: np.ndarray, conversion: Conversion) -> np.ndarray:
    """torchaudio's windowed sinc, evaluated for each output: slower, without a large kernel."""
    step_in, step_out, reach = conversion.step_in, conversion.step_out, conversion.reach
    padded = np.pad(samples, (reach, reach + 2))
    out = np.empty(ceil(len(samples) * step_out / step_in), np.float32)
    taps = np.arange(2 * reach + 2)
    size = max(1, SPARSE_VALUES // len(taps))
    for begin in range(0, len(out), size):
        positions = np.arange(begin, min(begin + size, len(out)), dtype=np.int64) * step_in
        first, phase = np.divmod(positions, step_out)  # the source sample at or before each output
        # The distance of each tap from its output, in zero crossings of the filter.
        distance = ((taps - reach) - phase[:, None] / step_out) * (conversion.cutoff / step_in)
        window = np.cos(np.clip(distance / LOWPASS_FILTER_WIDTH, -1, 1) * (np.pi / 2)) ** 2
        weights = np.sinc(distance) * window * (conversion.cutoff / step_in)
        out[begin : begin + size] = np.einsum("ij,ij->i", weights, padded[first[:, None] + taps])
    return out


def resample_blocks(blocks: Iterable[np.ndarray], rate_in_hz: int, rate_out_hz: int) -> Iterator[np.ndarray]:
    """Resample a stream of mono blocks, equal to `resample` of the whole, with two blocks in memory."""
    if rate_in_hz == rate_out_hz:
        yield from blocks
        return
    conversion = Conversion(rate_in_hz, rate_out_hz)
    held = np.zeros(0, np.float32)  # source samples, starting `drop` groups before the next output group
    drop = 0  # leading groups in `held` that are only margin
    for block in blocks:
        held = np.concatenate([held, block]) if len(held) else block
        ready = len(held) // conversion.step_in - conversion.margin_groups  # groups with complete margins
        if ready <= drop:
            continue
        stop = (ready + conversion.margin_groups) * conversion.step_in
        out = resample(held[:stop], rate_in_hz, rate_out_hz)
        yield out[drop * conversion.step_out : ready * conversion.step_out]
        keep_from = max(0, ready - conversion.margin_groups)
        held, drop = held[keep_from * conversion.step_in :], ready - keep_from
    if len(held):
        yield resample(held, rate_in_hz, rate_out_hz)[drop * conversion.step_out :]


def read_resampled(
    sound: Sound, rate_hz: int, start: int = 0, count: int | None = None
) -> Iterator[np.ndarray]:
    """`count` samples at `rate_hz` starting at `start`, or all, exact at both edges."""
    if count is None:
        yield from resample_blocks(sound.blocks(), sound.rate_hz, rate_hz)
        return
    conversion = Conversion(sound.rate_hz, rate_hz)
    first = max(0, start // conversion.step_out - conversion.margin_groups)  # groups, read with both margins
    last = ceil((start + count) / conversion.step_out) + conversion.margin_groups
    if source := list(sound.blocks(first * conversion.step_in, last * conversion.step_in)):
        samples = resample(concatenate(source), sound.rate_hz, rate_hz)[start - first * conversion.step_out :]
        if len(samples):
            yield samples[:count]
