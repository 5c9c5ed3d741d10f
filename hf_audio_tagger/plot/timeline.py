"""`plot_timeline`: the sound of one clip over time, and its labels."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from datasets import Dataset
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from ..cells import is_list_cell, parse_value
from ..checks import invalid
from ..columns import Column
from ..errors import MediaError, SettingsError
from ..media_column import pick_column
from ..rows import find_row_column, is_cell_struct, read_stored_row
from ..tagger import Tagger
from ..text import safe_text
from .look import GREY, Picture, draw_legend, find_colour, measure_rows, wrap_label

if TYPE_CHECKING:
    from .overview import Overview

Segments = Sequence[Mapping[str, Any]]  # start, end, label, score, as the segments column holds them
Lane = tuple[str, str, Segments]  # name, colour, segments

MOST_LANES = 12
WAVEFORM_INCHES, MEL_INCHES = 1.2, 2.2
INK, FAINT = "#444444", "#E4E4E4"

LEAST_PEAK = 0.01  # of full scale, so that silence is drawn flat
LEAST_LOUDEST_DB = 10.0  # so that silence is drawn dark
RANGE_DB = 80.0
TICKS_HZ = (100, 500, 1000, 2000, 4000, 8000)

LEAST_GAP = 0.01  # of the clip: shorter gaps are not marked
LEAST_TEXT = 0.05  # of the clip: shorter segments are too narrow for a score
FINE_TICK_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
WHOLE_TICK_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 36_000)
MOST_TICKS = 12


@overload
def plot_timeline(
    tagged: Dataset,
    index: int,
    tagger: Tagger | None = None,
    *,
    video: int = 0,
    column: str | None = None,
    tag_column: str | None = None,
    title: str | None = None,
) -> Figure: ...


@overload
def plot_timeline(
    tagged: Any,
    tagger: Tagger | None = None,
    *,
    video: int = 0,
    column: str | None = None,
    tag_column: str | None = None,
    title: str | None = None,
) -> Figure: ...


def plot_timeline(  # type: ignore[misc]  # a tagger may be given in the place of the index
    tagged: Any,
    index: int | Tagger | None = None,
    tagger: Tagger | None = None,
    *,
    video: int = 0,
    column: str | None = None,
    tag_column: str | None = None,
    title: str | None = None,
) -> Figure:
    """Waveform, log-mel and labels of one clip over one axis of time.

    `tagged` is a dataset that was mapped with `segments=True`, with the index of the row to draw; or such a
    row; or any of these, or media (path, URL, bytes, samples), together with a `tagger`, which then
    classifies the whole clip, or the windows in its settings. `video` is the index of the video in a row with
    several. Columns are named as in `build_tagger`. A clip of any length takes little memory.

    >>> plot_timeline(ds, 0).savefig("timeline.png")  # doctest: +SKIP
    >>> plot_timeline(ds, 0, build_tagger("yamnet"))  # doctest: +SKIP
    >>> plot_timeline("clip.mp4", build_tagger("yamnet"))  # doctest: +SKIP

    With an index, the file's path or bytes are read from Arrow. `ds[0]` makes `datasets` decode a `Video()`
    or `Audio()` column instead, which needs FFmpeg's libraries on the system; a row of
    `ds.cast_column("video", Video(decode=False))` needs none.
    """
    from ..media.audio import open_sound
    from .overview import read_overview

    if isinstance(index, Tagger):
        index, tagger = None, index
    settings = tagger or Tagger  # the class has the defaults
    column = column or settings.column
    if index is not None:
        row, features = read_stored_row(tagged, index), tagged.features
        column = pick_column(list(row), column, lambda: features, lambda name: [row[name]])
        tagged = row
    recorded = Column("segments", tag_column or settings.tag_column)
    value, segments = find_clip(tagged, video, column, recorded.name)
    media = parse_value(value)
    if title is None:
        title = "" if media.name.startswith("<") else os.path.basename(media.name)  # "<...>": not a file
    with open_sound(media, settings.decoder, settings.channels) as sound:
        if sound is None:
            raise MediaError(f"{media.name}: it has no audio stream, so there is nothing to draw.")
        if segments is None:
            if tagger is None:
                raise SettingsError(
                    f"There are no segments to draw ({recorded.name!r}). Map with "
                    "build_tagger(windows='all', segments=True), or pass a tagger to classify the clip now: "
                    "plot_timeline(clip, tagger)."
                )
            tagger = replace(tagger, segments=True, windows=tagger.windows or "all", on_error="raise")
            segments = recorded.entry(tagger.classify(value)[0]) or []
        overview = read_overview(sound, media.name)
    lanes = make_lanes(segments)
    heights = [WAVEFORM_INCHES, MEL_INCHES, measure_rows([name for name, _, _ in lanes], len(lanes))]
    figure = Picture(figsize=(11, sum(heights) + 1.3), layout="constrained")
    waveform, mel, labels = figure.subplots(3, sharex=True, height_ratios=heights)
    draw_waveform(waveform, overview)
    draw_mel(mel, overview)
    draw_lanes(labels, lanes, segments, overview.seconds)
    draw_time(labels, overview.seconds)
    waveform.set_title(safe_text(title, keep="\n"), loc="left", parse_math=False)
    draw_legend(figure, [colour for _, colour, _ in lanes])
    return figure


def find_clip(tagged: Any, video: int, column: str | None, segments_name: str) -> tuple[Any, Segments | None]:
    """The video's value in its cell, and its recorded segments or None."""
    if hasattr(tagged, "select_columns"):
        raise SettingsError(
            "plot_timeline draws one clip, not a dataset: pass its row's index too, plot_timeline(ds, 0)."
        )
    is_row = isinstance(tagged, Mapping) and not is_cell_struct(tagged)
    cell = tagged[find_row_column(tagged, column)] if is_row else tagged
    recorded = tagged.get(segments_name) if is_row else None
    values = cell if is_list_cell(cell) else [cell]
    if not 0 <= video < len(values):
        raise invalid("video", video, f"an index of the row's {len(values)} videos, counted from 0")
    return values[video], None if recorded is None else recorded[video]


