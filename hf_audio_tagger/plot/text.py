"""`plot_text`: the frames of a clip that were searched for text, with boxes around what was found."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from ..measures.text import TextArea, TextFrame, text_area
from ..media.frames import open_pictures
from ..text import safe_text
from .clip import find_media, make_title
from .look import Picture

MOST_COLUMNS = 4
FRAME_INCHES = 3.4
BOX = "#CC6677"


def plot_text(
    clip: Any,
    index: int | None = None,
    *,
    measure: TextArea | None = None,
    video: int = 0,
    column: str | None = None,
    title: str | None = None,
) -> Figure:
    """The sampled frames with boxes around their text, and each frame's ratio of text.

    `clip` is a dataset, with the index of the row to draw; or a row; or a path, URL or bytes. `measure` has
    the settings, by default those of `text_area()`. `video` is the index of the video in a row with several.

    >>> plot_text("clip.mp4", measure=text_area(frames=4)).savefig("text.png")  # doctest: +SKIP
    """
    measure = measure or text_area()
    media = find_media(clip, index, video, column)
    with open_pictures(media, measure.max_seconds) as pictures:
        frames = list(measure.find_text(pictures))
    columns = min(MOST_COLUMNS, len(frames))
    rows = -(-len(frames) // columns)
    figure = Picture(figsize=(FRAME_INCHES * columns, 0.5 + 0.75 * FRAME_INCHES * rows), layout="constrained")
    for axes, frame in zip(figure.subplots(rows, columns, squeeze=False).flat, frames, strict=False):
        draw_frame(axes, frame)
    for axes in figure.axes[len(frames) :]:
        axes.set_axis_off()
    words = make_title(media) if title is None else title
    mean = f"ratio of text {np.mean([frame.ratio for frame in frames]):.3f} ({measure.detector})"
    figure.suptitle(safe_text(f"{words}: {mean}" if words else mean), x=0, ha="left", parse_math=False)
    return figure


def draw_frame(axes: Axes, frame: TextFrame) -> None:
    axes.imshow(frame.picture)
    for outline in frame.boxes.outlines:
        axes.add_patch(Polygon(np.array(outline), closed=True, fill=False, edgecolor=BOX, linewidth=1.5))
    axes.set_title(f"{frame.seconds:.2f} s: {frame.ratio:.3f}", size="medium")
    axes.set_axis_off()
