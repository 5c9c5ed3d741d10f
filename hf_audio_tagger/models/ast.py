"""The Audio Spectrogram Transformer: 1,024 frames of log-mel energies, heard by a vision transformer.

Its front end runs here for a whole batch at once and on the model's device; the numbers are those of
``ASTFeatureExtractor``.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..process import on_every_core
from .engines.pruned_ast import make_lean
from .front_ends.kaldi import filter_bank
from .model import ModelOutput
from .transformers_model import TransformersModel

LARGE_PARAMETERS = 20_000_000  # a model of more fills a CPU's caches with one window
SMALL_MODEL_WINDOWS = 4  # what a smaller one hears at once on a CPU


class AstModel(TransformersModel):
    """A checkpoint whose extractor is AST's, the published ones and any trained alike."""

    def __init__(self, model: Any, extractor: Any, device: torch.device) -> None:
        super().__init__(model, extractor, device)
        self.bank = filter_bank(self.rate_hz, extractor.num_mel_bins, device)
        self.frames = int(extractor.max_length)
        self.frame_samples = self.bank.frame_samples
        self.window_samples = self.bank.sample_count(self.frames)  # 164,080: 1,024 frames at 16 kHz
        self.hop_samples = self.frames * self.bank.shift_samples  # the next 1,024 frames: 10.24 s on
        self.at_once = windows_at_once(model, device)
        make_lean(model)

    def predict(self, windows: Sequence[np.ndarray]) -> ModelOutput:
        """A few to a core, where there are enough. The front end pads all to one length."""
        size = self.at_once or len(windows)
        parts = [windows[start : start + size] for start in range(0, len(windows), size)]
        if len(parts) < torch.get_num_threads():
            parts = [windows]  # too few to share out
        return ModelOutput.joined(on_every_core(self.predict_equal_lengths, parts))

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


def windows_at_once(model: Any, device: torch.device) -> int | None:
    """How many windows the model takes at once; None for all.

    On a CPU more windows gain a large model nothing, and its layers' outputs get so large that the system
    hands out new memory for each: 5 to 10 % of AST-base's time.
    """
    if device.type != "cpu":
        return None
    is_large = sum(parameter.numel() for parameter in model.parameters()) > LARGE_PARAMETERS
    return 1 if is_large else SMALL_MODEL_WINDOWS
