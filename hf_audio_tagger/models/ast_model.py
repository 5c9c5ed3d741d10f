"""The Audio Spectrogram Transformer: a vision transformer over 1,024 frames of log-mel energies.

Its front end computes a whole batch at once, on the model's device; the numbers are those of
``ASTFeatureExtractor``.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..process import on_every_core
from .engines.openvino import OpenvinoNetwork
from .family import ModelOutput
from .front_ends.kaldi import FilterBank
from .networks.ast import AstNetwork, prune_last_layer
from .transformers_model import TransformersModel

LARGE_PARAMETERS = 20_000_000  # of a larger model one window fills a CPU's caches
SMALL_MODEL_WINDOWS = 4


class AstModel(TransformersModel):
    """A checkpoint whose feature extractor is AST's."""

    def __init__(self, model: Any, extractor: Any, device: torch.device) -> None:
        super().__init__(model, extractor, device)
        self.bank = FilterBank(self.rate_hz, extractor.num_mel_bins, device)
        self.frames = int(extractor.max_length)
        self.frame_samples = self.bank.frame_samples
        self.hop_samples = self.frames * self.bank.shift_samples  # 1,024 frames: 10.24 s
        self.window_samples = self.hop_samples - self.bank.shift_samples + self.frame_samples
        self.chunk_windows: int | None = None  # windows that the model takes at a time; None: all
        if device.type == "cpu":
            # A large model gains nothing from more windows, and the outputs of its layers become so large
            # that the system allocates new memory for each: 5 to 10 % of AST-base's time.
            is_large = sum(parameter.numel() for parameter in model.parameters()) > LARGE_PARAMETERS
            self.chunk_windows = 1 if is_large else SMALL_MODEL_WINDOWS
        prune_last_layer(model)

    def predict(self, windows: Sequence[np.ndarray]) -> ModelOutput:
        """In chunks that the cores share, where there are enough. The front end pads all to one length."""
        size = self.chunk_windows or len(windows)
        chunks = [windows[start : start + size] for start in range(0, len(windows), size)]
        if len(chunks) < torch.get_num_threads():
            chunks = [windows]
        return ModelOutput.concatenate(on_every_core(self.predict_equal_lengths, chunks))

    def features(self, windows: Sequence[np.ndarray]) -> dict[str, torch.Tensor]:
        lengths = [len(window) for window in windows]
        padded = torch.zeros(len(windows), max(lengths), pin_memory=self.device.type == "cuda")
        for row, window in zip(padded, windows, strict=True):
            row[: len(window)] = torch.from_numpy(np.ascontiguousarray(window))
        energies = self.bank.log_mel(padded.to(self.device, non_blocking=True))[:, : self.frames]
        for row, length in zip(energies, lengths, strict=True):
            row[self.bank.count_frames(length) :] = 0  # as the extractor pads: features, before normalizing
        energies = torch.nn.functional.pad(energies, (0, 0, 0, self.frames - energies.shape[1]))
        if self.extractor.do_normalize:
            energies = (energies - self.extractor.mean) / (self.extractor.std * 2)
        return {"input_values": energies.to(self.dtype)}


class OpenvinoAstModel(AstModel):
    """An AST whose network is converted to OpenVINO."""

    def __init__(self, model: Any, extractor: Any, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__(model, extractor, device)
        row_shape = (self.frames, extractor.num_mel_bins)
        self.network = OpenvinoNetwork(AstNetwork(model).eval(), row_shape, device, dtype)
        self.chunk_windows = None  # the network shares rows among the cores
        del self.model  # frees weights that the converted network has copied

    def forward(self, inputs: dict[str, torch.Tensor]) -> ModelOutput:
        logits, pooled = self.network(inputs["input_values"])
        return ModelOutput(logits.numpy(), pooled.numpy())
