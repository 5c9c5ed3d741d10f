"""The front end of CLAP: windows of sound to log-mel pictures, a whole batch at once, on any device.

Equal to transformers' ``ClapFeatureExtractor`` for sound up to its length, which takes a clip at a time.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import ModelError

LEAST_POWER = 1e-10  # -100 dB
CPU_CLIPS = 1  # at a time: larger chunks exceed the CPU caches
DEVICE_CLIPS = 64  # of which one takes 25 MB while it is drawn


class ClapPictures:
    """Log-mel pictures with a checkpoint's own numbers, on one device."""

    def __init__(self, extractor: Any, device: torch.device) -> None:
        self.rate_hz = int(extractor.sampling_rate)
        self.samples = int(extractor.nb_max_samples)  # of a picture: 10 s
        self.hop_samples = int(extractor.hop_length)
        self.fft_samples = int(extractor.fft_window_size)
        self.padding = str(extractor.padding)
        self.is_fused = extractor.truncation == "fusion"
        self.device = device
        # A float32 FFT is off by more than 1e-4 dB where a tone leaves the other bands nearly silent.
        self.dtype = torch.float32 if device.type == "mps" else torch.float64
        mel = extractor.mel_filters if self.is_fused else extractor.mel_filters_slaney
        self.mel = torch.from_numpy(np.asarray(mel)).to(device, self.dtype)  # (bins, bands)
        self.taper = torch.hann_window(self.fft_samples, dtype=torch.float64).to(device, self.dtype)

    def draw(self, windows: Sequence[np.ndarray]) -> Tensor:
        """Windows, each of `samples` at most → float32 (windows, 1, frames, bands), in decibels.

        For fused models each picture stands there four times, as for all sound that is not cut.
        """
        sound = torch.zeros(len(windows), self.samples, pin_memory=self.device.type == "cuda")
        for row, window in zip(sound, windows, strict=True):
            padded = torch.from_numpy(pad(window, self.samples, self.padding))
            row[: len(padded)] = padded
        sound = sound.to(self.device, non_blocking=True)
        size = CPU_CLIPS if self.device.type == "cpu" else DEVICE_CLIPS
        pictures = torch.cat([self._draw(part) for part in sound.split(size)])[:, None]
        return pictures.expand(-1, 4, -1, -1) if self.is_fused else pictures

    def _draw(self, sound: Tensor) -> Tensor:
        spectrum = torch.stft(
            sound.to(self.dtype),
            self.fft_samples,
            self.hop_samples,
            window=self.taper,
            center=True,
            pad_mode="reflect",
            return_complex=True,
        )
        power = (spectrum.real.square() + spectrum.imag.square()).transpose(1, 2)
        return (10 * (power @ self.mel).clamp_min(LEAST_POWER).log10()).float()


def pad(window: np.ndarray, samples: int, padding: str) -> np.ndarray:
    """A window that is repeated as the extractor does; what is still missing is zeros.

    >>> pad(np.array([1.0, 2.0], np.float32), 5, "repeatpad").tolist()
    [1.0, 2.0, 1.0, 2.0]
    >>> pad(np.array([1.0, 2.0], np.float32), 5, "repeat").tolist()
    [1.0, 2.0, 1.0, 2.0, 1.0]
    """
    if window.ndim != 1 or not 0 < len(window) <= samples:
        raise ModelError(f"a window must be mono with 1 to {samples} samples; got shape {window.shape}")
    times = samples // len(window)
    if padding == "repeat":
        return np.tile(window, times + 1)[:samples]
    return np.tile(window, times) if padding == "repeatpad" else np.ascontiguousarray(window)
