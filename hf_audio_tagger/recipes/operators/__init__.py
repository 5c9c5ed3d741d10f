"""The operators that recipes may name, a file each. A new one has a line in `CLASSES`."""

from ..operator import Operator
from .video_tagging_from_audio_mapper import VideoTaggingFromAudioMapper

CLASSES: tuple[type[Operator], ...] = (VideoTaggingFromAudioMapper,)
OPERATORS = {operator.name: operator for operator in CLASSES}
