"""The best moments of a sound in a labelled collection."""

import heapq
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

import numpy as np
from datasets import ClassLabel, Dataset, List

from ..audioset.ontology import Category, UnknownCategoryError, ontology
from ..checks import check_counts
from ..errors import ColumnError, SettingsError

POOLED_PATCHES = 5
CLIPS_AT_ONCE = 16


class Moment(NamedTuple):
    """A part of a clip, with its score for the requested sound."""

    clip: Any  # its id
    start: float  # seconds
    end: float
    score: float  # the mean over its patches


def top_moments(
    ds: Dataset, sound: str | Category, k: int = 20, *, patches: int = POOLED_PATCHES
) -> list[Moment]:
    """The k best moments of a sound over all clips, best first.

    A moment is `patches` consecutive patches, or the whole clip where it has fewer; its score is their mean.
    Of overlapping moments in one clip only the best one is kept. Ties are in the order of the clips, then of
    time.

    Args:
        ds: the result of `load_predictions`, or some of its rows.
        sound: a class by its name; or a category of AudioSet by name, id or object, whose score is the
            highest of its own class and of the classes below it. A name that is both selects only the class;
            `ontology["Vehicle"]` selects all vehicles.
        k: how many.
        patches: pooled into a moment.

    >>> top_moments(load_predictions("labelled/"), "Siren", k=1)  # doctest: +SKIP
    [Moment(clip='street.mp4', start=12.48, end=15.375, score=0.93)]
    """
    check_counts(k=k, patches=patches)
    classes = find_classes(sound, read_class_names(ds))
    found = (
        moment for clip in read_clips(ds, classes) for moment in find_moments(*clip, k=k, patches=patches)
    )
    return heapq.nlargest(k, found, key=lambda moment: moment.score)


def read_class_names(ds: Dataset) -> list[str]:
    """The classes of a dataset from `load_predictions`, by index."""
    feature = ds.features.get("label")
    is_complete = {"id", "scores", "start", "end"} <= set(ds.features)
    if not is_complete or not isinstance(feature, List) or not isinstance(feature.feature, ClassLabel):
        raise ColumnError(
            "top_moments needs the columns id, scores, start, end and label, as load_predictions gave them; "
            f"the dataset has {', '.join(map(repr, ds.column_names))}."
        )
    return list(feature.feature.names)


def find_classes(sound: str | Category, names: Sequence[str]) -> list[int]:
    """The indices of a sound's classes; for an unknown name, an error that suggests similar ones."""
    if isinstance(sound, str) and sound in names:
        return [names.index(sound)]
    try:
        category = sound if isinstance(sound, Category) else ontology[sound]
    except UnknownCategoryError:
        in_lower_case = {name.lower(): name for name in names}
        near = [name for name in names if str(sound).lower() in name.lower()][:3] or [
            in_lower_case[name] for name in get_close_matches(str(sound).lower(), in_lower_case, cutoff=0.6)
        ]
        hint = f": did you mean {' or '.join(map(repr, near))}?" if near else f", such as {names[0]!r}."
        raise SettingsError(f"{sound!r} is not one of the {len(names)} classes{hint}") from None
    wanted = {one.name for one in (category, *category.descendants())}
    places = [place for place, name in enumerate(names) if name in wanted]
    if not places:
        raise SettingsError(f"None of the {len(names)} classes is {category.name!r} or below it.")
    return places


def read_clips(
    ds: Dataset, classes: Sequence[int]
) -> Iterator[tuple[Any, np.ndarray, np.ndarray, np.ndarray]]:
    """Each clip's id, its patches' highest scores among some classes, and their starts and ends.

    Reads Arrow's memory directly: only the classes' scores are copied.
    """
    columns = ds.select_columns(["id", "scores", "start", "end"]).with_format("arrow")
    for table in columns.iter(CLIPS_AT_ONCE):
        for id, scores, starts, ends in zip(*(table[name] for name in table.column_names), strict=True):
            patches = scores.values.flatten().to_numpy().reshape(-1, scores.values.type.list_size)
            best = patches[:, classes].max(axis=1).astype(np.float64)
            yield id.as_py(), best, starts.values.to_numpy(), ends.values.to_numpy()


def find_moments(
    id: Any, scores: np.ndarray, starts: np.ndarray, ends: np.ndarray, k: int, patches: int
) -> Iterator[Moment]:
    """At most k moments of one clip that do not overlap, best first."""
    width = min(patches, len(scores))
    if not width:
        return
    pooled = np.lib.stride_tricks.sliding_window_view(scores, width).mean(axis=1)
    starts, ends = starts[: len(pooled)], ends[width - 1 :]
    is_free = np.ones(len(pooled), bool)
    for place in np.argsort(-pooled, kind="stable"):
        if is_free[place]:
            yield Moment(id, float(starts[place]), float(ends[place]), float(pooled[place]))
            is_free &= (ends <= starts[place]) | (starts >= ends[place])
            k -= 1
        if not k or not is_free.any():
            return
