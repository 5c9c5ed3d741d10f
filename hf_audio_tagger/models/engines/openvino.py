"""OpenVINO, an optional engine for CPUs.

Large batches are split so that each core processes its own requests; few remaining rows are computed by all
cores together. Each of the two modes is compiled on first use, which takes a second and 350 MB for AST-base;
both share the file that the weights are mapped from.
"""

import threading
from collections.abc import Callable, Iterable
from functools import cached_property
from itertools import islice
from math import ceil
from typing import Any

import numpy as np
import torch

from ...activity import COMPILING, add_windows, in_stage, window_counter
from ...errors import ModelError, ProcessError, SettingsError
from ...process import core_share, inherits_openvino, note_openvino
from ..spec import has_native_bfloat16
from .conversion import NetworkSource
from .kept_networks import open_network

PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}
# Each process would bind its threads to the same first cores, and threads that decode would wait for these.
ANY_CORE = {"ENABLE_CPU_PINNING": False}
INT8 = "int8"
# Activations that share a scale in an int8 product. Smaller groups are more exact; larger ones were slower.
GROUP_SIZE = 192


class OpenvinoNetwork:
    """A network that OpenVINO computes for any number of rows, of which a request takes `request_rows`."""

    def __init__(self, source: NetworkSource, device: torch.device, dtype: str, rows: int = 1) -> None:
        if device.type != "cpu":
            raise SettingsError("engine='openvino' computes on the CPU; pass device='cpu'.")
        if dtype not in (*PRECISIONS, INT8):
            raise SettingsError(f"engine='openvino' computes in float32, bfloat16 or int8, not in {dtype}.")
        refuse_after_fork()
        try:
            import openvino
        except ImportError as error:
            raise ModelError(
                f'engine="openvino" (dtype="{dtype}") needs pip install "hf-audio-tagger[openvino]".'
            ) from error
        self.openvino = openvino
        self.model = open_network(source, dtype == INT8)
        self.widths = [output.get_partial_shape()[-1].get_length() for output in self.model.outputs]
        self.settings = list_settings(dtype)
        self.request_rows = rows
        self.cores = core_share()
        self.lock = threading.Lock()  # a request can be used by one caller at a time

    def __call__(self, rows: torch.Tensor) -> list[torch.Tensor]:
        """Called like the torch network."""
        return self.run(rows.split(self.request_rows), len(rows))

    def run(self, parts: Iterable[torch.Tensor], count: int) -> list[torch.Tensor]:
        """The outputs for `count` rows, whose parts have `request_rows` each, the last one the rest.

        A part is taken while the network runs on those before it, so that whoever makes the parts keeps no
        core waiting.
        """
        refuse_after_fork()  # a forked process cannot use the parent's compiled network
        made = (part.numpy() for part in parts)
        shared = self.count_apart(count) if self.cores > 1 else 0
        with self.lock:
            done = self.run_on_each_core(made, shared) if shared else []
            for part in made if self.cores == 1 else join(made):
                outputs = self.request.infer([part], share_inputs=True)
                done.append([np.array(output, np.float32) for output in outputs.values()])
                add_windows(len(part))
        return [torch.from_numpy(np.concatenate(outputs)) for outputs in zip(*done, strict=True)]

    def count_apart(self, count: int) -> int:
        """How many parts a core computes alone: of a large batch also a rest for half of the cores."""
        parts = ceil(count / self.request_rows)
        rest = parts % self.cores
        return parts if parts > self.cores and 2 * rest >= self.cores else parts - rest

    def run_on_each_core(self, parts: Iterable[np.ndarray], count: int) -> list[list[np.ndarray]]:
        results: list[Any] = [None] * count
        add = window_counter()
        try:
            for index, part in enumerate(islice(parts, count)):
                # The request reads our memory, so that it keeps the part alive.
                self.queue.start_async([part], (results, index, add, part), share_inputs=True)
        finally:
            self.queue.wait_all()  # also after an interrupt
        for result in results:
            if isinstance(result, Exception):
                raise result
        return results

    @cached_property
    def queue(self) -> Any:
        queue = self.openvino.AsyncInferQueue(self.compile(NUM_STREAMS=self.cores), self.cores)
        queue.set_callback(keep_result)
        return queue

    @cached_property
    def request(self) -> Any:
        return self.compile(NUM_STREAMS=1).create_infer_request()

    def compile(self, **streams: int) -> Any:
        settings = {**self.settings, **ANY_CORE, "INFERENCE_NUM_THREADS": self.cores, **streams}
        with in_stage(COMPILING):
            return self.openvino.Core().compile_model(self.model, "CPU", settings)


def list_settings(dtype: str) -> dict[str, Any]:
    """OpenVINO's settings for a dtype. With int8, activations are quantized as they come."""
    if dtype != INT8:
        return {"INFERENCE_PRECISION_HINT": PRECISIONS[dtype]}
    rest = "bfloat16" if has_native_bfloat16(torch.device("cpu")) else "float32"
    return {"INFERENCE_PRECISION_HINT": PRECISIONS[rest], "DYNAMIC_QUANTIZATION_GROUP_SIZE": GROUP_SIZE}


def join(parts: Iterable[np.ndarray]) -> list[np.ndarray]:
    """All rows as one part, if there are any."""
    found = list(parts)
    return [np.concatenate(found)] if found else []


def keep_result(request: Any, target: tuple[list[Any], int, Callable[[int], None], np.ndarray]) -> None:
    """Runs in OpenVINO's threads, where an exception would end the process, so it becomes the result."""
    results, index, count, _ = target
    try:
        results[index] = [np.array(output.data, np.float32) for output in request.output_tensors]
        count(len(results[index][0]))
    except Exception as error:
        results[index] = error


def refuse_after_fork() -> None:
    if inherits_openvino():
        raise ProcessError(
            "OpenVINO was used in the parent process, and forked workers cannot use it after that. Tag "
            "only in the workers, or start them afresh: import multiprocess; "
            "multiprocess.set_start_method('spawn')."
        )
    note_openvino()
