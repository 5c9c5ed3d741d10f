"""What YAMNet and VGGish share: the front end, and the model that feeds a network with it."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...errors import ModelError
from ...process import on_every_core
from ..model import ModelOutput

RATE_HZ = 16_000
FRAME_SAMPLES = 400  # 25 ms
FRAME_HOP_SAMPLES = 160  # 10 ms
FFT_SAMPLES = 512  # the next power of two above a frame
FFT_BINS = FFT_SAMPLES // 2 + 1  # 257
MEL_BANDS = 64
MEL_MIN_HZ, MEL_MAX_HZ = 125.0, 7_500.0
PATCH_FRAMES = 96  # 0.96 s from the first frame's start to the last one's end of hop
WINDOW_SAMPLES = FRAME_SAMPLES + (PATCH_FRAMES - 1) * FRAME_HOP_SAMPLES  # 15,600: one patch

# Patches that go through the network together, and through the front end. With fewer, weights are laid
# out anew too often; with more, what they work on leaves the cache, and the system hands out new memory.
CPU_CHUNK = 84
CPU_FRONT_END_CHUNK = 14
DEVICE_CHUNK = 256
MIN_CHUNK = 2  # a single patch takes other kernels, whose last digits differ


def log_mel(sound: Tensor, offset: float) -> Tensor:
    """Windows of sound (n, 15600) as patches (n, 96, 64): the log of mel magnitudes plus `offset`.

    `offset` keeps silence finite; each model was trained with its own.
    """
    at_once = CPU_FRONT_END_CHUNK if sound.device.type == "cpu" else len(sound)
    return torch.cat([_log_mel(part, offset) for part in sound.split(at_once)])


def _log_mel(sound: Tensor, offset: float) -> Tensor:
    hann, mel = _tables(sound.device)
    frames = sound.unfold(-1, FRAME_SAMPLES, FRAME_HOP_SAMPLES)
    spectrum = torch.fft.rfft(frames * hann, n=FFT_SAMPLES)
    # `abs` would double the time of all this, to spare an overflow that sound never nears.
    magnitudes = (spectrum.real.square() + spectrum.imag.square()).sqrt()
    return torch.log(magnitudes @ mel + offset)


@functools.cache
def _tables(device: torch.device) -> tuple[Tensor, Tensor]:
    hann = torch.hann_window(FRAME_SAMPLES, periodic=True, dtype=torch.float64)
    return hann.float().to(device), mel_weights().float().to(device)


def mel_weights() -> Tensor:
    """Triangles (257, 64) over the FFT's bins, straight in mel rather than in hertz, peak 1."""
    bins = _mel(torch.linspace(0, RATE_HZ / 2, FFT_BINS, dtype=torch.float64))[:, None]
    lowest, highest = _mel(torch.tensor([MEL_MIN_HZ, MEL_MAX_HZ], dtype=torch.float64))
    edges = torch.linspace(lowest, highest, MEL_BANDS + 2, dtype=torch.float64)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (bins - low) / (centre - low), (high - bins) / (high - centre)
    return torch.minimum(rising, falling).clamp(min=0)


def _mel(hertz: Tensor) -> Tensor:
    return 1127.0 * torch.log1p(hertz / 700.0)  # HTK's scale


def stacked(windows: Sequence[np.ndarray]) -> np.ndarray:
    """Windows as one array (n, 15600), zeros where they are short. A lone one gets a silent mate."""
    sound = np.zeros((max(len(windows), MIN_CHUNK), WINDOW_SAMPLES), dtype=np.float32)
    for row, window in zip(sound, windows, strict=False):
        if window.ndim != 1 or len(window) > WINDOW_SAMPLES:
            raise ModelError(
                f"a window is mono and holds at most {WINDOW_SAMPLES} samples, not {window.shape}"
            )
        row[: len(window)] = window
    return sound


@dataclass
class PatchModel:
    """A loaded network that takes patches (n, 96, 64) and gives (embeddings, logits)."""

    network: Callable[[Tensor], Sequence[Tensor]]
    log_offset: float
    labels: tuple[str, ...]
    hop_samples: int
    embedding_size: int | None
    device: torch.device
    dtype: torch.dtype
    multi_label: bool = True  # AudioSet's clips carry several labels
    rate_hz: int = RATE_HZ
    window_samples: int = WINDOW_SAMPLES
    frame_samples: int = FRAME_SAMPLES
    default_windows: str = "all"

    def predict(self, windows: Sequence[np.ndarray]) -> ModelOutput:
        if not len(windows):
            none = np.empty((0, len(self.labels)), np.float32)
            return ModelOutput(none, np.empty((0, self.embedding_size or 0), np.float32))
        on_cpu = self.device.type == "cpu"
        size = CPU_CHUNK if on_cpu else DEVICE_CHUNK
        parts = [windows[start : start + size] for start in range(0, len(windows), size)]
        return ModelOutput.joined(
            on_every_core(self.predict_part, parts) if on_cpu else [self.predict_part(part) for part in parts]
        )

    @torch.inference_mode()
    def predict_part(self, windows: Sequence[np.ndarray]) -> ModelOutput:
        sound = torch.from_numpy(stacked(windows)).to(self.device)
        # The log of a quiet sound needs float32, whatever the network runs in.
        patches = log_mel(sound, self.log_offset).to(self.dtype)
        answers = [answer[: len(windows)].float().cpu().numpy() for answer in self.network(patches)]
        return ModelOutput(embeddings=answers[0], logits=answers[1])
