"""`plot_tags`: how often each tag occurs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ..errors import SettingsError
from ..results.facts import TagFacts, count_lists, count_tags, missing_column
from ..scores import EMPTY
from ..text import safe_text
from .look import GREY, Picture, category_of, colour_of, draw_legend, rows_inches, wrapped

APART = {EMPTY: "no audio stream (EMPTY)", None: "could not be read (null)"}
GAP_ROWS = 0.6  # between the tags and what stands apart


@dataclass(frozen=True)
class Bar:
    name: str
    count: int
    colour: str
    place: float  # in rows from the top


def plot_tags(ds: Any, column: str = "video_audio_tags", most: int = 20, title: str | None = None) -> Figure:
    """Bars of the most frequent tags, coloured by AudioSet's top categories.

    `ds` is a `Dataset`, of which the column of tags is read and no other, or a list with the tags of
    each row. Clips without an audio stream ("EMPTY") and clips that failed (null) stand apart in grey.
    Columns that `roll_up` added can be drawn too.

    >>> figure = plot_tags([["Music"], ["Siren", "Music"], ["EMPTY"], [None]])
    >>> figure.savefig("tags.png")  # doctest: +SKIP
    """
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise SettingsError(f"most={most!r} cannot be; it is how many tags to show, from 1 on.")
    facts = find_facts(ds, column)
    apart = {name: facts.tags[key] for key, name in APART.items() if facts.tags[key]}
    ranked = facts.most_frequent()
    shown = ranked[:most]
    bars = [Bar(tag, count, colour_of(category_of(tag)), place) for place, (tag, count) in enumerate(shown)]
    below = len(bars) + (GAP_ROWS if bars else 0)
    bars += [Bar(name, count, GREY, below + place) for place, (name, count) in enumerate(apart.items())]
    figure = draw_bars(bars, title or title_of(ranked, len(shown)))
    draw_legend(figure, [tag for tag, _ in shown])
    return figure


def find_facts(ds: Any, column: str) -> TagFacts:
    """The facts of a dataset's tags, or of lists of tags. No other column of a dataset is read."""
    if isinstance(ds, Mapping):
        splits = " or ".join(f"ds[{name!r}]" for name in ds)
        raise SettingsError(f"plot_tags draws one split, not a dict of them: pass {splits or 'a Dataset'}.")
    if hasattr(ds, "select_columns"):
        if column not in (ds.column_names or [column]):
            raise missing_column(column, ds.column_names)
        if hasattr(ds, "num_rows"):
            return count_tags(ds, column)
        return count_lists((row[column] for row in ds.select_columns([column])), column)  # streaming
    if isinstance(ds, str | bytes) or not isinstance(ds, Iterable):
        raise SettingsError(f"plot_tags draws a Dataset or a list of tag lists, not {type(ds).__name__}.")
    return count_lists(ds, column)


def title_of(ranked: Sequence[tuple[Any, int]], shown: int) -> str:
    """What the picture shows, and what it does not."""
    tags = counted(len(ranked), "tag") if ranked else "No tags"
    if shown == len(ranked):
        return tags
    others = sum(count for _, count in ranked[shown:])
    return f"The {shown} most frequent of {tags} (the others: {counted(others, 'clip')})"


def counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def draw_bars(bars: list[Bar], title: str) -> Figure:
    places = [bar.place for bar in bars]
    rows = 1 + max(places, default=0)
    figure = Picture(figsize=(9, 1.5 + rows_inches([bar.name for bar in bars], rows)), layout="constrained")
    axes = figure.add_subplot()
    drawn = axes.barh(places, [bar.count for bar in bars], color=[bar.colour for bar in bars], height=0.75)
    axes.bar_label(drawn, [f"{bar.count:,}" for bar in bars], padding=3)
    axes.set_yticks(places, [wrapped(bar.name) for bar in bars], parse_math=False)
    axes.set_ylim(rows - 0.4, -0.6)  # the most frequent on top
    axes.set_xlim(0, 1.1 * max((bar.count for bar in bars), default=1))  # room for the counts
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    axes.set_xlabel("clips")
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(safe_text(title, keep="\n"), loc="left", parse_math=False)
    return figure
