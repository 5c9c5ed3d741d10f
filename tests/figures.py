"""What the tests of pictures share: reading a figure as a reader sees it."""

from io import BytesIO
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text

TAGS: list[Any] = [
    ["Music", "Dog"],
    ["Music"],
    ["EMPTY"],
    [None],
    [],
    ["Siren"],
    ["Music"],
    ["Dog"],
    ["EMPTY"],
]
COUNTS = {"Music": 3, "Dog": 2, "Siren": 1, "no audio stream (EMPTY)": 2, "could not be read (null)": 1}
LONG_NAMES = [
    "Livestock, farm animals, working animals",
    "Bird vocalization, bird call, bird song",
    "Outside, urban or manmade",
    "Heart sounds, heartbeat",
    "Music",
    "Rain",
    "Clatter",
]
FOREIGN = "a class of another checkpoint that costs $5 and has a name of far more than forty characters"


def legend(figure: Figure) -> dict[str, Any]:
    if not figure.legends:
        return {}
    [one] = figure.legends
    names = [text.get_text() for text in one.get_texts()]
    return dict(zip(names, [patch.get_facecolor() for patch in one.get_patches()], strict=True))


def pixels(figure: Figure, dpi: int = 100) -> np.ndarray:
    """The figure as a PNG file holds it."""
    file = BytesIO()
    figure.savefig(file, format="png", dpi=dpi)
    assert file.getvalue().startswith(b"\x89PNG")
    file.seek(0)
    return np.asarray(imread(file))


def cut_texts(figure: Figure) -> list[str]:
    """Texts that the picture's border cuts."""
    figure.draw_without_rendering()
    texts: list[Text] = [text for legend in figure.legends for text in legend.get_texts()]
    for axes in figure.axes:
        texts += [*axes.get_yticklabels(), *axes.texts, axes.xaxis.label, axes.yaxis.label]
        texts += [axes.title, axes._left_title]  # type: ignore[attr-defined]
    cut = []
    for text in texts:
        box = text.get_window_extent()
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
        if text.get_text() and text.get_visible() and not inside:
            cut.append(text.get_text())
    return cut


def overlaps(texts: list[Text]) -> bool:
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    return any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])
