"""Kaldi's log-mel filter bank over a whole batch at once, on any device.

Equal to ``torchaudio.compliance.kaldi.fbank(window_type="hanning")``, which takes one clip at a time.
"""

import torch
from torchaudio.compliance.kaldi import get_mel_banks

FRAME_SECONDS = 0.025  # 400 samples at 16 kHz
SHIFT_SECONDS = 0.010  # 160 samples at 16 kHz
LOWEST_HZ = 20.0
PREEMPHASIS = 0.97
CPU_CLIPS = 1  # at a time: larger chunks exceed the CPU caches and take twice as long


class FilterBank:
    """Kaldi's log-mel features with a given number of mel bands, on one device."""

    def __init__(self, rate_hz: int, bands: int, device: torch.device) -> None:
        self.frame_samples = int(rate_hz * FRAME_SECONDS)
        self.shift_samples = int(rate_hz * SHIFT_SECONDS)
        self.fft_samples = 1 << (self.frame_samples - 1).bit_length()
        self.taper = torch.hann_window(self.frame_samples, periodic=False).to(device)
        mel, _ = get_mel_banks(bands, self.fft_samples, float(rate_hz), LOWEST_HZ, 0.0, 100.0, -500.0, 1.0)
        mel = torch.nn.functional.pad(mel, (0, 1))  # no band includes the Nyquist bin
        self.mel = mel.T.contiguous().to(device)  # (fft_samples / 2 + 1, bands)

    def count_frames(self, samples: int) -> int:
        """The number of complete frames in this many samples."""
        return max(0, 1 + (samples - self.frame_samples) // self.shift_samples)

    def log_mel(self, waveforms: torch.Tensor) -> torch.Tensor:
        """``(clips, samples)`` → ``(clips, frames, bands)``."""
        size = CPU_CLIPS if waveforms.device.type == "cpu" else len(waveforms)
        return torch.cat([self._log_mel(part) for part in waveforms.split(size)])

    def _log_mel(self, waveforms: torch.Tensor) -> torch.Tensor:
        frames = waveforms.unfold(-1, self.frame_samples, self.shift_samples)
        frames = frames - frames.mean(dim=-1, keepdim=True)
        previous = torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
        frames = (frames - PREEMPHASIS * previous) * self.taper
        spectrum = torch.fft.rfft(frames, n=self.fft_samples)
        power = spectrum.real.square() + spectrum.imag.square()  # `abs` took a quarter of the time
        return (power @ self.mel).clamp_min(torch.finfo(torch.float32).eps).log()
