"""How long a run will take here, from a few clips drawn from all over its source."""

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from math import ceil
from typing import Any

from .. import models
from ..cells import read_cells
from ..checks import check_counts
from ..errors import SettingsError
from ..process import pick_device
from ..sources.columns import find_media_column, with_media_column
from ..sources.source import Source
from ..speed import Timing, time_choices, time_clips
from ..tagger import Tagger

TIMED_ROWS = 8
LONGEST_SECONDS = 60.0  # to time one choice of engine and dtype; one clip at least is timed


@dataclass(frozen=True)
class Estimate:
    """How long a run will take as asked, and with the other engines and dtypes of this machine."""

    rows: int | None  # None: a stream, whose length is not known
    clips_per_row: float  # of the rows that were timed
    processes: int  # that work at the same time: more than one on several GPUs only
    as_asked: Timing
    others: tuple[Timing, ...]

    def find_seconds(self, timing: Timing) -> float | None:
        """The time of the whole run; None for a stream."""
        if self.rows is None:
            return None
        clips = self.rows * self.clips_per_row
        return timing.loading_seconds + clips * timing.seconds_per_clip / self.processes

    def count_equal_tags(self, timing: Timing) -> int:
        """Of how many of its clips the tag is as with the settings that were asked for."""
        return sum(tag == asked for tag, asked in zip(timing.tags, self.as_asked.tags, strict=False))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        timings = [self.as_asked, *self.others]
        return {
            "rows": self.rows,
            "clips_per_row": self.clips_per_row,
            "timings": [
                {
                    **asdict(timing),
                    "run_seconds": None if timing.error else self.find_seconds(timing),
                    "equal_tags": self.count_equal_tags(timing),
                }
                for timing in timings
            ],
        }


def estimate_run(
    source: Source, tagger: Tagger, *, rows: int | None = None, num_proc: int | None = None
) -> Estimate:
    """Time a few clips from all over a source, with each engine and dtype that this machine has.

    Args:
        source: what `open_source` returns. Of a stream, the first rows are timed.
        tagger: the tagger of the run.
        rows: how many rows the run will tag; default: all.
        num_proc: processes of the run. On CPUs they share the cores, and one is as fast as several.

    >>> estimate = estimate_run(open_source("clips/"), build_tagger("demo"))  # doctest: +SKIP
    >>> estimate.find_seconds(estimate.as_asked)  # doctest: +SKIP
    12.3
    """
    check_counts(rows=rows, num_proc=num_proc)
    tagger = with_media_column(source, tagger)
    drawn = draw_cells(source, tagger)
    clips = [clip for cell in drawn for clip in (cell if isinstance(cell, list) else [cell]) if clip]
    if not clips:
        raise SettingsError(f"{source.name}: its first rows and those drawn from it hold no videos to time.")
    started = time.perf_counter()
    models.get_model(tagger.spec, tagger.device)  # raises an error of its own
    loaded = time.perf_counter()
    first = time_clips(tagger, clips[:1])
    if first.error is not None:
        raise SettingsError(first.error)
    timed = spread(clips, max(1, int(LONGEST_SECONDS / max(first.seconds_per_clip, 1e-9))))
    as_asked, *others = time_choices(tagger, timed)
    as_asked = replace(as_asked, loading_seconds=loaded - started + first.loading_seconds)
    row_count = source.row_count if rows is None or source.row_count is None else min(rows, source.row_count)
    processes = min(num_proc or 1, count_gpus(tagger)) or 1
    return Estimate(row_count, len(clips) / len(drawn), processes, as_asked, tuple(others))


def draw_cells(source: Source, tagger: Tagger) -> list[Any]:
    """The media of a few rows, evenly spread, as a tagger reads them."""
    column = find_media_column(source, tagger.column)
    if source.row_count is None:
        rows: Iterable[int] = [0]
        parts = [source.stream().take(TIMED_ROWS)]
    else:
        count = min(TIMED_ROWS, source.row_count)
        rows = [int((index + 0.5) * source.row_count / count) for index in range(count)]
        parts = [source.rows(row, row + 1) for row in rows]
    cells: list[Any] = []
    for row, part in zip(rows, parts, strict=True):
        cells += read_cells(source.tagger_cells(part[column], row))
    return cells


def spread(clips: list[Any], most: int) -> list[Any]:
    """At most so many of the clips, from all over the list."""
    return clips[:: ceil(len(clips) / most)]


def count_gpus(tagger: Tagger) -> int:
    if not pick_device(tagger.device).startswith("cuda"):
        return 0
    import torch

    return 1 if tagger.device is not None else torch.cuda.device_count()
