"""AST's front end, whose features are computed for a whole batch: those of transformers' extractor."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from .kaldi import FilterBank


class AstFrontEnd:
    def __init__(self, extractor: Any, device: torch.device) -> None:
        self.extractor, self.device = extractor, device
        self.rate_hz = int(extractor.sampling_rate)
        self.bank = FilterBank(self.rate_hz, extractor.num_mel_bins, device)
        self.frames = int(extractor.max_length)
        self.frame_samples = self.bank.frame_samples
        self.hop_samples = self.frames * self.bank.shift_samples  # 1,024 frames: 10.24 s
        self.window_samples = self.hop_samples - self.bank.shift_samples + self.frame_samples

    def features(self, windows: Sequence[np.ndarray]) -> torch.Tensor:
        """The network's float32 input (windows, frames, bands)."""
        lengths = [len(window) for window in windows]
        padded = torch.zeros(len(windows), max(lengths), pin_memory=self.device.type == "cuda")
        for row, window in zip(padded, windows, strict=True):
            row[: len(window)] = torch.from_numpy(np.ascontiguousarray(window))
        energies = self.bank.log_mel(padded.to(self.device, non_blocking=True))[:, : self.frames]
        for row, length in zip(energies, lengths, strict=True):
            row[self.bank.count_frames(length) :] = 0  # as the extractor pads: before normalization
        energies = torch.nn.functional.pad(energies, (0, 0, 0, self.frames - energies.shape[1]))
        if self.extractor.do_normalize:
            energies = (energies - self.extractor.mean) / (self.extractor.std * 2)
        return energies
