"""`plot_tags`: how often each tag occurs."""

import os
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import pyarrow as pa
from datasets import Dataset, IterableDataset
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..checks import COUNT, invalid, is_count
from ..columns import find_prefix
from ..errors import SettingsError
from ..results.facts import ROWS_AT_ONCE, missing_column
from ..results.labels import LabelFacts, build_tables, count_labels
from ..text import safe_text
from ..thresholds import Thresholds, freeze_thresholds
from .look import GREY, Picture, draw_legend, find_colour, measure_rows, wrap_label

EMPTY_NAME, FAILED_NAME, BARE_NAME = (
    "no audio stream (EMPTY)",
    "could not be read (null)",
    "without a label ([])",
)
ROLLED_UP = re.compile(r"_(?:level\d+|classes)$")
SEVERAL = ("_top", "_labels", "_segments")  # columns with a list for each video
GAP_ROWS = 0.6  # between the tags and the videos without one


def plot_tags(
    ds: Any,
    column: str = "video_audio_tags",
    most: int = 20,
    title: str | None = None,
    *,
    min_score: float | Mapping[str, float] | str | os.PathLike[str] | None = None,
) -> Figure:
    """Bars of the most frequent tags, coloured by AudioSet's top categories.

    `ds` is a `Dataset`, of which no media are read, or a list with the tags of each row. Clips without an
    audio stream ("EMPTY") and clips that failed (null) have grey bars below the others.

    `column` may also have several labels for each clip: "video_audio_top", of which those with at least
    `min_score` count (all that are listed, if that is left out; one score or one for each label, as in
    `labels_over`), "video_audio_labels", or a column of `roll_up`. A bar is then the number of clips with
    that label, and a clip is counted in each bar that it belongs to. A clip without any label is told from
    an EMPTY one by the column of tags beside it.

    >>> figure = plot_tags([["Music"], ["Siren", "Music"], ["EMPTY"], [None]])
    >>> figure.savefig("tags.png")  # doctest: +SKIP
    >>> plot_tags(ds, "video_audio_top", min_score=0.3)  # doctest: +SKIP
    """
    if not is_count(most):
        raise invalid("most", most, COUNT)
    thresholds = None if min_score is None else freeze_thresholds(min_score)
    facts = read_labels(ds, column, thresholds)
    shown = list(facts.counts.items())[:most]
    bars = [(name, count, find_colour(name)) for name, count in shown]
    without = {EMPTY_NAME: facts.empty_videos, FAILED_NAME: facts.failed_videos, BARE_NAME: facts.bare_videos}
    bars += [(name, count, GREY) for name, count in without.items() if count]
    gap = GAP_ROWS if shown else 0
    places = [place + (gap if place >= len(shown) else 0) for place in range(len(bars))]
    names, counts, colours = zip(*bars, strict=True) if bars else ((), (), ())
    rows = 1 + max(places, default=0)
    figure = Picture(figsize=(9, 1.5 + measure_rows(names, rows)), layout="constrained")
    axes = figure.add_subplot()
    drawn = axes.barh(places, counts, color=colours, height=0.75)
    axes.bar_label(drawn, fmt="{:,.0f}", padding=3)
    axes.set_yticks(places, list(map(wrap_label, names)), parse_math=False)
    axes.set_ylim(rows - 0.4, -0.6)  # the most frequent on top
    axes.set_xlim(0, 1.1 * max(counts, default=1))  # room for the counts
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("clips")
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right"]].set_visible(False)
    title = safe_text(title or describe_tags(facts, [name for name, _ in shown]), keep="\n")
    axes.set_title(title, loc="left", parse_math=False)
    draw_legend(figure, colours)
    return figure


def read_labels(ds: Any, column: str, thresholds: Thresholds | None) -> LabelFacts:
    """The labels of a dataset's clips, or of lists of tags. No media of a dataset are read."""
    if isinstance(ds, Mapping):
        splits = " or ".join(f"ds[{name!r}]" for name in ds)
        raise SettingsError(f"plot_tags draws one split, not a DatasetDict: pass {splits or 'a Dataset'}.")
    if isinstance(ds, Dataset | IterableDataset):
        existing = ds.column_names or [column]
        if column not in existing:
            raise missing_column(column, ds.column_names or [])
        tag_column = find_tag_column(column, existing)
        names = [column] if tag_column is None else [column, tag_column]
        return count_labels(read_tables(ds, names), column, tag_column, thresholds)
    if isinstance(ds, str | bytes) or not isinstance(ds, Iterable):
        raise SettingsError(f"plot_tags draws a Dataset or a list of tag lists, not {type(ds).__name__}.")
    return count_labels(build_tables(ds, column), column, None, thresholds)


def read_tables(ds: Dataset | IterableDataset, names: list[str]) -> Iterable[pa.Table]:
    """Some columns of a dataset, in batches as Arrow stores them."""
    chosen = ds.select_columns(names)
    if isinstance(chosen, Dataset):
        return chosen.with_format("arrow").iter(ROWS_AT_ONCE)
    batches = chosen.iter(ROWS_AT_ONCE)
    return (pa.table({name: pa.array(batch[name]) for name in names}) for batch in batches)


def find_tag_column(column: str, existing: Collection[str]) -> str | None:
    """The column of tags beside a column with a list for each clip, which tells which clips are EMPTY.

    >>> find_tag_column("video_audio_labels_level1", ["video_audio_tags", "video_audio_labels_level1"])
    'video_audio_tags'
    """
    source = ROLLED_UP.sub("", column)
    prefix = next((source.removesuffix(end) for end in SEVERAL if source.endswith(end)), find_prefix(source))
    beside = (name for name in (f"{prefix}_tags", prefix) if name in existing and name != column)
    return next(beside, None)


def describe_tags(facts: LabelFacts, shown: Collection[str]) -> str:
    """The title, with the number of tags, and of clips with another than those that are shown."""
    tags = len(facts.counts)
    plural = "" if tags == 1 else "s"
    if len(shown) == tags:
        return f"{tags:,} tag{plural}" if tags else "No tags"
    others = facts.count_with_others(shown)
    clips = "1 clip" if others == 1 else f"{others:,} clips"
    return f"The {len(shown)} most frequent of {tags:,} tag{plural} (the others: {clips})"
