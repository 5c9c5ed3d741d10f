"""What the pictures share: colours by top category, their legend, and how a notebook shows them."""

import textwrap
from collections.abc import Iterable, Sequence
from io import BytesIO

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ..audioset.ontology import ontology
from ..text import safe_text

# Paul Tol's "muted" palette, which colour-blind readers can tell apart: https://personal.sron.nl/~pault/
CATEGORY_COLOURS = {
    "Human sounds": "#CC6677",
    "Animal": "#DDCC77",
    "Music": "#332288",
    "Natural sounds": "#117733",
    "Sounds of things": "#88CCEE",
    "Source-ambiguous sounds": "#AA4499",
    "Channel, environment and background": "#44AA99",
    "not AudioSet's": "#4477AA",
}
NOT_AUDIOSET = "not AudioSet's"
GREY = "#BBBBBB"

LABEL_CHARACTERS = 40  # in a line; AudioSet's longest name has so many
ROW_INCHES = 0.3  # of a bar or a lane with its label in one line
LINE_INCHES = 0.18  # of a line of the longest label, where it has several
LEGEND_COLUMNS = 3  # as many as fit with the longest names


class Picture(Figure):
    """A Figure that a notebook shows by itself, whether or not pyplot was imported there."""

    def _repr_png_(self) -> bytes:
        file = BytesIO()
        self.savefig(file, format="png", bbox_inches="tight")
        return file.getvalue()


def find_category(label: str) -> str:
    """The top category above a label, by its first parents; `NOT_AUDIOSET` if it has none.

    >>> find_category("Bark")
    'Animal'
    """
    if label not in ontology:
        return NOT_AUDIOSET
    category = ontology[label]
    while category.parents:
        category = category.parents[0]
    return category.name


def find_colour(label: str) -> str:
    return CATEGORY_COLOURS[find_category(label)]


def wrap_label(label: str) -> str:
    """A long label in several lines, so that none is cut off."""
    return textwrap.fill(safe_text(label, keep="\n\t"), LABEL_CHARACTERS)


def measure_rows(labels: Sequence[str], rows: float) -> float:
    """The height in inches of rows with these labels."""
    lines = max((wrap_label(label).count("\n") + 1 for label in labels), default=1)
    return 0.2 + max(1, rows) * max(ROW_INCHES, LINE_INCHES * lines)


def draw_legend(figure: Figure, labels: Iterable[str]) -> None:
    """The categories of these labels, below the axes. Nothing where no label is AudioSet's."""
    categories = set(map(find_category, labels))
    if categories <= {NOT_AUDIOSET}:
        return
    patches = [
        Patch(color=colour, label=name) for name, colour in CATEGORY_COLOURS.items() if name in categories
    ]
    columns = min(LEGEND_COLUMNS, len(patches))
    figure.legend(handles=patches, loc="outside lower center", ncols=columns, frameon=False)
