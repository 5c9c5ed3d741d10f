"""A network of ours in OpenVINO: an optional engine for CPUs.

It is converted when the model is loaded, once in a process and in memory: nothing is written. Enough rows go
a few to a core, and the cores need not wait for one another; fewer go through all cores together. Each way
is compiled when it is first needed.
"""

import threading
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn

from ...errors import ModelError, ProcessError, SettingsError
from ...process import core_share, inherits_openvino, note_openvino
from ..ast import AstModel
from ..front_ends.logmel import MEL_BANDS, PATCH_FRAMES, PatchModel
from ..model import ModelOutput

PRECISIONS = {torch.float32: "f32", torch.bfloat16: "bf16"}
PATCHES_AT_ONCE = 14  # in one request: a quarter of the model's chunk


class OpenvinoAstModel(AstModel):
    """An AST whose features go through a converted network."""

    def __init__(self, model: Any, extractor: Any, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__(model, extractor, device)
        row_shape = (self.frames, extractor.num_mel_bins)
        self.network = OpenvinoNetwork(WithPooled(model).eval(), row_shape, device, dtype)
        self.at_once = None  # the network shares the rows out by itself
        del self.model  # the converted network has what it needs of it

    def forward(self, inputs: dict[str, torch.Tensor]) -> ModelOutput:
        logits, pooled = self.network(inputs["input_values"])
        return ModelOutput(logits.numpy(), pooled.numpy())


class WithPooled(nn.Module):
    """AST with both of its answers: the logits and the pooled state behind them."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.body, self.classifier = model.audio_spectrogram_transformer, model.classifier

    def forward(self, input_values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        pooled = self.body(input_values).pooler_output
        return self.classifier(pooled), pooled


def in_openvino(model: PatchModel, dtype: torch.dtype) -> PatchModel:
    """The same model with its network converted."""
    assert isinstance(model.network, nn.Module)
    row_shape = (PATCH_FRAMES, MEL_BANDS)
    network = OpenvinoNetwork(model.network, row_shape, model.device, dtype, PATCHES_AT_ONCE)
    return replace(model, network=network)


class OpenvinoNetwork:
    """A float32 network converted for any number of rows, called as the torch one is."""

    def __init__(
        self,
        network: nn.Module,
        row_shape: tuple[int, ...],
        device: torch.device,
        dtype: torch.dtype,
        rows_at_once: int = 1,
    ) -> None:
        if device.type != "cpu":
            raise SettingsError("engine='openvino' computes on the CPU; pass device='cpu'.")
        if dtype not in PRECISIONS:
            raise SettingsError(f"engine='openvino' computes in float32 or bfloat16, not in {dtype}.")
        refuse_after_fork()
        self.converted = converted(network, row_shape)
        self.precision = PRECISIONS[dtype]
        self.rows_at_once = rows_at_once
        self.cores = core_share()
        self.lock = threading.Lock()  # a request answers one caller at a time

    def __call__(self, rows: torch.Tensor) -> list[torch.Tensor]:
        refuse_after_fork()  # the parent's compiled network came along with the fork
        inputs = rows.numpy()
        size = self.rows_at_once
        apart = len(inputs) // (self.cores * size) * self.cores * size if self.cores > 1 else 0
        with self.lock:
            parts = self.a_few_to_a_core([inputs[start : start + size] for start in range(0, apart, size)])
            if apart < len(inputs):
                parts.append(self.all_cores(inputs[apart:]))
        return [torch.from_numpy(np.concatenate(outputs)) for outputs in zip(*parts, strict=True)]

    def a_few_to_a_core(self, parts: Sequence[np.ndarray]) -> list[Sequence[np.ndarray]]:
        answers: list[Any] = [None] * len(parts)
        try:
            for place, part in enumerate(parts):
                self.queue.start_async([part], (answers, place), share_inputs=True)
        finally:
            if parts:
                self.queue.wait_all()  # also after an interrupt: the requests read our memory
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    def all_cores(self, rows: np.ndarray) -> Sequence[np.ndarray]:
        answers = self.request.infer([rows], share_inputs=True)
        return [np.array(output, np.float32) for output in answers.values()]

    @cached_property
    def queue(self) -> Any:
        from openvino import AsyncInferQueue

        queue = AsyncInferQueue(self.compiled(NUM_STREAMS=self.cores), self.cores)
        queue.set_callback(keep_answer)
        return queue

    @cached_property
    def request(self) -> Any:
        return self.compiled(NUM_STREAMS=1).create_infer_request()

    def compiled(self, **streams: int) -> Any:
        import openvino

        settings = {"INFERENCE_PRECISION_HINT": self.precision, "INFERENCE_NUM_THREADS": self.cores}
        return openvino.Core().compile_model(self.converted, "CPU", {**settings, **streams})


def keep_answer(request: Any, where: tuple[list[Any], int]) -> None:
    """Called by OpenVINO's threads, where an exception would end the process: it is kept as the answer."""
    answers, place = where
    try:
        answers[place] = [np.array(output.data, np.float32) for output in request.output_tensors]
    except Exception as error:
        answers[place] = error


def converted(network: nn.Module, row_shape: tuple[int, ...]) -> Any:
    try:
        import openvino
    except ImportError as error:
        raise ModelError(
            "engine='openvino' needs OpenVINO: pip install \"hf-audio-tagger[openvino]\"."
        ) from error
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is what the converter does; its notes help nobody here
        return openvino.convert_model(
            network, example_input=torch.zeros(2, *row_shape), input=[(-1, *row_shape)]
        )


def refuse_after_fork() -> None:
    """A process forked after OpenVINO has run would wait for threads that it did not inherit."""
    if inherits_openvino():
        raise ProcessError(
            "OpenVINO was used in the parent process, and forked workers cannot use it after that. Tag "
            "only in the workers, or start them afresh: import multiprocess; "
            "multiprocess.set_start_method('spawn')."
        )
    note_openvino()
