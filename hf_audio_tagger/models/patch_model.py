"""The audio model of YAMNet and VGGish: a front end, and a network that takes its patches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..activity import add_windows
from ..errors import ModelError
from ..process import on_every_core, one_ahead
from .engines.openvino import OpenvinoNetwork
from .family import ModelOutput
from .front_ends.logmel import (
    FRAME_SAMPLES,
    MEL_BANDS,
    PATCH_FRAMES,
    RATE_HZ,
    WINDOW_SAMPLES,
    draw_patches,
)

PATCH_SHAPE = (PATCH_FRAMES, MEL_BANDS)

# Patches per forward pass. Smaller chunks convert the layout of the weights too often; larger ones exceed the
# CPU caches and allocate new memory.
CPU_CHUNK = 84
DEVICE_CHUNK = 256
OPENVINO_PATCHES = 14  # in one request to OpenVINO, of which a chunk has a whole number
MIN_CHUNK = 2  # a single patch uses other kernels, with different rounding


@dataclass
class PatchModel:
    """A loaded network that takes patches (n, 96, 64) and gives (embeddings, logits)."""

    network: Callable[[Tensor], Sequence[Tensor]]
    log_offset: float
    labels: tuple[str, ...]
    hop_samples: int
    embedding_size: int | None
    device: torch.device
    dtype: torch.dtype
    multi_label: bool = True  # AudioSet clips have several labels
    rate_hz: int = RATE_HZ
    window_samples: int = WINDOW_SAMPLES
    frame_samples: int = FRAME_SAMPLES
    default_windows: str = "all"

    def predict(self, windows: Sequence[np.ndarray]) -> ModelOutput:
        if not len(windows):
            empty = np.empty((0, len(self.labels)), np.float32)
            return ModelOutput(empty, np.empty((0, self.embedding_size or 0), np.float32))
        on_cpu = self.device.type == "cpu"
        size = CPU_CHUNK if on_cpu else DEVICE_CHUNK
        chunks = [windows[start : start + size] for start in range(0, len(windows), size)]
        outputs = on_every_core(self.predict_chunk, chunks) if on_cpu else map(self.predict_chunk, chunks)
        return ModelOutput.concatenate(list(outputs))

    @torch.inference_mode()
    def predict_chunk(self, windows: Sequence[np.ndarray]) -> ModelOutput:
        patches = self.draw([*windows, *[windows[0]] * (MIN_CHUNK - len(windows))])
        outputs = [output[: len(windows)].float().cpu().numpy() for output in self.network(patches)]
        add_windows(len(windows))
        return ModelOutput(embeddings=outputs[0], logits=outputs[1])

    @torch.inference_mode()
    def draw(self, windows: Sequence[np.ndarray]) -> Tensor:
        """The network's patches for windows, on its device."""
        padded = [pad_window(window) for window in windows]
        # The logarithm of a quiet sound needs float32, whatever the network's dtype.
        return draw_patches(padded, self.log_offset, self.device).to(self.dtype)


class OpenvinoPatchModel(PatchModel):
    """A patch model whose network is converted to OpenVINO."""

    network: OpenvinoNetwork

    def predict(self, windows: Sequence[np.ndarray]) -> ModelOutput:
        """The front end of a chunk runs while the network is at those before it."""
        if not len(windows):
            return super().predict(windows)
        chunks = [windows[start : start + CPU_CHUNK] for start in range(0, len(windows), CPU_CHUNK)]
        patches = one_ahead(self.draw, chunks)
        parts = (part for chunk in patches for part in chunk.split(OPENVINO_PATCHES))
        embeddings, logits = self.network.run(parts, len(windows))
        return ModelOutput(logits.numpy(), embeddings.numpy())


def pad_window(window: np.ndarray) -> np.ndarray:
    """A window with zeros at its end, if it is short."""
    if window.ndim != 1 or len(window) > WINDOW_SAMPLES:
        raise ModelError(
            f"a window must be mono with at most {WINDOW_SAMPLES} samples; got shape {window.shape}"
        )
    return window if len(window) == WINDOW_SAMPLES else np.pad(window, (0, WINDOW_SAMPLES - len(window)))
