"""Questions to a tagged dataset: filters by sound.

    ds.filter(has_sound("Vehicle"), input_columns="video_audio_tags")
    ds.filter(has_sound("Dog", "Cat", min_score=0.3), input_columns="video_audio_top")
    ds.filter(lacks_sound("Speech"), input_columns="video_audio_tags")
    has_sound("Vehicle")(ds, 0)  # the first row alone

Give `filter` its `input_columns`: without it `datasets` decodes every video first.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from ..checks import invalid
from ..thresholds import NEVER, Thresholds, freeze_thresholds
from .ontology import Category, match_category, ontology
from .own_labels import check_label
from .tag_cells import LABELS_DEPTH, TAGS_DEPTH, check_list, check_scored, find_label, is_at_least, read_cells

MinScore = float | Mapping[str, float] | str | os.PathLike[str] | None


def has_sound(
    *names: str | Category,
    min_score: MinScore = None,
    column: str | None = None,
    batched: bool | None = None,
    labels: Iterable[str] | None = None,
) -> "SoundFilter":
    """For `filter`: whether any video of a row has any of these categories, or one below them.

    They are names, ids or `Category` objects: `has_sound(*ontology.find("guitar"))`. A tag that names a
    category counts as that one, in any case: "siren" is AudioSet's Siren. Other tags, and other names here,
    are a model's own labels and compared as text, in any case. A name that looks like a misspelled category
    is an error; with `labels`, such as `tagger.labels`, so is each that is neither a category nor one of
    them.
    Without `min_score` it reads `column="video_audio_tags"`. With one it reads
    `column="video_audio_top"`, which a tagger with `top_k` adds, and requires at least that score; with a
    mapping, or a file that `write_thresholds` wrote, at least that of the label.
    A video that is "EMPTY" or failed (null) has none.

    >>> has_sound("Vehicle")(["Music", "Car alarm"])
    True
    >>> has_sound("Vehicle", min_score=0.5)([[{"label": "Bus", "score": 0.4}]])
    False
    >>> has_sound("Vehicle")([["Bus"], ["EMPTY"], []])  # a batch of rows
    [True, False, False]
    >>> has_sound("espresso machine", "Vehicle")([["Espresso machine"], ["bus"], ["door creaking"]])
    [True, True, False]
    """
    if not names or not all(isinstance(name, str | Category) for name in names):
        raise invalid("names", names, 'categories, as in has_sound("Dog", "Cat")')
    own = None if labels is None else tuple(labels)
    least = None if min_score is None else freeze_thresholds(min_score)
    if isinstance(least, tuple):
        least = tuple((check_label(label, own), score) for label, score in least)
    wanted = {name.name if isinstance(name, Category) else check_label(name, own) for name in names}
    in_order = tuple(category.name for category in ontology if category.name in wanted)
    others = tuple(sorted(wanted - set(in_order)))
    default = "video_audio_tags" if min_score is None else "video_audio_top"
    return SoundFilter(in_order + others, True, least, column or default, batched)


def lacks_sound(
    *names: str | Category,
    min_score: MinScore = None,
    column: str | None = None,
    batched: bool | None = None,
    labels: Iterable[str] | None = None,
) -> "SoundFilter":
    """For `filter`: whether every video of a row was tagged, and none has any of these categories.

    The opposite of `has_sound`, except where a video failed (null): it may have the sound, and neither
    is true. "EMPTY" lacks all categories, and so does a row without videos.

    >>> lacks_sound("Speech")(["Dog", "EMPTY"]), lacks_sound("Speech")(["Dog", None])
    (True, False)
    """
    present = has_sound(*names, min_score=min_score, column=column, batched=batched, labels=labels)
    return replace(present, present=False)


@dataclass(frozen=True)
class SoundFilter:
    """What `has_sound` (`present`) and `lacks_sound` return: settings alone, so that it pickles and hashes.

    >>> has_sound("/m/01yrx", "Dog").names
    ('Dog', 'Cat')
    """

    names: tuple[str, ...]
    present: bool
    min_score: Thresholds | None
    column: str
    batched: bool | None

    def __call__(self, rows: Any, index: int | None = None) -> bool | list[bool]:
        """Whether to keep a row, or each row of a batch, or the row of a `Dataset` with this index."""
        depth = TAGS_DEPTH if self.min_score is None else LABELS_DEPTH
        cells, is_batch = read_cells(rows, self.column, depth, self.batched, index)
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
            return find_label(video, self.column) in wanted
        named = ((find_label(label, self.column), score) for label, score in check_scored(video, self.column))
        return any(name in wanted and is_at_least(score, self._find_least(name)) for name, score in named)

    def _find_least(self, name: str | None) -> float:
        assert self.min_score is not None
        return (
            self.min_score if isinstance(self.min_score, float) else as_dict(self.min_score).get(name, NEVER)
        )


@cache
def as_dict(thresholds: tuple[tuple[str, float], ...]) -> dict[str | None, float]:
    return dict(thresholds)


@cache
def expand_names(names: tuple[str, ...]) -> frozenset[str]:
    """The categories and all below them, and the other labels."""
    categories = [category for name in names if (category := match_category(name))]
    others = {name for name in names if not match_category(name)}
    return frozenset(others | {one.name for top in categories for one in (top, *top.descendants())})
