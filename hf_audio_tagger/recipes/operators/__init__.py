"""The supported operators, one per file, listed in `CLASSES`."""

from ..operator import Operator
from .audio_duration_filter import AudioDurationFilter
from .audio_size_filter import AudioSizeFilter
from .video_aspect_ratio_filter import VideoAspectRatioFilter
from .video_audio_tags_filter import VideoAudioTagsFilter
from .video_duration_filter import VideoDurationFilter
from .video_motion_score_filter import VideoMotionScoreFilter
from .video_ocr_area_ratio_filter import VideoOcrAreaRatioFilter
from .video_resolution_filter import VideoResolutionFilter
from .video_tagging_from_audio_mapper import VideoTaggingFromAudioMapper

CLASSES: tuple[type[Operator], ...] = (
    AudioDurationFilter,
    AudioSizeFilter,
    VideoAspectRatioFilter,
    VideoAudioTagsFilter,
    VideoDurationFilter,
    VideoMotionScoreFilter,
    VideoOcrAreaRatioFilter,
    VideoResolutionFilter,
    VideoTaggingFromAudioMapper,
)
OPERATORS = {operator.name: operator for operator in CLASSES}
