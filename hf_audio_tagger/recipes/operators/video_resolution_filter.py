"""The operator `video_resolution_filter`: keeps samples by width and height of their videos.

A picture that players rotate counts as it is stored, as in Data-Juicer.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from datasets import Value

from ...choices import OnError
from ...measures.base import Measure
from ...measures.headers import VideoResolution
from ..media_filter import Limits, VideoFilter
from ..recipe import option, read_whole_number


@dataclass
class VideoResolutionFilter(VideoFilter):
    """Keeps samples with videos of these widths and heights."""

    name: ClassVar[str] = "video_resolution_filter"
    stats: ClassVar[Mapping[str, Value]] = {"video_width": Value("int64"), "video_height": Value("int64")}

    min_width: int = option(1, read_whole_number)
    max_width: int = option(sys.maxsize, read_whole_number)
    min_height: int = option(1, read_whole_number)
    max_height: int = option(sys.maxsize, read_whole_number)

    @property
    def limits(self) -> Mapping[str, Limits]:
        return {
            "video_width": (self.min_width, self.max_width),
            "video_height": (self.min_height, self.max_height),
        }

    def build_measure(self, on_error: OnError) -> Measure:
        return VideoResolution(on_error=on_error)

    def split(self, value: Any) -> tuple[Any, ...]:
        return value["width"], value["height"]
