"""The operator `video_aspect_ratio_filter`: keeps samples by width over height of their videos.

As in Data-Juicer, the limits are exact fractions, and the stat that is compared with them has ten decimals:
a video of 4:3 has 1.3333333333, which is less than "4/3".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

from datasets import Value

from ...checks import invalid
from ...choices import OnError
from ...measures.base import Measure
from ...measures.headers import VideoAspectRatio
from ..media_filter import Limits, VideoFilter
from ..recipe import option


def read_ratio(name: str, value: Any) -> Fraction:
    try:
        if isinstance(value, bool):
            raise ValueError
        return Fraction(str(value).replace(":", "/"))
    except (ValueError, ZeroDivisionError):
        raise invalid(name, value, 'a ratio such as "16:9" or "16/9"') from None


@dataclass
class VideoAspectRatioFilter(VideoFilter):
    """Keeps samples with videos of these aspect ratios."""

    name: ClassVar[str] = "video_aspect_ratio_filter"
    stats: ClassVar[Mapping[str, Value]] = {"video_aspect_ratios": Value("float64")}

    min_ratio: Fraction = option(Fraction(9, 21), read_ratio)  # noqa: RUF009
    max_ratio: Fraction = option(Fraction(21, 9), read_ratio)  # noqa: RUF009

    @property
    def limits(self) -> Mapping[str, Limits]:
        return {"video_aspect_ratios": (self.min_ratio, self.max_ratio)}

    def build_measure(self, on_error: OnError) -> Measure:
        return VideoAspectRatio(on_error=on_error)
