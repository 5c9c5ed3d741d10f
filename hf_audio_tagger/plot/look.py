"""Shared by the plots: colours by top category, their legend, and display in notebooks."""

import textwrap
from collections.abc import Collection
from io import BytesIO

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ..audioset.ontology import ontology
from ..text import safe_text

NOT_AUDIOSET = "not AudioSet's"
# Paul Tol's "muted" palette, which colour-blind readers can tell apart: https://personal.sron.nl/~pault/
CATEGORY_COLOURS = {
    "Human sounds": "#CC6677",
    "Animal": "#DDCC77",
    "Music": "#332288",
    "Natural sounds": "#117733",
    "Sounds of things": "#88CCEE",
    "Source-ambiguous sounds": "#AA4499",
    "Channel, environment and background": "#44AA99",
    NOT_AUDIOSET: "#4477AA",
}
GREY = "#BBBBBB"

LABEL_CHARACTERS = 40  # in a line; AudioSet's longest name has so many
ROW_INCHES = 0.3  # of a bar or a lane with its label in one line
LINE_INCHES = 0.18  # of a line of the longest label, where it has several
LEGEND_COLUMNS = 3  # as many as fit with the longest names


class Picture(Figure):
    """A Figure that notebooks display without pyplot."""

    def _repr_png_(self) -> bytes:
        file = BytesIO()
        self.savefig(file, format="png", bbox_inches="tight")
        return file.getvalue()


def find_colour(label: str) -> str:
    """The colour of the top category above a label, by its first parents.

    >>> find_colour("Bark") == CATEGORY_COLOURS["Animal"]
    True
    """
    category = ontology[label].path().split(" > ")[0] if label in ontology else NOT_AUDIOSET
    return CATEGORY_COLOURS[category]


def wrap_label(label: str) -> str:
    """A long label in several lines, so that none is cut off."""
    return textwrap.fill(safe_text(label, keep="\n\t"), LABEL_CHARACTERS)


def measure_rows(labels: Collection[str], rows: float) -> float:
    """The total height in inches of rows with these labels."""
    lines = max((wrap_label(label).count("\n") + 1 for label in labels), default=1)
    return 0.2 + max(1, rows) * max(ROW_INCHES, LINE_INCHES * lines)


def draw_legend(figure: Figure, colours: Collection[str]) -> None:
    """Add a legend of these categories below the axes, if any label is AudioSet's."""
    shown = {name: colour for name, colour in CATEGORY_COLOURS.items() if colour in colours}
    if shown.keys() - {NOT_AUDIOSET}:
        patches = [Patch(color=colour, label=name) for name, colour in shown.items()]
        columns = min(LEGEND_COLUMNS, len(patches))
        figure.legend(handles=patches, loc="outside lower center", ncols=columns, frameon=False)
