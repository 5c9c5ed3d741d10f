"""Read the cells of a column of tags, labels or scores from what `map` and `filter` pass.

They pass a row or a batch, or with `input_columns` the values of one column. Rows and batches of an
unformatted `Dataset` differ in type; otherwise they are distinguished by the depth of the lists. Ambiguous
values (`[]`, `[None]`) are treated as one row, unless `batched=True`. A batch that is mistaken for a row is
never filtered wrongly: `datasets` raises because it expects a list of booleans.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from ..compat.datasets_internals import is_lazy_batch, is_lazy_row
from ..errors import ColumnError
from ..rows import read_stored_row
from ..scores import EMPTY
from .ontology import UnknownCategoryError, match_category, ontology

TAGS_DEPTH = 1  # nesting of lists in a row of tags: one tag per video
LABELS_DEPTH = 2  # and in a row of scores or labels: a list per video
LABELS_TYPE = pa.list_(pa.list_(pa.string()))  # of a row with a list of labels per video
KEPT_LABELS = 1 << 16  # that are normalized once
LISTS = (list, tuple, np.ndarray)  # types of lists in the supported formats


def read_cells(
    rows: Any, column: str, depth: int, batched: bool | None, index: int | None = None
) -> tuple[Any, bool]:
    """The column's cell in a row, or its cells in a batch, and whether it is a batch.

    With an index, `rows` is a `Dataset`, of which that row's cell is read and no other column.
    """
    if index is not None:
        return read_stored_row(rows, index, [column])[column], False
    if not isinstance(rows, Mapping):
        cells = rows
    elif column in rows:
        cells = rows[column]  # accessing another column would decode its videos
    else:
        raise ColumnError(f"There is no column {column!r} among {', '.join(map(repr, rows))}.")
    if is_lazy_row(rows) or is_lazy_batch(rows):
        return cells, is_lazy_batch(rows)
    return cells, looks_like_batch(cells, depth, depth) if batched is None else batched


def looks_like_batch(value: Any, depth: int, left: int) -> bool:
    """Whether lists are nested deeper than in one row (`depth`), or have a null that a row cannot have."""
    if isinstance(value, LISTS):
        return left == 0 or any(looks_like_batch(inner, depth, left - 1) for inner in value)
    return value is None and left == 0 and depth == LABELS_DEPTH  # a tag can be null, a score cannot


def check_list(cell: Any, column: str) -> Iterable[Any] | None:
    """A row's cell, with an element for each video; None for a row that was never tagged."""
    if cell is None or isinstance(cell, LISTS):
        return cell
    raise ColumnError(
        f"{column!r} must have a list in each row, with one element per video; got "
        f"{type(cell).__name__}: {str(cell)[:80]!r}. Of formats, only Python's, NumPy's and PyTorch's can "
        "be read: ds.with_format(None) removes others."
    )


def find_label(tag: Any, column: str) -> str | None:
    """The tag as labels are compared (`normalize_label`); None for EMPTY."""
    check_tag(tag, column)
    return None if tag == EMPTY else normalize_label(tag)


@lru_cache(maxsize=KEPT_LABELS)
def normalize_label(label: str) -> str:
    """A label as AudioSet names it, where it names a category in any case; any other label in lower case.

    >>> normalize_label("siren"), normalize_label("/m/0bt9lr"), normalize_label("Espresso  machine")
    ('Siren', 'Dog', 'espresso machine')
    """
    text = " ".join(label.split())
    category = match_category(text)
    return text.casefold() if category is None else category.name


def check_tag(tag: Any, column: str) -> None:
    if not isinstance(tag, str):
        raise ColumnError(
            f"{column!r} must hold tags; got {str(tag)[:80]!r}. "
            "A column of scores is read with min_score (0 for any)."
        )


def find_name(tag: Any, column: str) -> str | None:
    """The tag as AudioSet names it; None for EMPTY."""
    check_tag(tag, column)
    if tag != EMPTY and tag not in ontology:
        raise UnknownCategoryError(
            f"AudioSet has no {tag!r}, which is in {column!r}: the model that wrote it has other labels, "
            f"which are below no category. has_sound({tag!r}) compares them as text."
        )
    return None if tag == EMPTY else ontology[tag].name


def check_scored(video: Any, column: str) -> Iterator[tuple[Any, float]]:
    """Yield each label of a video and its score."""
    for scored in video:
        if not isinstance(scored, Mapping) or not {"label", "score"} <= scored.keys():
            raise ColumnError(f"{column!r} has no scores, which min_score needs.")
        yield scored["label"], scored["score"]


def is_at_least(score: float, least: float) -> bool:
    """Compares as the columns store scores: the float32 of 0.7, which is a little less, reaches 0.7.

    >>> is_at_least(float(np.float32(0.7)), 0.7)
    True
    """
    return bool(np.float32(score) >= np.float32(least))
