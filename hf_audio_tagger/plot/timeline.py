"""`plot_timeline`: the sound of one clip over time, and its labels."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator

from ..cells import Media, is_list_cell, parse_value
from ..checks import invalid
from ..columns import Column
from ..errors import MediaError, SettingsError
from ..rows import is_cell_struct, pick_column
from ..text import safe_text
from .look import GREY, Picture, draw_legend, find_colour, measure_rows, wrap_label

if TYPE_CHECKING:
    from ..tagger import Tagger
    from .overview import Overview

Segments = Sequence[Mapping[str, Any]]  # start, end, label, score, as the segments column holds them

MOST_LANES = 12
WAVEFORM_INCHES, MEL_INCHES = 1.2, 2.2
INK, FAINT = "#444444", "#E4E4E4"

LEAST_PEAK = 0.01  # of full scale, so that silence is drawn flat
LEAST_LOUDEST_DB = 10.0  # so that silence is drawn dark
RANGE_DB = 80.0
TICKS_HZ = (100, 500, 1000, 2000, 4000, 8000)

LEAST_GAP = 0.01  # of the clip: shorter gaps are not marked
LEAST_TEXT = 0.05  # of the clip: shorter segments have no room for their score
FINE_TICK_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
WHOLE_TICK_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 36_000)
MOST_TICKS = 12


def plot_timeline(
    tagged: Any,
    tagger: "Tagger | None" = None,
    video: int = 0,
    *,
    column: str | None = None,
    tag_column: str | None = None,
    title: str | None = None,
) -> Figure:
    """Waveform, log-mel and labels of one clip over one axis of time.

    `tagged` is a row of a dataset that was mapped with `segments=True`; or any row or media (path, URL,
    bytes, samples) together with a `tagger`, which then classifies the clip, all of it unless its `windows`
    say otherwise. `video` is the index of the video in a row with several. Columns are named as in
    `build_tagger`. A clip of any length takes little memory.

    `ds[0]` makes `datasets` decode a `Video()` or `Audio()` column, which needs FFmpeg's libraries on the
    system. Without decoding, the row holds the file's path or bytes, and that is enough here:

    >>> undecoded = ds.cast_column("video", Video(decode=False))  # doctest: +SKIP
    >>> plot_timeline(undecoded[0]).savefig("timeline.png")  # doctest: +SKIP
    >>> plot_timeline("clip.mp4", build_tagger("demo"))  # doctest: +SKIP
    """
    from ..media.audio import open_sound
    from .overview import read_overview

    column = column or (tagger.column if tagger else None)
    tag_column = tag_column or (tagger.tag_column if tagger else "video_audio_tags")
    value, segments = find_clip(tagged, video, column, Column("segments", tag_column).name)
    media = parse_value(value)
    decoder, channels = (tagger.decoder, tagger.channels) if tagger else ("auto", "mean")
    with open_sound(media, decoder, channels) as sound:
        if sound is None:
            raise MediaError(f"{media.name}: it has no audio stream, so there is nothing to draw.")
        if segments is None:
            segments = compute_segments(value, tagger, tag_column)
        return draw(read_overview(sound, media.name), segments, file_name(media) if title is None else title)


def find_clip(tagged: Any, video: int, column: str | None, segments_name: str) -> tuple[Any, Segments | None]:
    """The video, as its cell holds it, and its recorded segments, or None."""
    if hasattr(tagged, "select_columns"):
        raise SettingsError(
            "plot_timeline draws one clip, not a dataset: pass a row of it, as in ds[0], or in "
            "ds.cast_column('video', Video(decode=False))[0] for a Video() column."
        )
    is_row = isinstance(tagged, Mapping) and not is_cell_struct(tagged)
    cell = tagged[pick_column(list(tagged), column)] if is_row else tagged
    recorded = tagged.get(segments_name) if is_row else None
    values = cell if is_list_cell(cell) else [cell]
    if not 0 <= video < len(values):
        raise invalid("video", video, f"an index of the row's {len(values)} videos, counted from 0")
    return values[video], None if recorded is None else recorded[video]


def compute_segments(value: Any, tagger: "Tagger | None", tag_column: str) -> Segments:
    """The segments of one video, from the tagger."""
    column = Column("segments", tag_column)
    if tagger is None:
        raise SettingsError(
            f"There are no segments to draw ({column.name!r}). Map with "
            "build_tagger(windows='all', segments=True), or pass a tagger to classify the clip now: "
            "plot_timeline(clip, tagger)."
        )
    tagger = replace(tagger, segments=True, windows=tagger.windows or "all", on_error="raise")
    return column.entry(tagger.classify(value)[0]) or []


def file_name(media: Media) -> str:
    """The file's name; empty for samples, and for bytes without a name."""
    return "" if media.name.startswith("<") else os.path.basename(media.name)


