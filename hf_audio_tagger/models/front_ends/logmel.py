"""The front end of YAMNet and VGGish: windows of sound to patches of log-mel energies.

Windows that overlap by whole frames share them: each frame is computed once.
"""

import functools
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

RATE_HZ = 16_000
FRAME_SAMPLES = 400  # 25 ms
FRAME_HOP_SAMPLES = 160  # 10 ms
FFT_SAMPLES = 512  # the next power of two above the frame length
FFT_BINS = FFT_SAMPLES // 2 + 1  # 257
MEL_BANDS = 64
MEL_MIN_HZ, MEL_MAX_HZ = 125.0, 7_500.0
PATCH_FRAMES = 96  # 0.96 s from the first frame's start to the last one's end of hop
WINDOW_SAMPLES = FRAME_SAMPLES + (PATCH_FRAMES - 1) * FRAME_HOP_SAMPLES  # 15,600: one patch

GAP = np.zeros(-WINDOW_SAMPLES % FRAME_HOP_SAMPLES, np.float32)  # after it a window begins with a frame

CPU_FRAMES = 512  # at a time: intermediate results of larger chunks exceed the CPU cache


def draw_patches(windows: Sequence[np.ndarray], offset: float, device: torch.device) -> Tensor:
    """Windows, each of 15600 samples, as patches (n, 96, 64)."""
    sound, first_frames = join_windows(windows)
    energies = log_mel(torch.from_numpy(sound).to(device), offset)
    return torch.stack([energies[first : first + PATCH_FRAMES] for first in first_frames])


def join_windows(windows: Sequence[np.ndarray]) -> tuple[np.ndarray, list[int]]:
    """One sound with all windows in it, and the frame at which each begins. What two share is there once.

    Each window is compared with the one before it, since some windows of a clip may have been left out.
    """
    pieces, starts, step = [windows[0]], [0], 0
    for previous, window in pairwise(windows):
        found = find_step(previous, window, step)
        if found is None:
            pieces += [GAP, window]
            starts.append(starts[-1] + WINDOW_SAMPLES + len(GAP))
        else:
            step = found
            pieces.append(window[WINDOW_SAMPLES - step :])
            starts.append(starts[-1] + step)
    return np.concatenate(pieces), [start // FRAME_HOP_SAMPLES for start in starts]


def find_step(previous: np.ndarray, window: np.ndarray, likely: int) -> int | None:
    """How many whole frames after `previous` a window begins, in samples; None if they share no sound.

    `likely` is tried first: windows of a clip follow each other at one step.
    """
    if is_overlap(previous, window, likely):
        return likely
    for frame in np.flatnonzero(previous[::FRAME_HOP_SAMPLES] == window[0]):
        step = int(frame) * FRAME_HOP_SAMPLES
        if is_overlap(previous, window, step):
            return step
    return None


def is_overlap(previous: np.ndarray, window: np.ndarray, step: int) -> bool:
    """Whether the end of `previous` is the beginning of a window. Bytes are compared without leaving the GIL,
    for which a thread that decodes would make this one wait each time."""
    return previous[step:].tobytes() == window[: WINDOW_SAMPLES - step].tobytes()


def log_mel(sound: Tensor, offset: float) -> Tensor:
    """Sound (..., samples) as frames (..., frames, 64): the log of mel magnitudes plus `offset`.

    `offset` keeps the log of silence finite; its value depends on the model.
    """
    frames = sound.unfold(-1, FRAME_SAMPLES, FRAME_HOP_SAMPLES)
    flat = frames.flatten(0, -2)
    size = CPU_FRAMES if sound.device.type == "cpu" else len(flat)
    energies = torch.cat([_log_mel(part, offset) for part in flat.split(size)])
    return energies.view(*frames.shape[:-1], MEL_BANDS)


def _log_mel(frames: Tensor, offset: float) -> Tensor:
    hann, mel = _tables(frames.device)
    spectrum = torch.fft.rfft(frames * hann, n=FFT_SAMPLES)
    # `abs` would take twice as long to avoid an overflow that cannot occur with sound.
    magnitudes = (spectrum.real.square() + spectrum.imag.square()).sqrt()
    return torch.log(magnitudes @ mel + offset)


@functools.cache
def _tables(device: torch.device) -> tuple[Tensor, Tensor]:
    hann = torch.hann_window(FRAME_SAMPLES, periodic=True, dtype=torch.float64)
    # Triangles (257, 64) over the FFT's bins, linear in mel rather than in hertz, peak 1.
    bins = _mel(torch.linspace(0, RATE_HZ / 2, FFT_BINS, dtype=torch.float64))[:, None]
    lowest, highest = _mel(torch.tensor([MEL_MIN_HZ, MEL_MAX_HZ], dtype=torch.float64))
    edges = torch.linspace(lowest, highest, MEL_BANDS + 2, dtype=torch.float64)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (bins - low) / (centre - low), (high - bins) / (high - centre)
    mel = torch.minimum(rising, falling).clamp(min=0)
    return hann.float().to(device), mel.float().to(device)


def _mel(hertz: Tensor) -> Tensor:
    return 1127.0 * torch.log1p(hertz / 700.0)  # HTK's scale
