"""Converts torch networks to OpenVINO, here or in a process of its own.

A conversion takes several times the memory of the weights, and a system hardly gets it back while the process
lives. So a large network is converted in a process that writes it to a file and ends.
"""

import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ...errors import transportable
from ...process import core_share

LARGE_BYTES = 64 << 20  # of the weights; converting a smaller network takes less than another process does
INT8_LARGEST = 127
FEW_ROWS = 16  # products of fewer rows take no time, and keep their weights

# The child imports from where its parent does; the rest of its input is read by `answer`.
CHILD = f"""import pickle, sys
sys.path[:] = pickle.load(sys.stdin.buffer)
from {__name__} import answer
answer()"""


@dataclass(frozen=True)
class NetworkSource:
    """A float32 torch network that OpenVINO is to compute."""

    build: Callable[[], nn.Module]  # survives pickle
    row_shape: tuple[int, ...]  # of its input
    weights_bytes: int
    identity: tuple[Hashable, ...] | None  # what tells it from other networks; None: not to be kept


def convert(source: NetworkSource, is_int8: bool) -> Any:
    """The converted network, for any number of rows; with `is_int8` its weights are quantized."""
    import openvino

    network = source.build()
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # from tracing in the converter
        example = torch.zeros(2, *source.row_shape)
        model = openvino.convert_model(network, example_input=example, input=[(-1, *source.row_shape)])
    if is_int8:
        quantize_weights(model)
    return model


def quantize_weights(model: Any) -> None:
    """Replace the weights of matrix products by int8, with a scale for each output channel.

    OpenVINO recognizes constant, conversion and product with a scale, and computes with the int8 values.
    """
    from openvino import opset13 as ops

    for product in model.get_ops():
        if product.get_type_name() != "MatMul" or has_few_rows(product.input_value(0)):
            continue
        constant = product.input_value(1).get_node()
        if constant.get_type_name() != "Constant" or not product.get_attributes()["transpose_b"]:
            continue
        weights = np.asarray(constant.get_data(), np.float32)  # (channels out, channels in)
        scales = np.abs(weights).max(axis=1, keepdims=True) / INT8_LARGEST
        scales[scales == 0] = 1
        quantized = np.rint(weights / scales).astype(np.int8)
        scaled = ops.multiply(ops.convert(ops.constant(quantized), "f32"), ops.constant(scales))
        product.input(1).replace_source_output(scaled.output(0))


def has_few_rows(left: Any) -> bool:
    """Whether a product's left side has one row for each window, or a few."""
    rows = list(left.get_partial_shape())[1:-1]
    return (
        all(count.is_static for count in rows) and np.prod([count.get_length() for count in rows]) < FEW_ROWS
    )


def save(model: Any, path: Path) -> None:
    """Write PATH.xml and PATH.bin, unchanged. Raises OSError where the disk is full."""
    import openvino

    try:
        openvino.save_model(model, path, compress_to_fp16=False)
    except RuntimeError as error:  # openvino has no other for an error of the file system
        raise OSError(f"{path} cannot be written: {error}") from error


def convert_apart(source: NetworkSource, is_int8: bool, path: Path) -> None:
    """Convert a network in a process of its own, which writes it to `path`."""
    job = pickle.dumps([*sys.path]) + pickle.dumps((source, is_int8, path))
    environment = {**os.environ, "OMP_NUM_THREADS": str(core_share())}
    # What it prints is no answer: libraries print, and so does a machine's sitecustomize.
    child = subprocess.run(
        [sys.executable, "-c", CHILD], input=job, stdout=subprocess.DEVNULL, env=environment, check=False
    )
    failure = name_failure(path)
    if failure.is_file():
        raise pickle.loads(failure.read_bytes())
    if child.returncode != 0:  # killed, for want of memory perhaps
        raise OSError(f"the process that converts a network for OpenVINO ended with {child.returncode}")


def answer() -> None:
    """The child's part: write the converted network, or which error there was."""
    source, is_int8, path = pickle.load(sys.stdin.buffer)
    try:
        save(convert(source, is_int8), path)
    except Exception as error:
        name_failure(path).write_bytes(pickle.dumps(transportable(error)))


def name_failure(path: Path) -> Path:
    return path.with_name("failure.pickle")
