"""AST computed by OpenVINO: its config and extractor, and a network that may come from the cache folder."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..process import one_ahead
from .engines.openvino import OpenvinoNetwork
from .family import ModelOutput
from .front_ends.ast import AstFrontEnd
from .transformers_model import is_multi_label, read_class_names


class OpenvinoAstModel:
    default_windows = "first"

    def __init__(
        self,
        network: OpenvinoNetwork,
        config: Any,
        extractor: Any,
        device: torch.device,
    ) -> None:
        """`network` gives logits and pooled states."""
        self.network = network
        self.device = device
        self.labels = read_class_names(config)
        self.multi_label = is_multi_label(config, self.labels)
        self.embedding_size: int | None = config.hidden_size
        self.front_end = AstFrontEnd(extractor, device)
        self.rate_hz, self.frame_samples = self.front_end.rate_hz, self.front_end.frame_samples
        self.window_samples, self.hop_samples = self.front_end.window_samples, self.front_end.hop_samples

    def predict(self, windows: Sequence[np.ndarray]) -> ModelOutput:
        """The front end of a window runs while the network is at those before it."""
        logits, pooled = self.network.run(one_ahead(self.make_row, windows), len(windows))
        return ModelOutput(logits.numpy(), pooled.numpy())

    @torch.inference_mode()
    def make_row(self, window: np.ndarray) -> torch.Tensor:
        return self.front_end.features([window])


def count_parameters(config: Any) -> int:
    """About the number of an AST's parameters: those of its layers."""
    width, inner = config.hidden_size, config.intermediate_size
    return int(config.num_hidden_layers * (4 * width * width + 2 * width * inner))
