"""Questions to a tagged dataset: which rows have a sound or lack it, and what its tags add up to.

    ds.filter(has_sound("Vehicle"), input_columns="video_audio_tags")
    ds.filter(has_sound("Dog", "Cat", min_score=0.3), input_columns="video_audio_top")
    ds.filter(lacks_sound("Speech"), input_columns="video_audio_tags")
    ds.map(roll_up(level=1))

Give `filter` its `input_columns`: without it `datasets` decodes every video before it asks. `map`
needs none, as what it hands over is read a column at a time.

They take a row, a batch, or with `input_columns` a column's value or its values of a batch. What an
unformatted `Dataset` hands over says which it is. Otherwise the depth of the lists does, and where
these hold nothing to tell by (`[]`, `[None]`), it is read as one row: `batched=True` settles it.
A batch misread so is never filtered wrongly: `datasets` stops where it wants a list of answers.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from ..columns import typed_batch, typed_row
from ..compat.datasets_calls import called_by_arrow_map
from ..compat.datasets_internals import is_lazy_batch, is_lazy_row
from ..errors import ColumnError, SettingsError
from ..scores import EMPTY
from .ontology import Category, UnknownCategoryError, ontology

TAGS_DEPTH = 1  # lists in lists around what one row has in the column of tags: one a video
TOP_DEPTH = 2  # and in that of scores: per video, one a label
LISTS = (list, tuple, np.ndarray)  # what formats make of Arrow's lists
LEVELS_TYPE = pa.list_(pa.list_(pa.string()))  # what one row has once rolled up


def has_sound(
    *names: str | Category,
    min_score: float | None = None,
    column: str | None = None,
    batched: bool | None = None,
) -> "SoundFilter":
    """For `filter`: whether any video of a row has any of these categories, or one below them.

    They are names, ids or `Category` objects: `has_sound(*ontology.find("guitar"))`.
    Without `min_score` it reads `column="video_audio_tags"`. With one it reads
    `column="video_audio_top"`, which a tagger with `top_k` adds, and asks for that score at least.
    A video that is "EMPTY" or failed (null) has no sound.

    >>> has_sound("Vehicle")(["Music", "Car alarm"])
    True
    >>> has_sound("Vehicle", min_score=0.5)([[{"label": "Bus", "score": 0.4}]])
    False
    >>> has_sound("Vehicle")([["Bus"], ["EMPTY"], []])  # a batch of rows
    [True, False, False]
    """
    return _filter(names, True, min_score, column, batched)


def lacks_sound(
    *names: str | Category,
    min_score: float | None = None,
    column: str | None = None,
    batched: bool | None = None,
) -> "SoundFilter":
    """For `filter`: whether every video of a row was heard, and none has any of these categories.

    The opposite of `has_sound`, except where a video failed (null): it may have the sound, so that
    neither is true. "EMPTY" was heard and lacks all; so does a row without videos.

    >>> lacks_sound("Speech")(["Dog", "EMPTY"]), lacks_sound("Speech")(["Dog", None])
    (True, False)
    """
    return _filter(names, False, min_score, column, batched)


def roll_up(
    level: int = 1,
    *,
    column: str = "video_audio_tags",
    new_column: str | None = None,
    batched: bool | None = None,
) -> "RollUp":
    """For `map`: adds a column with the categories at this level above each tag.

    Level 1 is the top ("Animal", "Music", ...). It holds, per video, a list of names in the
    ontology's order: several where a category has several parents, the tag itself where it is not
    so deep, none for "EMPTY", null where the video failed. The new column is
    "video_audio_tags_level1" unless named.

    >>> roll_up(level=1)({"video_audio_tags": ["Bark", "Bell", "EMPTY"]})
    {'video_audio_tags_level1': [['Animal'], ['Music', 'Sounds of things'], []]}
    >>> roll_up(level=2)({"video_audio_tags": ["Bark", "Music"]})
    {'video_audio_tags_level2': [['Domestic animals, pets'], ['Music']]}
    """
    if isinstance(level, bool) or not isinstance(level, int) or level < 1:
        raise SettingsError(f"level counts from 1, the top categories: {level!r} is none")
    return RollUp(level, column, new_column or f"{column}_level{level}", batched)


@dataclass(frozen=True)
class SoundFilter:
    """What `has_sound` (`present`) and `lacks_sound` return: settings, which pickle and hash.

    >>> has_sound("/m/01yrx", "Dog").names
    ('Dog', 'Cat')
    """

    names: tuple[str, ...]
    present: bool
    min_score: float | None
    column: str
    batched: bool | None

    def __call__(self, rows: Any) -> bool | list[bool]:
        """The answer for a row, or those for a batch."""
        depth = TAGS_DEPTH if self.min_score is None else TOP_DEPTH
        cells, batched = _read(rows, self.column, depth, self.batched)
        return [self._keeps(cell) for cell in cells] if batched else self._keeps(cells)

    def _keeps(self, cell: Any) -> bool:
        videos = _videos(cell, self.column)
        if videos is None:
            return False
        if self.present:
            return any(video is not None and self._has(video) for video in videos)
        return all(video is not None and not self._has(video) for video in videos)

    def _has(self, video: Any) -> bool:
        wanted = _with_all_below(self.names)
        return any(label in wanted for label in self._labels(video))

    def _labels(self, video: Any) -> Iterator[str]:
        if self.min_score is None:
            if tag := _known(video, self.column):
                yield tag
            return
        for scored in video:
            if not isinstance(scored, Mapping) or not {"label", "score"} <= scored.keys():
                raise ColumnError(f"{self.column!r} has no scores, so that min_score cannot be met")
            label = _known(scored["label"], self.column)
            if label and scored["score"] >= self.min_score:
                yield label


@dataclass(frozen=True)
class RollUp:
    """What `roll_up` returns: settings, which pickle and hash.

    >>> roll_up(2).new_column
    'video_audio_tags_level2'
    """

    level: int
    column: str
    new_column: str
    batched: bool | None

    def __call__(self, rows: Any) -> dict[str, Any]:
        """The new column for a row, or for a batch."""
        cells, batched = _read(rows, self.column, TAGS_DEPTH, self.batched)
        types = {self.new_column: LEVELS_TYPE}
        if batched:
            return typed_batch({self.new_column: [self._above(cell) for cell in cells]}, types)
        above = self._above(cells)
        if called_by_arrow_map():
            return typed_row({self.new_column: [above]}, types)
        return {self.new_column: above}

    def _above(self, cell: Any) -> list[list[str] | None] | None:
        videos = _videos(cell, self.column)
        if videos is None:
            return None
        return [None if tag is None else self._names_above(tag) for tag in videos]

    def _names_above(self, tag: Any) -> list[str]:
        known = _known(tag, self.column)
        return list(_at_level(known, self.level)) if known else []


def _filter(
    names: tuple[str | Category, ...],
    present: bool,
    min_score: float | None,
    column: str | None,
    batched: bool | None,
) -> SoundFilter:
    if not names or not all(isinstance(name, str | Category) for name in names):
        raise SettingsError(f'name what to look for, as in has_sound("Dog", "Cat"), not {names!r}')
    if min_score is not None and not 0 <= min_score <= 1:
        raise SettingsError(f"min_score={min_score!r} is not between 0 and 1, as scores are")
    wanted = {name if isinstance(name, Category) else ontology[name] for name in names}
    in_order = tuple(category.name for category in ontology if category in wanted)
    default = "video_audio_tags" if min_score is None else "video_audio_top"
    return SoundFilter(in_order, present, min_score, column or default, batched)


def _read(rows: Any, column: str, depth: int, batched: bool | None) -> tuple[Any, bool]:
    """What the column has for a row, or a list of that for a batch; and whether it is a batch."""
    if not isinstance(rows, Mapping):
        found = rows
    elif column in rows:
        found = rows[column]  # and nothing else: to look at a video is to decode it
    else:
        raise ColumnError(f"no column {column!r} among {', '.join(map(repr, rows))}")
    if is_lazy_row(rows) or is_lazy_batch(rows):
        batched = is_lazy_batch(rows)
    elif batched is None:
        batched = _is_batch(found, depth)
    return found, batched


def _is_batch(value: Any, depth: int) -> bool:
    """Whether lists go deeper than the `depth` of one row, or a null lies where a row has none."""

    def is_deeper(value: Any, left: int) -> bool:
        if isinstance(value, LISTS):
            return left == 0 or any(is_deeper(inner, left - 1) for inner in value)
        return value is None and left == 0 and depth == TOP_DEPTH  # a tag can be null, no score is

    return is_deeper(value, depth)


def _videos(cell: Any, column: str) -> Iterable[Any] | None:
    """What a row's cell has for each video; None for a row that was never tagged."""
    if cell is None or isinstance(cell, LISTS):
        return cell
    raise ColumnError(
        f"{column!r} should have a list in each row, with one element per video, but has "
        f"{type(cell).__name__}: {str(cell)[:80]!r}. Other formats than Python's, NumPy's and "
        "PyTorch's are to be taken off first: ds.with_format(None)"
    )


def _known(tag: Any, column: str) -> str | None:
    """The tag as AudioSet names it, or None for EMPTY."""
    if tag == EMPTY:
        return None
    if not isinstance(tag, str):
        raise ColumnError(
            f"{column!r} should hold tags, but has {str(tag)[:80]!r}. "
            "A column of scores is read with min_score (0 for any)"
        )
    if tag not in ontology:
        raise UnknownCategoryError(
            f"AudioSet has no {tag!r}, which {column!r} holds: the model that wrote it has labels "
            "of its own. Compare those as they are: "
            f"ds.filter(lambda tags: {tag!r} in tags, input_columns={column!r})"
        )
    return ontology[tag].name


@cache
def _with_all_below(names: tuple[str, ...]) -> frozenset[str]:
    categories = [ontology[name] for name in names]
    return frozenset(one.name for top in categories for one in (top, *top.descendants()))


@cache
def _at_level(name: str, level: int) -> tuple[str, ...]:
    return tuple(above.name for above in ontology[name].at_level(level))
