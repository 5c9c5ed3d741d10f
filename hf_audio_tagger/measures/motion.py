"""`motion_score`: how much moves in a video, as Data-Juicer's `video_motion_score_filter` measures it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from ..cells import Media
from ..checks import COUNT, check_choice, invalid, is_count, is_number
from ..media.frames import LONGEST_SECONDS, Pictures, open_pictures
from ..media.opencv import load_opencv
from .base import Measure
from .flow import Sample, Sampling, compute_flow, map_pairs, measure_flow

RESIZES = ("aspect", "peer")
WITHOUT_PAIRS = -1.0  # the score of a video of one frame


@dataclass(frozen=True, kw_only=True)
class MotionScore(Measure):
    """Adds `video_motion_score`; made by `motion_score`."""

    name: ClassVar[str] = "video_motion_score"
    value_type: ClassVar[pa.DataType] = pa.float64()
    of_content: ClassVar[bool] = True

    sampling_fps: float = 2.0
    size: int | Sequence[int] | None = None
    max_size: int | None = None
    divisible: int = 1
    relative: bool = False
    resize: str = "aspect"
    max_seconds: float = LONGEST_SECONDS

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("sampling_fps", "max_seconds"):
            value = getattr(self, name)
            if not (is_number(value) and math.isfinite(value) and value > 0):
                raise invalid(name, value, "a number above 0")
            object.__setattr__(self, name, float(value))
        sides: Any = [self.size] if isinstance(self.size, int) else self.size or []
        if not (isinstance(sides, list | tuple) and len(sides) <= 2 and all(map(is_count, sides))):
            raise invalid(
                "size", self.size, "a whole number of pixels, a list of one or two of them, or None"
            )
        object.__setattr__(self, "size", tuple(sides) or None)
        if self.max_size is not None and not is_count(self.max_size):
            raise invalid("max_size", self.max_size, f"{COUNT}, or None")
        if not is_count(self.divisible):
            raise invalid("divisible", self.divisible, COUNT)
        if not isinstance(self.relative, bool):
            raise invalid("relative", self.relative, "True or False")
        check_choice("resize", self.resize, RESIZES)
        load_opencv()

    @property
    def sampling(self) -> Sampling:
        assert not isinstance(self.size, int)
        return Sampling(
            frames_a_second=self.sampling_fps,
            size=tuple(self.size or ()),
            longest_side=self.max_size,
            divisible=self.divisible,
            is_transposed=self.resize == "peer",
        )

    def measure(self, media: Media) -> float:
        with open_pictures(media, self.max_seconds) as pictures:
            return self.score(pictures)

    def score(self, pictures: Pictures) -> float:
        """The mean of the scores of all pairs of sampled frames."""

        def score_pair(before: Sample, after: Sample) -> float:
            return measure_flow(compute_flow(before, after), self.relative)

        scores = [score for _, score in map_pairs(pictures, self.sampling, score_pair)]
        return float(np.mean(scores or [WITHOUT_PAIRS]))


def motion_score(**settings: Any) -> MotionScore:
    """A callable for `map` that adds how much moves in each video: `video_motion_score`.

    The score is the mean length of the optical flow between sampled frames, in pixels. It is the number of
    Data-Juicer's `video_motion_score_filter`: near 0 for a still picture, -1 for a video of one frame.

    | setting | default | |
    |---|---|---|
    | `sampling_fps` | 2 | sampled frames a second |
    | `size` | None | pixels of the shorter side, or of both sides `[short, long]`, after resizing |
    | `max_size` | None | the most pixels of the longer side |
    | `divisible` | 1 | sides are cut to a multiple of this |
    | `relative` | False | lengths as a part of the frame's diagonal |
    | `resize` | "aspect" | "peer": as Data-Juicer resizes, which squeezes frames into the transposed size |
    | `max_seconds` | 3600 | the longest time for one video |
    | `column`, `output_column`, `on_error`, `batched` | | as every `Measure` has them |

    It needs OpenCV (extra `video`).

    >>> ds = ds.map(motion_score(sampling_fps=2))  # doctest: +SKIP
    >>> ds["video_motion_score"][0]  # doctest: +SKIP
    [1.869316979078576]
    """
    return MotionScore(**settings)
