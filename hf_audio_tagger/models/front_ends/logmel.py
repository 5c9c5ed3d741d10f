"""The front end of YAMNet and VGGish: windows of sound to patches of log-mel energies."""

import functools

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

CPU_CHUNK = 14  # windows at a time: intermediate results of larger chunks exceed the CPU cache


def log_mel(sound: Tensor, offset: float) -> Tensor:
    """Windows of sound (n, 15600) as patches (n, 96, 64): the log of mel magnitudes plus `offset`.

    `offset` keeps the log of silence finite; its value depends on the model.
    """
    size = CPU_CHUNK if sound.device.type == "cpu" else len(sound)
    return torch.cat([_log_mel(part, offset) for part in sound.split(size)])


def _log_mel(sound: Tensor, offset: float) -> Tensor:
    hann, mel = _tables(sound.device)
    frames = sound.unfold(-1, FRAME_SAMPLES, FRAME_HOP_SAMPLES)
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