def make_lanes(segments: Segments) -> list[Lane]:
    """A lane for each label, in order of appearance. The shortest ones may share the last lane."""
    by_label: dict[str, list[Mapping[str, Any]]] = {}
    for segment in segments:
        by_label.setdefault(segment["label"], []).append(segment)
    kept = list(by_label)
    if len(by_label) > MOST_LANES:
        kept.sort(key=lambda label: -sum(part["end"] - part["start"] for part in by_label[label]))
        del kept[MOST_LANES - 1 :]
    lanes: list[Lane] = [
        (label, find_colour(label), parts) for label, parts in by_label.items() if label in kept
    ]
    if others := [segment for segment in segments if segment["label"] not in kept]:
        lanes.append((f"{len(by_label) - len(kept)} other labels", GREY, others))
    return lanes


def draw_waveform(axes: Axes, overview: "Overview") -> None:
    edges = np.arange(len(overview.lowest) + 1) * overview.column_seconds
    lowest, highest = np.pad(overview.lowest, (0, 1), "edge"), np.pad(overview.highest, (0, 1), "edge")
    axes.fill_between(edges, lowest, highest, step="post", color=INK, linewidth=0.6)
    peak = max(LEAST_PEAK, float(overview.highest.max()), -float(overview.lowest.min()))
    axes.set_ylim(-1.05 * peak, 1.05 * peak)
    axes.set_ylabel("amplitude")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="x", length=0)


def draw_mel(axes: Axes, overview: "Overview") -> None:
    loudest_db = max(LEAST_LOUDEST_DB, float(overview.mel_db.max()))
    columns, bands = overview.mel_db.shape
    axes.imshow(
        overview.mel_db.T,
        origin="lower",
        aspect="auto",
        extent=(0, columns * overview.column_seconds, 0, bands),
        cmap="magma",
        vmin=loudest_db - RANGE_DB,
        vmax=loudest_db,
    )
    names = [f"{hz // 1000} kHz" if hz >= 1000 else f"{hz} Hz" for hz in TICKS_HZ]
    axes.set_yticks([min(overview.band_at(hz), bands) for hz in TICKS_HZ], names)
    axes.set_ylabel("log-mel")
    axes.tick_params(axis="x", length=0)


def draw_lanes(axes: Axes, lanes: list[Lane], segments: Segments, seconds: float) -> None:
    edges = [0.0, *(edge for segment in segments for edge in (segment["start"], segment["end"])), seconds]
    for start, end in zip(edges[::2], edges[1::2], strict=True):  # the parts without a segment
        if end - start > LEAST_GAP * seconds:
            axes.axvspan(start, end, facecolor="none", edgecolor=GREY, hatch="//", linewidth=0)
        if end - start > 2 * LEAST_TEXT * seconds:
            background = {"facecolor": axes.get_facecolor(), "edgecolor": "none"}
            axes.text((start + end) / 2, 0, "not processed", ha="center", va="center", bbox=background)
    for place, (_, colour, parts) in enumerate(lanes):
        spans = [(part["start"], part["end"] - part["start"]) for part in parts]
        # With an edge, a second of an hour can still be seen.
        axes.broken_barh(spans, (place - 0.375, 0.75), facecolor=colour, edgecolor=colour)
        red, green, blue = to_rgb(colour)
        ink = "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"
        for (start, length), part in zip(spans, parts, strict=True):
            if length > LEAST_TEXT * seconds:
                score = axes.text(start + length / 2, place, f"{part['score']:.2f}", size="small")
                score.set(color=ink, ha="center", va="center_baseline")
    axes.set_yticks(range(len(lanes)), [wrap_label(name) for name, _, _ in lanes], parse_math=False)
    axes.set_ylim(max(1, len(lanes)) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(color=FAINT, linewidth=0.8)  # connects a lane with its label and its sound
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def draw_time(axes: Axes, seconds: float) -> None:
    steps = (*FINE_TICK_SECONDS, *WHOLE_TICK_SECONDS) if seconds < 10 else WHOLE_TICK_SECONDS
    step = next((step for step in steps if seconds / step <= MOST_TICKS), steps[-1])
    axes.set_xlim(0, seconds)
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.xaxis.set_major_formatter(lambda time, _: format_time(time, seconds))
    unit = "seconds" if seconds <= 60 else "minutes:seconds" if seconds < 3600 else "hours:minutes:seconds"
    axes.set_xlabel(unit)


def format_time(time: float, clip_seconds: float) -> str:
    """A time, in a form that depends on the clip's length.

    >>> format_time(7.5, 9), format_time(67, 600), format_time(3667, 7200)
    ('7.5', '1:07', '1:01:07')
    """
    if clip_seconds <= 60:
        return f"{time:.6g}"
    minutes, seconds = divmod(round(time), 60)
    if clip_seconds < 3600:
        return f"{minutes}:{seconds:02}"
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
