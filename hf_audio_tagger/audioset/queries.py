"""Queries on a tagged dataset: filters by sound, and the parent categories of tags.

    ds.filter(has_sound("Vehicle"), input_columns="video_audio_tags")
    ds.filter(has_sound("Dog", "Cat", min_score=0.3), input_columns="video_audio_top")
    ds.filter(lacks_sound("Speech"), input_columns="video_audio_tags")
    ds.map(roll_up(level=1))

Give `filter` its `input_columns`: without it `datasets` decodes every video first. `map` needs none, as
it decodes only the columns that a function reads.

The functions take a row or a batch, or with `input_columns` the values of one column. Rows and batches of an
unformatted `Dataset` differ in type; otherwise they are distinguished by the depth of the lists. Ambiguous
values (`[]`, `[None]`) are treated as one row, unless `batched=True`. A batch that is mistaken for a row is
never filtered wrongly: `datasets` raises because it expects a list of booleans.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from ..checks import COUNT, invalid, is_count
from ..columns import build_columns
from ..compat.datasets_internals import is_lazy_batch, is_lazy_row
from ..errors import ColumnError
from ..scores import EMPTY
from .ontology import Category, UnknownCategoryError, ontology

TAGS_DEPTH = 1  # nesting of lists in a row of tags: one tag per video
TOP_DEPTH = 2  # and in a row of scores: a list of labels per video
LISTS = (list, tuple, np.ndarray)  # types of lists in the supported formats
LEVELS_TYPE = pa.list_(pa.list_(pa.string()))  # of a row's rolled-up tags


def has_sound(
    *names: str | Category,
    min_score: float | None = None,
    column: str | None = None,
    batched: bool | None = None,
) -> "SoundFilter":
    """For `filter`: whether any video of a row has any of these categories, or one below them.

    They are names, ids or `Category` objects: `has_sound(*ontology.find("guitar"))`.
    Without `min_score` it reads `column="video_audio_tags"`. With one it reads
    `column="video_audio_top"`, which a tagger with `top_k` adds, and requires at least that score.
    A video that is "EMPTY" or failed (null) has none.

    >>> has_sound("Vehicle")(["Music", "Car alarm"])
    True
    >>> has_sound("Vehicle", min_score=0.5)([[{"label": "Bus", "score": 0.4}]])
    False
    >>> has_sound("Vehicle")([["Bus"], ["EMPTY"], []])  # a batch of rows
    [True, False, False]
    """
    if not names or not all(isinstance(name, str | Category) for name in names):
        raise invalid("names", names, 'categories, as in has_sound("Dog", "Cat")')
    if min_score is not None and not 0 <= min_score <= 1:
        raise invalid("min_score", min_score, "between 0 and 1")
    wanted = {name if isinstance(name, Category) else ontology[name] for name in names}
    in_order = tuple(category.name for category in ontology if category in wanted)
    default = "video_audio_tags" if min_score is None else "video_audio_top"
    return SoundFilter(in_order, True, min_score, column or default, batched)


def lacks_sound(
    *names: str | Category,
    min_score: float | None = None,
    column: str | None = None,
    batched: bool | None = None,
) -> "SoundFilter":
    """For `filter`: whether every video of a row was tagged, and none has any of these categories.

    The opposite of `has_sound`, except where a video failed (null): it may have the sound, and neither
    is true. "EMPTY" lacks all categories, and so does a row without videos.

    >>> lacks_sound("Speech")(["Dog", "EMPTY"]), lacks_sound("Speech")(["Dog", None])
    (True, False)
    """
    present = has_sound(*names, min_score=min_score, column=column, batched=batched)
    return replace(present, present=False)


def roll_up(
    level: int = 1,
    *,
    column: str = "video_audio_tags",
    new_column: str | None = None,
    batched: bool | None = None,
) -> "RollUp":
    """For `map`: adds a column with the categories at this level above each tag.

    Level 1 is the top ("Animal", "Music", ...). The column has, for each video, a list of names in the
    ontology's order: several where a category has several parents, the tag itself where it is above
    that level, none for "EMPTY", null where the video failed. The new column is
    "video_audio_tags_level1" unless named.

    >>> roll_up(level=1)({"video_audio_tags": ["Bark", "Bell", "EMPTY"]})
    {'video_audio_tags_level1': [['Animal'], ['Music', 'Sounds of things'], []]}
    >>> roll_up(level=2)({"video_audio_tags": ["Bark", "Music"]})
    {'video_audio_tags_level2': [['Domestic animals, pets'], ['Music']]}
    """
    if not is_count(level):
        raise invalid("level", level, COUNT)
    return RollUp(level, column, new_column or f"{column}_level{level}", batched)


@dataclass(frozen=True)
class SoundFilter:
    """What `has_sound` (`present`) and `lacks_sound` return: settings alone, so that it pickles and hashes.

    >>> has_sound("/m/01yrx", "Dog").names
    ('Dog', 'Cat')
    """

    names: tuple[str, ...]
    present: bool
    min_score: float | None
    column: str
    batched: bool | None

    def __call__(self, rows: Any) -> bool | list[bool]:
        """Whether to keep a row, or each row of a batch."""
        depth = TAGS_DEPTH if self.min_score is None else TOP_DEPTH
        cells, is_batch = read_cells(rows, self.column, depth, self.batched)
        return [self._keeps(cell) for cell in cells] if is_batch else self._keeps(cells)

    def _keeps(self, cell: Any) -> bool:
        videos = check_list(cell, self.column)
        if videos is None:
            return False
        if self.present:
            return any(video is not None and self._has(video) for video in videos)
        return all(video is not None and not self._has(video) for video in videos)

    def _has(self, video: Any) -> bool:
        wanted = expand_names(self.names)
        if self.min_score is None:
            return find_name(video, self.column) in wanted
        for scored in video:
            if not isinstance(scored, Mapping) or not {"label", "score"} <= scored.keys():
                raise ColumnError(f"{self.column!r} has no scores, which min_score needs.")
            if find_name(scored["label"], self.column) in wanted and scored["score"] >= self.min_score:
                return True
        return False


@dataclass(frozen=True)
class RollUp:
    """What `roll_up` returns: settings alone, so that it pickles and hashes.

    >>> roll_up(2).new_column
    'video_audio_tags_level2'
    """

    level: int
    column: str
    new_column: str
    batched: bool | None

    def __call__(self, rows: Any) -> dict[str, Any]:
        """The new column for a row, or for a batch."""
        cells, is_batch = read_cells(rows, self.column, TAGS_DEPTH, self.batched)
        values = [self._roll_up(cell) for cell in (cells if is_batch else [cells])]
        return build_columns({self.new_column: values}, {self.new_column: LEVELS_TYPE}, is_batch)

    def _roll_up(self, cell: Any) -> list[list[str] | None] | None:
        tags = check_list(cell, self.column)
        if tags is None:
            return None
        return [
            None if tag is None else list(names_at_level(find_name(tag, self.column), self.level))
            for tag in tags
        ]


def read_cells(rows: Any, column: str, depth: int, batched: bool | None) -> tuple[Any, bool]:
    """The column's cell in a row, or its cells in a batch, and whether it is a batch."""
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
    return value is None and left == 0 and depth == TOP_DEPTH  # a tag can be null, a score cannot


