"""Add what a video sounds like to a Hugging Face dataset.

    from hf_audio_tagger import build_tagger

    ds = ds.map(build_tagger(), num_proc=4)
    ds["video_audio_tags"][0]  # ["Music"]

Importing this package imports neither torch nor transformers nor datasets: names are loaded when used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__ as __version__

if TYPE_CHECKING:
    from .audioset.ontology import ontology as ontology
    from .audioset.queries import has_sound as has_sound
    from .audioset.queries import lacks_sound as lacks_sound
    from .audioset.queries import roll_up as roll_up
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
    from .measures.base import Measure as Measure
    from .measures.motion import motion_score as motion_score
    from .measures.text import text_area as text_area
    from .predictions.loading import load_predictions as load_predictions
    from .predictions.moments import top_moments as top_moments
    from .runs import export_predictions as export_predictions
    from .runs import tag_dataset as tag_dataset
    from .scores import ClipResult as ClipResult
    from .scores import Segment as Segment
    from .tagger import Tagger as Tagger
    from .tagger import build_tagger as build_tagger


_NAMES_BY_MODULE = {
    "tagger": "build_tagger Tagger",
    "scores": "ClipResult Segment",
    "audioset.ontology": "ontology",
    "audioset.queries": "has_sound lacks_sound roll_up",
    "measures.base": "Measure",
    "measures.motion": "motion_score",
    "measures.text": "text_area",
    "runs": "tag_dataset export_predictions",
    "predictions.loading": "load_predictions",
    "predictions.moments": "top_moments",
    "hub": "push HubError",
    "errors": "TaggerError SettingsError ColumnError ModelError MediaError ProcessError RunError "
    "ResourceError",
}
_MODULES = {name: module for module, names in _NAMES_BY_MODULE.items() for name in names.split()}

__all__ = [*_MODULES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f".{_MODULES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
