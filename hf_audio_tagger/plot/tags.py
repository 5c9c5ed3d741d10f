"""`plot_tags`: how often each tag occurs."""

from collections.abc import Iterable, Mapping
from typing import Any

from datasets import Dataset, IterableDataset
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..checks import COUNT, invalid, is_count
from ..errors import SettingsError
from ..results.facts import TagFacts, count_lists, count_tags, missing_column
from ..scores import EMPTY
from ..text import safe_text
from .look import GREY, Picture, draw_legend, find_colour, measure_rows, wrap_label

WITHOUT_TAG = {EMPTY: "no audio stream (EMPTY)", None: "could not be read (null)"}
GAP_ROWS = 0.6  # between the tags and the videos without one


def plot_tags(ds: Any, column: str = "video_audio_tags", most: int = 20, title: str | None = None) -> Figure:
    """Bars of the most frequent tags, coloured by AudioSet's top categories.

    `ds` is a `Dataset`, of which only the column of tags is read, or a list with the tags of each row. Clips
    without an audio stream ("EMPTY") and clips that failed (null) have grey bars below the others. Columns
    that `roll_up` added can be drawn too.

    >>> figure = plot_tags([["Music"], ["Siren", "Music"], ["EMPTY"], [None]])
    >>> figure.savefig("tags.png")  # doctest: +SKIP
    """
    if not is_count(most):
        raise invalid("most", most, COUNT)
    facts = read_facts(ds, column)
    ranked = facts.most_frequent()
    shown = ranked[:most]
    bars = [(tag, count, find_colour(tag)) for tag, count in shown]
    bars += [(name, facts.tags[tag], GREY) for tag, name in WITHOUT_TAG.items() if facts.tags[tag]]
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
    title = safe_text(title or describe_tags(ranked, len(shown)), keep="\n")
    axes.set_title(title, loc="left", parse_math=False)
    draw_legend(figure, colours)
    return figure


def read_facts(ds: Any, column: str) -> TagFacts:
    """The facts of a dataset's tags, or of lists of tags. No other column of a dataset is read."""
    if isinstance(ds, Mapping):
        splits = " or ".join(f"ds[{name!r}]" for name in ds)
        raise SettingsError(f"plot_tags draws one split, not a DatasetDict: pass {splits or 'a Dataset'}.")
    if isinstance(ds, Dataset):
        return count_tags(ds, column)
    if isinstance(ds, IterableDataset):
        if column not in (ds.column_names or [column]):
            raise missing_column(column, ds.column_names)
        return count_lists((row[column] for row in ds.select_columns([column])), column)
    if isinstance(ds, str | bytes) or not isinstance(ds, Iterable):
        raise SettingsError(f"plot_tags draws a Dataset or a list of tag lists, not {type(ds).__name__}.")
    return count_lists(ds, column)


def describe_tags(tags: list[tuple[str, int]], shown: int) -> str:
    """The title, with the number of tags and of those not shown."""
    plural = "" if len(tags) == 1 else "s"
    if shown == len(tags):
        return f"{len(tags):,} tag{plural}" if tags else "No tags"
    others = sum(count for _, count in tags[shown:])
    clips = "1 clip" if others == 1 else f"{others:,} clips"
    return f"The {shown} most frequent of {len(tags):,} tag{plural} (the others: {clips})"