def check_list(cell: Any, column: str) -> Iterable[Any] | None:
    """A row's cell, with an element for each video; None for a row that was never tagged."""
    if cell is None or isinstance(cell, LISTS):
        return cell
    raise ColumnError(
        f"{column!r} must have a list in each row, with one element per video; got "
        f"{type(cell).__name__}: {str(cell)[:80]!r}. Of formats, only Python's, NumPy's and PyTorch's can "
        "be read: ds.with_format(None) removes others."
    )


def find_name(tag: Any, column: str) -> str | None:
    """The tag as AudioSet names it; None for EMPTY."""
    if not isinstance(tag, str):
        raise ColumnError(
            f"{column!r} must hold tags; got {str(tag)[:80]!r}. "
            "A column of scores is read with min_score (0 for any)."
        )
    if tag != EMPTY and tag not in ontology:
        raise UnknownCategoryError(
            f"AudioSet has no {tag!r}, which is in {column!r}: the model that wrote it has other "
            f"labels. Compare them as text: ds.filter(lambda tags: {tag!r} in tags, input_columns={column!r})"
        )
    return None if tag == EMPTY else ontology[tag].name


@cache
def expand_names(names: tuple[str, ...]) -> frozenset[str]:
    """The categories and all below them."""
    categories = [ontology[name] for name in names]
    return frozenset(one.name for top in categories for one in (top, *top.descendants()))


@cache
def names_at_level(name: str | None, level: int) -> tuple[str, ...]:
    return () if name is None else tuple(above.name for above in ontology[name].at_level(level))
