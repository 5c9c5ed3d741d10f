"""The operator `video_motion_score_filter`: keeps samples by how much moves in their videos.

As in Data-Juicer, a video without a pair of frames, also one that cannot be read, has a score of -1, and
frames are resized as there: into the transposed size.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from datasets import Value

from ...checks import invalid
from ...choices import OnError
from ...measures.base import Measure
from ...measures.motion import WITHOUT_PAIRS, motion_score
from ..media_filter import Limits, VideoFilter
from ..recipe import option, read_count, read_flag, read_number, reader

# Options for flows and frames of other operators, which are not stored here: with their defaults alone.
read_no_flag = reader("false: flows are not stored", lambda value: value is False)
read_nothing = reader("null: frames are read from videos", lambda value: value is None)


def read_size(name: str, value: Any) -> Any:
    """A number of pixels or a list of them, which the measure checks."""
    if not isinstance(value, int | list):
        raise invalid(name, value, "a whole number of pixels, or a list of one or two of them")
    return value


@dataclass
class VideoMotionScoreFilter(VideoFilter):
    """Keeps samples with videos of these motion scores."""

    name: ClassVar[str] = "video_motion_score_filter"
    stats: ClassVar[Mapping[str, Value]] = {"video_motion_score": Value("float64")}
    unmeasured: ClassVar[Any] = WITHOUT_PAIRS

    min_score: float = option(0.25, read_number)
    max_score: float = option(sys.float_info.max, read_number)
    sampling_fps: float = option(2, read_number)
    size: Any = option(None, read_size)  # noqa: RUF009
    max_size: int | None = option(None, read_count)
    divisible: int = option(1, read_count)
    relative: bool = option(False, read_flag)
    frame_field: None = option(None, read_nothing)
    original_fps: float | None = option(None, read_number)  # used with `frame_field` alone
    if_output_optical_flow: bool = option(False, read_no_flag)
    optical_flow_key: str = option(
        "video_optical_flow", reader("a text", lambda value: isinstance(value, str))
    )

    @property
    def limits(self) -> Mapping[str, Limits]:
        return {"video_motion_score": (self.min_score, self.max_score)}

    def build_measure(self, on_error: OnError) -> Measure:
        return motion_score(
            sampling_fps=self.sampling_fps,
            size=self.size,
            max_size=self.max_size,
            divisible=self.divisible,
            relative=self.relative,
            resize="peer",
            on_error="record",  # in Data-Juicer, too: a score of -1 is no exception
        )