@dataclass(frozen=True)
class Lane:
    """One row of the timeline: the segments of a label."""

    name: str
    colour: str
    segments: Segments

    @property
    def spans(self) -> list[tuple[float, float]]:
        """Start and length of each segment, in seconds."""
        return [(segment["start"], segment["end"] - segment["start"]) for segment in self.segments]


def make_lanes(segments: Segments) -> list[Lane]:
    """A lane for each label, in order of appearance. Of too many, the shortest share the last lane."""
    by_label: dict[str, list[Mapping[str, Any]]] = {}
    for segment in segments:
        by_label.setdefault(segment["label"], []).append(segment)
    lanes = [Lane(label, find_colour(label), parts) for label, parts in by_label.items()]
    if len(lanes) <= MOST_LANES:
        return lanes
    longest_first = sorted(lanes, key=lambda lane: -sum(length for _, length in lane.spans))
    kept = {lane.name for lane in longest_first[: MOST_LANES - 1]}
    others = [segment for segment in segments if segment["label"] not in kept]
    return [
        *(lane for lane in lanes if lane.name in kept),
        Lane(f"{len(lanes) - len(kept)} other labels", GREY, others),
    ]


def find_gaps(segments: Segments, seconds: float) -> list[tuple[float, float]]:
    """Start and end of the parts without a segment that are long enough to be seen."""
    edges = [0.0, *(edge for segment in segments for edge in (segment["start"], segment["end"])), seconds]
    gaps = zip(edges[::2], edges[1::2], strict=True)
    return [(start, end) for start, end in gaps if end - start > LEAST_GAP * seconds]


def draw(overview: "Overview", segments: Segments, title: str) -> Figure:
    """The three pictures, one below the other."""
    lanes = make_lanes(segments)
    heights = [WAVEFORM_INCHES, MEL_INCHES, measure_rows([lane.name for lane in lanes], len(lanes))]
    figure = Picture(figsize=(11, sum(heights) + 1.3), layout="constrained")
    waveform, mel, labels = figure.subplots(3, sharex=True, height_ratios=heights)
    draw_waveform(waveform, overview)
    draw_mel(mel, overview)
    draw_lanes(labels, lanes, find_gaps(segments, overview.seconds), overview.seconds)
    draw_time(labels, overview.seconds)
    waveform.set_title(safe_text(title, keep="\n"), loc="left", parse_math=False)
    draw_legend(figure, [lane.name for lane in lanes if lane.colour != GREY])
    return figure


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


def draw_lanes(axes: Axes, lanes: list[Lane], gaps: list[tuple[float, float]], seconds: float) -> None:
    for start, end in gaps:
        axes.axvspan(start, end, facecolor="none", edgecolor=GREY, hatch="//", linewidth=0)
        if end - start > 2 * LEAST_TEXT * seconds:
            background = {"facecolor": axes.get_facecolor(), "edgecolor": "none"}
            axes.text((start + end) / 2, 0, "not processed", ha="center", va="center", bbox=background)
    for place, lane in enumerate(lanes):
        # With an edge, a second of an hour can still be seen.
        axes.broken_barh(lane.spans, (place - 0.375, 0.75), facecolor=lane.colour, edgecolor=lane.colour)
        for (start, length), segment in zip(lane.spans, lane.segments, strict=True):
            if length > LEAST_TEXT * seconds:
                score = axes.text(start + length / 2, place, f"{segment['score']:.2f}", size="small")
                score.set(color=contrast_colour(lane.colour), ha="center", va="center_baseline")
    axes.set_yticks(range(len(lanes)), [wrap_label(lane.name) for lane in lanes], parse_math=False)
    axes.set_ylim(max(1, len(lanes)) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(color=FAINT, linewidth=0.8)  # connects a lane with its label and its sound
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def contrast_colour(colour: str) -> str:
    """Black or white, whichever can be read on it."""
    red, green, blue = to_rgb(colour)
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"


def draw_time(axes: Axes, seconds: float) -> None:
    steps = (*FINE_TICK_SECONDS, *WHOLE_TICK_SECONDS) if seconds < 10 else WHOLE_TICK_SECONDS
    step = next((step for step in steps if seconds / step <= MOST_TICKS), steps[-1])
    axes.set_xlim(0, seconds)
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda time, _: format_time(time, seconds)))
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
