"""Add what a video sounds like to a Hugging Face dataset.

    from hf_audio_tagger import build_tagger

    ds = ds.map(build_tagger(), num_proc=4)
    ds["video_audio_tags"][0]  # ["Music"]

Importing this package imports neither torch nor transformers nor datasets: names are loaded when used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .collection import export_predictions as export_predictions
    from .collection.moments import top_moments as top_moments
    from .collection.predictions import load_predictions as load_predictions
    from .errors import ColumnError as ColumnError
    from .errors import MediaError as MediaError
    from .errors import ModelError as ModelError
    from .errors import ProcessError as ProcessError
    from .errors import ResourceError as ResourceError
    from .errors import RunError as RunError
    from .errors import SettingsError as SettingsError
    from .errors import TaggerError as TaggerError
    from .hub import HubError as HubError
    from .hub import push as push
    from .ontology import ontology as ontology
    from .questions import has_sound as has_sound
    from .questions import lacks_sound as lacks_sound
    from .questions import roll_up as roll_up
    from .runs import tag_dataset as tag_dataset
    from .tagger import Tagger as Tagger
    from .tagger import build_tagger as build_tagger

__version__ = "0.1.0"

_HOMES = {
    "build_tagger": "tagger",
    "Tagger": "tagger",
    "export_predictions": "collection",
    "load_predictions": "collection.predictions",
    "top_moments": "collection.moments",
    "has_sound": "questions",
    "lacks_sound": "questions",
    "roll_up": "questions",
    "push": "hub",
    "tag_dataset": "runs",
    "HubError": "hub",
    "TaggerError": "errors",
    "SettingsError": "errors",
    "ColumnError": "errors",
    "ModelError": "errors",
    "MediaError": "errors",
    "ProcessError": "errors",
    "RunError": "errors",
    "ResourceError": "errors",
}

__all__ = [*_HOMES, "ontology"]


def __getattr__(name: str) -> Any:
    if name == "ontology":
        return import_module(".ontology", __name__)
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
