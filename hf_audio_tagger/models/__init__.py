"""Models. `get_model` loads the model of a `ModelSpec` and caches it in this process."""

import os
import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..activity import LOADING, in_stage
from ..checks import invalid
from ..errors import SettingsError
from ..process import convert_memory_errors, pick_device, prepare_torch
from .family import AudioModel, ModelOutput
from .registry import TEXT_MODELS, find_family, resolve_family
from .spec import ModelSpec, check_openvino

if TYPE_CHECKING:
    import torch

__all__ = ["AudioModel", "ModelOutput", "ModelSpec", "get_model", "identify_model"]

KEPT_MODELS = 2  # most recently used, per process

_loaded: OrderedDict[tuple[Hashable, str], AudioModel] = OrderedDict()
_lock = threading.Lock()


def get_model(spec: ModelSpec, device: str | None = None, rank: int | None = None) -> AudioModel:
    """The cached model for a spec, loaded on first use."""
    import torch

    prepare_torch()
    chosen = pick_device(device, rank)
    key = (identify_model(spec, chosen), chosen)
    with _lock:
        if key not in _loaded:
            while len(_loaded) >= KEPT_MODELS:
                _loaded.popitem(last=False)
            with in_stage(LOADING), convert_memory_errors():
                _loaded[key] = load(spec, torch.device(chosen))
        _loaded.move_to_end(key)
        return _loaded[key]


def load(spec: ModelSpec, device: "torch.device") -> AudioModel:
    return resolve_family(spec).load(spec, device)


def embed_texts(spec: ModelSpec, device: str | None, texts: Sequence[str]) -> np.ndarray:
    """The embeddings of texts by a model that compares sound with text."""
    if not resolve_family(spec).takes_labels:
        raise SettingsError(f"model={spec.model!r} has no text side. {TEXT_MODELS}")
    if isinstance(texts, str) or not all(isinstance(text, str) and text.strip() for text in texts):
        raise invalid("texts", texts, "a list of texts")
    model: Any = get_model(spec, device)  # an `AudioTextModel`
    embeddings: np.ndarray = model.embed_texts(list(texts))
    return embeddings


def check_machine(spec: ModelSpec, device: str | None) -> None:
    """Raise an error if this machine lacks the device or the engine. Imports torch only where it must."""
    needs_openvino = spec.engine == "openvino"
    if needs_openvino:
        check_openvino()
    if needs_openvino or device not in (None, "cpu"):
        chosen = pick_device(device, 0)
        if needs_openvino and chosen != "cpu":
            raise SettingsError(f"engine='openvino' computes on the CPU, not on {chosen}; pass device='cpu'.")


def identify_model(spec: ModelSpec, device: str | None = None) -> tuple[Hashable, ...]:
    """Everything about a model that can change an output. `dtype="auto"` is resolved for the device."""
    family = find_family(spec.model)
    return (family.name, *family.identify(spec), spec.resolve_dtype(device), spec.engine)


def _after_fork() -> None:
    """Replace the lock: if another thread of the parent held it, the child could never acquire it."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
