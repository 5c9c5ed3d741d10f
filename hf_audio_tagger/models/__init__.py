"""Models: `get_model` loads what a `ModelSpec` names and keeps it for this process."""

import os
import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import TYPE_CHECKING

from ..process import pick_device, prepare_torch
from .family import AudioModel, ModelOutput
from .registry import find_family
from .spec import ModelSpec

if TYPE_CHECKING:
    import torch

__all__ = ["AudioModel", "ModelOutput", "ModelSpec", "get_model", "identify_model"]

KEPT_MODELS = 2  # of the latest used in one process

_loaded: OrderedDict[tuple[Hashable, str], AudioModel] = OrderedDict()
_lock = threading.Lock()


def get_model(spec: ModelSpec, device: str | None = None, rank: int | None = None) -> AudioModel:
    """The model of this process for a spec, loaded when it is first asked for."""
    import torch

    prepare_torch()
    chosen = pick_device(device, rank)
    key = (identify_model(spec, chosen), chosen)
    with _lock:
        if key not in _loaded:
            while len(_loaded) >= KEPT_MODELS:
                _loaded.popitem(last=False)
            _loaded[key] = load(spec, torch.device(chosen))
        _loaded.move_to_end(key)
        return _loaded[key]


def load(spec: ModelSpec, device: "torch.device") -> AudioModel:
    return find_family(spec.model).load(spec, device)


def identify_model(spec: ModelSpec, device: str | None = None) -> tuple[Hashable, ...]:
    """What of a model can change an output. `dtype="auto"` counts as the dtype that it is on the device."""
    family = find_family(spec.model)
    return (family.name, *family.identify(spec), spec.resolve_dtype(device), spec.engine)


def _after_fork() -> None:
    """A lock that another thread of the parent held would never be released in the child."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
