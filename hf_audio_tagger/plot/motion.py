"""`plot_motion`: a clip's motion score over time, and the frames in which most moves."""

import heapq
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..checks import COUNT, invalid, is_count
from ..errors import MediaError
from ..measures.flow import Sample, compute_flow, map_pairs, measure_flow
from ..measures.motion import MotionScore, motion_score
from ..media.frames import open_pictures
from ..text import safe_text
from .clip import find_media, make_title
from .look import Picture

ARROWS = 24  # along the longer side of a frame
LEAST_LENGTH = 0.5  # pixels: shorter arrows are not drawn
FRAME_INCHES, SCORE_INCHES, WIDTH_INCHES = 3.2, 2.2, 11.0
LINE, FLOW = "#332288", "#CC6677"


@dataclass(frozen=True, order=True)
class Moving:
    """A pair of sampled frames: its score, the time of the second, the first, and the flow from it."""

    score: float
    seconds: float
    grey: np.ndarray = field(compare=False)
    flow: np.ndarray = field(compare=False)


def plot_motion(
    clip: Any,
    index: int | None = None,
    *,
    measure: MotionScore | None = None,
    video: int = 0,
    frames: int = 3,
    column: str | None = None,
    title: str | None = None,
) -> Figure:
    """The motion score over time, and the frames with the highest scores, with arrows for what moves in them.

    `clip` is a dataset, with the index of the row to draw; or a row; or a path, URL or bytes. `measure` has
    the settings, by default those of `motion_score()`. `video` is the index of the video in a row with
    several.

    >>> plot_motion("clip.mp4").savefig("motion.png")  # doctest: +SKIP
    """
    if not is_count(frames):
        raise invalid("frames", frames, COUNT)
    measure = measure or motion_score()
    media = find_media(clip, index, video, column)
    times, scores, strongest = read_motion(media, measure, frames)
    figure = Picture(figsize=(WIDTH_INCHES, SCORE_INCHES + FRAME_INCHES), layout="constrained")
    grid = figure.add_gridspec(2, len(strongest), height_ratios=[SCORE_INCHES, FRAME_INCHES])
    draw_scores(figure.add_subplot(grid[0, :]), times, scores, strongest)
    for place, moving in enumerate(strongest):
        draw_flow(figure.add_subplot(grid[1, place]), moving)
    words = make_title(media) if title is None else title
    mean = f"mean score {np.mean(scores):.3f}"
    figure.axes[0].set_title(safe_text(f"{words}: {mean}" if words else mean), loc="left", parse_math=False)
    return figure


def read_motion(media: Any, measure: MotionScore, most: int) -> tuple[list[float], list[float], list[Moving]]:
    """Each pair's time and score, and the pairs with the highest scores in the order of time."""

    def compare(before: Sample, after: Sample) -> Moving:
        flow = compute_flow(before, after)
        return Moving(measure_flow(flow, measure.relative), after.seconds, before.grey, flow)

    times, scores, strongest = [], [], list[Moving]()
    with open_pictures(media, measure.max_seconds) as pictures:
        for seconds, moving in map_pairs(pictures, measure.sampling, compare):
            times.append(seconds)
            scores.append(moving.score)
            heapq.heappush(strongest, moving)
            if len(strongest) > most:
                heapq.heappop(strongest)
    if not scores:
        raise MediaError(f"{media.name}: it has a single frame, so there is no motion to draw.")
    return times, scores, sorted(strongest, key=lambda moving: moving.seconds)


def draw_scores(axes: Axes, times: list[float], scores: list[float], strongest: list[Moving]) -> None:
    axes.plot(times, scores, color=LINE, marker=".", linewidth=1.2)
    for moving in strongest:
        axes.axvline(moving.seconds, color=FLOW, linewidth=0.8, linestyle=":")
    axes.set_ylim(bottom=0)
    axes.set_ylabel("motion score")
    axes.set_xlabel("seconds")
    axes.spines[["top", "right"]].set_visible(False)


def draw_flow(axes: Axes, moving: Moving) -> None:
    """A frame with an arrow from each point of a grid to where it moves."""
    height, width = moving.grey.shape
    step = max(1, max(height, width) // ARROWS)
    rows, columns = np.mgrid[step // 2 : height : step, step // 2 : width : step]
    across, down = moving.flow[rows, columns, 0], moving.flow[rows, columns, 1]
    is_shown = np.hypot(across, down) >= LEAST_LENGTH
    axes.imshow(moving.grey, cmap="gray", vmin=0, vmax=255)
    if is_shown.any():
        axes.quiver(
            columns[is_shown],
            rows[is_shown],
            across[is_shown],
            down[is_shown],
            angles="xy",
            color=FLOW,
            width=0.004,
        )
    axes.set_title(f"{moving.seconds:.2f} s: {moving.score:.2f}", size="medium")
    axes.set_axis_off()
