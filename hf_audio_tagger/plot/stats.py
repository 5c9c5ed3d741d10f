"""`plot_stat`: the distribution of a stat, with thresholds and what each would keep."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, IterableDataset
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..checks import check_choice, invalid, is_number
from ..errors import ColumnError, SettingsError
from ..text import safe_text
from .look import Picture

STATS = "__dj__stats__"  # the column of a recipe's stats
MOST_BINS = 60
BAR, LINES = "#88CCEE", ("#CC6677", "#117733", "#332288", "#AA4499", "#999933", "#882255")
KEEP = {"at least": "≥", "at most": "≤"}


@dataclass(frozen=True)
class Stat:
    """The numbers of each row; null: a video that could not be measured."""

    rows: list[list[float | None]]

    @property
    def numbers(self) -> list[float]:
        return [value for row in self.rows for value in row if value is not None]

    @property
    def missing(self) -> int:
        return sum(value is None for row in self.rows for value in row)

    def count_kept(self, threshold: float, keep: str, any_or_all: str) -> int:
        """How many rows a filter with this limit would keep: also those without videos or with a null."""
        decide = all if any_or_all == "all" else any
        sign = 1 if keep == "at least" else -1
        return sum(
            not row
            or None in row
            or decide(sign * value >= sign * threshold for value in row if value is not None)
            for row in self.rows
        )


def plot_stat(
    source: Any,
    stat: str,
    *thresholds: float,
    keep: str = "at least",
    any_or_all: str = "any",
    title: str | None = None,
) -> Figure:
    """A histogram of a stat over all videos, with a line for each threshold and the rows that it would keep.

    `source` is a `Dataset` with a column of that name, as a measure's map adds it; what `analyze_recipe`
    returns; a `Dataset` or a file of JSON lines that a recipe has written, with its stats; or lists by
    name. As in recipes, a row is kept if any of its videos (`any_or_all="all"`: each) is at least at the
    threshold (`keep="at most"`: at most), and if it has no videos or one that could not be measured.

    >>> figure = plot_stat({"video_duration": [[4.0], [0.5, 9.0], []]}, "video_duration", 1, 5)
    >>> figure.axes[0].get_legend_handles_labels()[1]
    ['≥ 1 keeps 3 of 3 rows', '≥ 5 keeps 2 of 3 rows']
    >>> plot_stat("out/res_stats.jsonl", "video_motion_score", 0.25).savefig("a.png")  # doctest: +SKIP
    """
    check_choice("keep", keep, KEEP)
    check_choice("any_or_all", any_or_all, ("any", "all"))
    for threshold in thresholds:
        if not is_number(threshold):
            raise invalid("thresholds", threshold, "numbers")
    found = Stat([read_row(cell, stat) for cell in read_cells(source, stat)])
    figure = Picture(figsize=(9, 4), layout="constrained")
    axes = figure.add_subplot()
    draw_histogram(axes, found.numbers)
    for number, threshold in enumerate(thresholds):
        kept = found.count_kept(threshold, keep, any_or_all)
        label = f"{KEEP[keep]} {threshold:g} keeps {kept:,} of {len(found.rows):,} rows"
        axes.axvline(threshold, color=LINES[number % len(LINES)], linewidth=2, label=label)
    if thresholds:
        axes.legend(frameon=False)
    axes.set_xlabel(safe_text(stat), parse_math=False)
    axes.set_ylabel("videos")
    axes.yaxis.set_major_locator(MaxNLocator("auto", integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    title = safe_text(title or describe(found), keep="\n")
    axes.set_title(title, loc="left", parse_math=False)
    return figure


def draw_histogram(axes: Any, numbers: Sequence[float]) -> None:
    finite = np.array([number for number in numbers if np.isfinite(number)])
    if len(finite):
        bins = min(MOST_BINS, len(np.histogram_bin_edges(finite, "sturges")) * 2)
        axes.hist(finite, bins=bins, color=BAR, edgecolor="white", linewidth=0.5)


def describe(stat: Stat) -> str:
    missing = f" ({stat.missing:,} more could not be measured)" if stat.missing else ""
    return f"{len(stat.numbers):,} videos in {len(stat.rows):,} rows{missing}"


def read_cells(source: Any, stat: str) -> Iterable[Any]:
    """The stat of each row, from whatever holds it."""
    values = getattr(source, "values", None)
    if isinstance(values, Mapping):  # an analysis
        return pick(values, stat)
    if isinstance(source, Dataset | IterableDataset):
        return read_dataset(source, stat)
    if isinstance(source, Mapping):
        if any(isinstance(part, Dataset | IterableDataset) for part in source.values()):
            splits = " or ".join(f"ds[{name!r}]" for name in source)
            raise SettingsError(f"plot_stat draws one split, not a DatasetDict: pass {splits}.")
        return pick(source, stat)
    if isinstance(source, str | Path):
        return read_lines(Path(source), stat)
    raise SettingsError(
        f"plot_stat draws a Dataset, an analysis, a file of JSON lines or lists, not {type(source).__name__}."
    )


def read_dataset(ds: Any, stat: str) -> Iterable[Any]:
    names = list(ds.column_names or [])
    column = next((name for name in (stat, STATS) if name in names), None)
    if column is None:
        raise missing(stat, names)
    rows = ds.select_columns([column]).with_format(None)
    return (find_stat(row, stat, column) for row in rows)


def read_lines(path: Path, stat: str) -> Iterable[Any]:
    try:
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: it is no readable file of JSON lines ({error}).") from error
    if not all(isinstance(row, dict) for row in rows):
        raise SettingsError(f"{path}: its lines are no JSON objects.")
    return [find_stat(row, stat, stat if stat in row else STATS) for row in rows]


def find_stat(row: Mapping[str, Any], stat: str, column: str) -> Any:
    if column == stat:
        return row[stat]
    return pick(row.get(STATS) or {}, stat)


def pick(values: Mapping[str, Any], stat: str) -> Any:
    if stat not in values:
        raise missing(stat, list(values))
    return values[stat]


def missing(stat: str, names: Sequence[str]) -> ColumnError:
    shown = ", ".join(map(repr, names)) or "none"
    return ColumnError(f"There is no stat or column {stat!r}, only {shown}.")


def read_row(cell: Any, stat: str) -> list[float | None]:
    """The numbers of a row: a list for its videos, one number, or a null for none."""
    if cell is None:
        return []
    values = list(cell) if isinstance(cell, list | tuple | np.ndarray) else [cell]
    for value in values:
        if value is not None and not is_number(value):
            raise ColumnError(f"{stat!r} must hold numbers; got {str(value)[:80]!r}.")
    return [None if value is None else float(value) for value in values]
