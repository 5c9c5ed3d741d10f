"""The Audio Spectrogram Transformer: 1,024 frames of log-mel energies, heard by a vision transformer.

Its front end runs here for a whole batch at once and on the model's device; the numbers are those of
``ASTFeatureExtractor``.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from .contract import Heard
from .kaldi import filter_bank
from .lean import make_lean
from .pretrained import PretrainedListener


class AstListener(PretrainedListener):
    """A checkpoint whose extractor is AST's, the published ones and any trained alike."""

    takes_threads = True

    def __init__(self, model: Any, extractor: Any, device: torch.device) -> None:
        super().__init__(model, extractor, device)
        self.bank = filter_bank(self.rate_hz, extractor.num_mel_bins, device)
        self.frames = int(extractor.max_length)
        self.frame_samples = self.bank.frame_samples
        self.window_samples = self.bank.sample_count(self.frames)  # 164,080: 1,024 frames at 16 kHz
        self.hop_samples = self.frames * self.bank.shift_samples  # the next 1,024 frames: 10.24 s on
        make_lean(model)

    def hear(self, windows: Sequence[np.ndarray]) -> Heard:
        return self.hear_equal(windows)  # the front end pads to one length: company changes nothing

    def features(self, windows: Sequence[np.ndarray]) -> dict[str, torch.Tensor]:
        lengths = [len(window) for window in windows]
        padded = torch.zeros(len(windows), max(lengths), pin_memory=self.device.type == "cuda")
        for row, window in zip(padded, windows, strict=True):
            row[: len(window)] = torch.from_numpy(np.ascontiguousarray(window))
        energies = self.bank.log_mel(padded.to(self.device, non_blocking=True))[:, : self.frames]
        for row, length in zip(energies, lengths, strict=True):
            row[self.bank.frame_count(length) :] = 0  # the extractor pads features, and before it normalises
        energies = torch.nn.functional.pad(energies, (0, 0, 0, self.frames - energies.shape[1]))
        if self.extractor.do_normalize:
            energies = (energies - self.extractor.mean) / (self.extractor.std * 2)
        return {"input_values": energies.to(self.dtype)}
