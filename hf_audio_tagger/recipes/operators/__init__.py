"""The supported operators, one per file, listed in `CLASSES`."""

from ..operator import Operator
from .video_tagging_from_audio_mapper import VideoTaggingFromAudioMapper

CLASSES: tuple[type[Operator], ...] = (VideoTaggingFromAudioMapper,)
OPERATORS = {operator.name: operator for operator in CLASSES}
