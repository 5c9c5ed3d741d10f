"""The models, one file a family. `get_model` is the only place that knows them all.

The loaded model is state of the process: loaded on the first call, kept, never pickled.
"""

import os
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from ..audioset.ontology import ontology
from ..errors import ModelError
from ..process import pick_device, prepare_torch
from .model import AudioModel, ModelOutput
from .spec import WEIGHT_FAMILIES, ModelSpec

if TYPE_CHECKING:
    import torch

__all__ = ["AudioModel", "ModelOutput", "ModelSpec", "get_model", "labels_of"]

KEPT_MODELS = 2  # of the latest used in one process

_loaded: OrderedDict[tuple[object, str], AudioModel] = OrderedDict()
_lock = threading.Lock()


def get_model(spec: ModelSpec, device: str | None = None, rank: int | None = None) -> AudioModel:
    """The model of this process for a spec, loaded when it is first asked for."""
    import torch

    prepare_torch()
    chosen = pick_device(device, rank)
    key = (spec.identity(chosen), chosen)
    with _lock:
        if key not in _loaded:
            while len(_loaded) >= KEPT_MODELS:
                _loaded.popitem(last=False)
            _loaded[key] = load(spec, torch.device(chosen))
        _loaded.move_to_end(key)
        return _loaded[key]


def load(spec: ModelSpec, device: "torch.device") -> AudioModel:
    """Load a model of whichever family its name says."""
    if spec.model in WEIGHT_FAMILIES:
        return load_patch_model(spec, device)
    from .transformers_model import load_pretrained, quiet

    model, extractor = load_pretrained(spec, device)
    with quiet():
        return build_transformers_model(spec, model, extractor, device)


def load_patch_model(spec: ModelSpec, device: "torch.device") -> AudioModel:
    """YAMNet or VGGish in the engine that was asked for."""
    from .vggish import load_vggish
    from .yamnet import load_yamnet

    load_family = load_yamnet if spec.model == "yamnet" else load_vggish
    loaded = load_family(spec.weights, str(device), spec.loading_dtype(device))
    if spec.engine == "torch":
        return loaded
    from .engines.openvino import in_openvino

    return in_openvino(loaded, spec.torch_dtype(device))


def build_transformers_model(
    spec: ModelSpec, model: Any, extractor: Any, device: "torch.device"
) -> AudioModel:
    """AST gets its own front end, and the engine that was asked for."""
    from transformers import ASTFeatureExtractor

    from .ast import AstModel
    from .engines.openvino import OpenvinoAstModel
    from .transformers_model import TransformersModel

    is_ast = type(extractor) is ASTFeatureExtractor
    if spec.engine == "openvino" and not is_ast:
        kind = model.config.model_type
        raise ModelError(f"engine='openvino' runs AST, YAMNet and VGGish; {spec.model!r} is a {kind}.")
    if spec.engine == "openvino":
        return OpenvinoAstModel(model, extractor, device, spec.torch_dtype(device))
    return AstModel(model, extractor, device) if is_ast else TransformersModel(model, extractor, device)


def labels_of(spec: ModelSpec) -> tuple[str, ...]:
    """A model's class names by index, without loading its weights or touching a device."""
    if spec.model == "yamnet":
        return tuple(category.name for category in ontology.yamnet_classes())
    if spec.model == "vggish":
        from .vggish import labels_of_weights

        return labels_of_weights(spec.weights)
    from .transformers_model import config_labels

    return config_labels(spec)


def _after_fork() -> None:
    """A lock that another thread of the parent held would stay shut for ever."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
