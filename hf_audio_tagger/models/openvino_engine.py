"""AST's forward pass in OpenVINO: an optional engine for CPUs.

The network is converted when the model is loaded, once in a process and in memory: nothing is written.
"""

import os
import warnings
from typing import Any

import numpy as np
import torch
from torch import nn

from ..errors import ModelError, ProcessError, SettingsError
from ..process import core_share, is_forked
from .ast import AstListener
from .contract import Heard

PRECISIONS = {torch.float32: "f32", torch.bfloat16: "bf16"}

_used_by: set[int] = set()  # processes that have run OpenVINO: their forks inherit its dead threads


class OpenvinoAstListener(AstListener):
    """An AST whose features go through a converted network."""

    def __init__(self, model: Any, extractor: Any, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__(model, extractor, device)
        self.network = compiled(model, (self.frames, extractor.num_mel_bins), device, dtype)
        del self.model  # its weights are in the compiled network, and once is enough

    def forward(self, inputs: dict[str, torch.Tensor]) -> Heard:
        refuse_after_fork()  # the parent's compiled network came along with the fork
        answers = self.network(inputs["input_values"].numpy())
        return Heard(answers[0].astype(np.float32), answers[1].astype(np.float32))


class WithPooled(nn.Module):
    """AST with both of its answers: the logits and the pooled state behind them."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.body, self.classifier = model.audio_spectrogram_transformer, model.classifier

    def forward(self, input_values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        pooled = self.body(input_values).pooler_output
        return self.classifier(pooled), pooled


def compiled(model: Any, feature_shape: tuple[int, int], device: torch.device, dtype: torch.dtype) -> Any:
    """Convert a float32 AST for any batch size, and compile it for this process's share of the cores."""
    try:
        import openvino
    except ImportError as error:
        raise ModelError(
            "engine='openvino' needs OpenVINO: pip install \"hf-audio-tagger[openvino]\"."
        ) from error
    if device.type != "cpu":
        raise SettingsError("engine='openvino' computes on the CPU; pass device='cpu'.")
    if dtype not in PRECISIONS:
        raise SettingsError(f"engine='openvino' computes in float32 or bfloat16, not in {dtype}.")
    refuse_after_fork()
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is what the converter does; its notes help nobody here
        converted = openvino.convert_model(
            WithPooled(model).eval(),
            example_input=torch.zeros(2, *feature_shape),
            input=[(-1, *feature_shape)],
        )
    settings = {
        "INFERENCE_PRECISION_HINT": PRECISIONS[dtype],
        "INFERENCE_NUM_THREADS": core_share(),
        "PERFORMANCE_HINT": "LATENCY",
    }
    return openvino.Core().compile_model(converted, "CPU", settings)


def refuse_after_fork() -> None:
    """A process forked after OpenVINO has run would wait for threads that it did not inherit."""
    if is_forked() and _used_by - {os.getpid()}:
        raise ProcessError(
            "OpenVINO was used in the parent process, and forked workers cannot use it after that. Tag "
            "only in the workers, or start them afresh: import multiprocess; "
            "multiprocess.set_start_method('spawn')."
        )
    _used_by.add(os.getpid())
