"""The operator `video_duration_filter`: keeps samples by the seconds of their videos.

As in Data-Juicer, the default backend gives durations as ffprobe prints them, with six decimals, and "av"
gives all. Both read the header here, without ffprobe. Where a video stream states no duration, both take
the file's; Data-Juicer's "av" drops these samples.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from datasets import Value

from ...choices import OnError
from ...measures.base import Measure
from ...measures.headers import MICROSECOND_DECIMALS, VideoDuration
from ..media_filter import Limits, VideoFilter
from ..recipe import one_of, option, read_number


@dataclass
class VideoDurationFilter(VideoFilter):
    """Keeps samples with videos of these durations."""

    name: ClassVar[str] = "video_duration_filter"
    stats: ClassVar[Mapping[str, Value]] = {"video_duration": Value("float64")}

    min_duration: float = option(0, read_number)
    max_duration: float = option(sys.maxsize, read_number)
    video_backend: str = option("ffmpeg", one_of("ffmpeg", "av"))

    @property
    def limits(self) -> Mapping[str, Limits]:
        return {"video_duration": (self.min_duration, self.max_duration)}

    def build_measure(self, on_error: OnError) -> Measure:
        decimals = MICROSECOND_DECIMALS if self.video_backend == "ffmpeg" else None
        return VideoDuration(decimals=decimals, on_error=on_error)
