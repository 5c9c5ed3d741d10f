"""The base of filters that measure a sample's videos or sounds and keep those within limits.

As in Data-Juicer, a sample without videos is kept and has empty stats, and a stat that a sample already has
is not counted again. Where a video cannot be measured, Data-Juicer drops its sample or keeps it by accident
(an exception while counting, or while comparing a null). Here the sample is kept, with a null in its stat
and a line in the file of failures.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from datasets import List, Value

from ..cells import Media, parse_cells
from ..checks import is_number
from ..choices import OnError
from ..measures.base import Measure, Measured
from .operator import Batch, Fields, Filter, SampleResult
from .recipe import option, read_flag, read_text

Limits = tuple[Any, Any]  # least and most


@dataclass
class MediaFilter(Filter):
    """Keeps samples whose videos, or sounds, have stats within limits.

    A subclass names the stats with their types, the limits of each, and the measure that counts them.
    """

    stats: ClassVar[Mapping[str, Value]]  # of one video, in the order of STATS
    unmeasured: ClassVar[Any] = None  # the stats of a video that cannot be measured

    min_closed_interval: bool = option(True, read_flag)
    max_closed_interval: bool = option(True, read_flag)
    reversed_range: bool = option(False, read_flag)  # keep what is outside the limits
    skip_op_error: bool = option(True, read_flag)

    def __post_init__(self) -> None:
        self.measure = self.build_measure("record" if self.skip_op_error else "raise")

    @property
    @abstractmethod
    def media_key(self) -> str:
        """The column of the videos or sounds."""

    @property
    @abstractmethod
    def limits(self) -> Mapping[str, Limits]:
        """Of each stat."""

    @abstractmethod
    def build_measure(self, on_error: OnError) -> Measure:
        """What counts the stats of a video."""

    def split(self, value: Any) -> tuple[Any, ...]:
        """The stats in a value of the measure, in order."""
        return (value,)

    @property
    def features(self) -> dict[str, Any]:
        return {name: List(kind) for name, kind in self.stats.items()}

    def process(self, batch: Batch, existing: Fields) -> list[SampleResult]:
        has_stats = [all(fields.get(name) is not None for name in self.stats) for fields in existing]
        cells = batch.get(self.media_key, [None] * len(existing))
        media = parse_cells([None if has else cell for has, cell in zip(has_stats, cells, strict=True)])
        measured = iter(self.measure.measure_all([one for sample in media for one in sample]))
        return [
            SampleResult({name: fields[name] for name in self.stats})
            if has
            else self.make_result(sample, [next(measured) for _ in sample])
            for has, fields, sample in zip(has_stats, existing, media, strict=True)
        ]

    def make_result(self, media: list[Media], measured: list[Measured]) -> SampleResult:
        unmeasured = (self.unmeasured,) * len(self.stats)
        stats = [unmeasured if one.error is not None else self.split(one.value) for one in measured]
        failures = [
            (one.name, result.error)
            for one, result in zip(media, measured, strict=True)
            if result.error is not None
        ]
        fields = {name: [values[place] for values in stats] for place, name in enumerate(self.stats)}
        return SampleResult(fields, failures=failures)

    def keeps(self, stats: Mapping[str, Any], meta: Mapping[str, Any]) -> bool:
        columns = [values if isinstance(values := stats.get(name), list) else [] for name in self.stats]
        return self.decide([self.is_within(values) for values in zip(*columns, strict=False)])

    def is_within(self, values: tuple[Any, ...]) -> bool | None:
        """Whether each stat of a video is within its limits; None if one is no number."""
        if not all(map(is_number, values)):
            return None
        return all(map(self.is_in_range, values, self.limits.values()))

    def is_in_range(self, value: Any, limits: Limits) -> bool:
        """As in Data-Juicer, the closed ends of a reversed range are kept."""
        low, high = limits
        min_closed = self.min_closed_interval != self.reversed_range
        max_closed = self.max_closed_interval != self.reversed_range
        is_above = value >= low if min_closed else value > low
        is_below = value <= high if max_closed else value < high
        return bool(is_above and is_below) != self.reversed_range


@dataclass
class VideoFilter(MediaFilter):
    """A filter of the column of videos."""

    video_key: str = option("videos", read_text)

    @property
    def media_key(self) -> str:
        return self.video_key


@dataclass
class AudioFilter(MediaFilter):
    """A filter of the column of sounds."""

    audio_key: str = option("audios", read_text)

    @property
    def media_key(self) -> str:
        return self.audio_key
