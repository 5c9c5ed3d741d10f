"""Add what a video sounds like to a Hugging Face dataset.

    from hf_audio_tagger import build_tagger

    ds = ds.map(build_tagger(), batched=True, batch_size=64)  # on a CPU or one GPU
    ds["video_audio_tags"][0]  # ["Music"]

Importing this package imports neither torch nor transformers nor datasets: names are loaded when used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__ as __version__

if TYPE_CHECKING:
    from .audioset.grouping import roll_up as roll_up
    from .audioset.label_lists import labels_over as labels_over
    from .audioset.ontology import ontology as ontology
    from .audioset.queries import has_sound as has_sound
    from .audioset.queries import lacks_sound as lacks_sound
    from .clips import ClassifiedClip as ClassifiedClip
    from .clips import classify_clips as classify_clips
    from .errors import ColumnError as ColumnError
    from .errors import MediaError as MediaError
    from .errors import ModelError as ModelError
    from .errors import ProcessError as ProcessError
    from .errors import ResourceError as ResourceError
    from .errors import RunError as RunError
    from .errors import SettingsError as SettingsError
    from .errors import TaggerError as TaggerError
    from .evaluation.evaluate import Evaluation as Evaluation
    from .evaluation.evaluate import evaluate as evaluate
    from .executors.cluster import RayCluster as RayCluster
    from .hub import HubError as HubError
    from .hub import push as push
    from .index.checking import check_index as check_index
    from .index.reading import read_index as read_index
    from .index.sample_weights import read_weights as read_weights
    from .index.sample_weights import sample_weights as sample_weights
    from .index.sample_weights import write_weights as write_weights
    from .index.writing import write_index as write_index
    from .measures.base import Measure as Measure
    from .measures.headers import video_aspect_ratio as video_aspect_ratio
    from .measures.headers import video_duration as video_duration
    from .measures.headers import video_resolution as video_resolution
    from .measures.motion import motion_score as motion_score
    from .measures.sound_files import audio_duration as audio_duration
    from .measures.sound_files import audio_size as audio_size
    from .measures.text import text_area as text_area
    from .neighbors.balance import at_most_per_class as at_most_per_class
    from .neighbors.files import read_neighbors as read_neighbors
    from .neighbors.files import write_neighbors as write_neighbors
    from .neighbors.find import find as find
    from .neighbors.nearest import nearest as nearest
    from .page.report import report as report
    from .predictions.loading import load_predictions as load_predictions
    from .predictions.moments import top_moments as top_moments
    from .provenance import record_model as record_model
    from .recipes import analyze_recipe as analyze_recipe
    from .recipes import run_recipe as run_recipe
    from .runs import export_predictions as export_predictions
    from .runs import tag_dataset as tag_dataset
    from .scores import ClipResult as ClipResult
    from .scores import Segment as Segment
    from .speed import fastest_settings as fastest_settings
    from .tagger import Tagger as Tagger
    from .tagger import build_tagger as build_tagger
    from .thresholds import read_thresholds as read_thresholds
    from .thresholds import write_thresholds as write_thresholds


_NAMES_BY_MODULE = {
    "tagger": "build_tagger Tagger",
    "scores": "ClipResult Segment",
    "clips": "classify_clips ClassifiedClip",
    "audioset.ontology": "ontology",
    "audioset.queries": "has_sound lacks_sound",
    "audioset.label_lists": "labels_over",
    "audioset.grouping": "roll_up",
    "measures.base": "Measure",
    "measures.motion": "motion_score",
    "measures.text": "text_area",
    "runs": "tag_dataset export_predictions",
    "executors.cluster": "RayCluster",
    "index.reading": "read_index",
    "index.checking": "check_index",
    "index.writing": "write_index",
    "index.sample_weights": "sample_weights write_weights read_weights",
    "predictions.loading": "load_predictions",
    "predictions.moments": "top_moments",
    "provenance": "record_model",
    "evaluation.evaluate": "evaluate Evaluation",
    "thresholds": "read_thresholds write_thresholds",
    "neighbors.balance": "at_most_per_class",
    "neighbors.find": "find",
    "neighbors.nearest": "nearest",
    "neighbors.files": "read_neighbors write_neighbors",
    "page.report": "report",
    "hub": "push HubError",
    "speed": "fastest_settings",
    "measures.headers": "video_duration video_resolution video_aspect_ratio",
    "measures.sound_files": "audio_duration audio_size",
    "recipes": "run_recipe analyze_recipe",
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
