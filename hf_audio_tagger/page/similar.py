"""Of clips with embeddings: the most similar others, and a map in two dimensions.

The map is a linear projection (PCA): it needs sums of a fixed size, so that it holds for a million of them,
gives the same picture each time, and needs no library. Neighbours show what a plane cannot.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .survey import Survey

NEIGHBORS = 8  # of a clip
MOST_COMPARED = 20_000  # embeddings of which neighbours are searched by default: all pairs are compared
ROWS_AT_ONCE = 16_384
LARGEST = 65_535


@dataclass(frozen=True, eq=False)
class Map:
    """Points between 0 and LARGEST; distances mean the same in both directions."""

    clips: np.ndarray
    x: np.ndarray
    y: np.ndarray
    note: str


class StoredVectors:
    """Unit vectors on disk, as `neighbors.search` reads a base."""

    def __init__(self, units: np.ndarray) -> None:
        self.units = units

    def __len__(self) -> int:
        return len(self.units)

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        stop = min(stop, len(self))
        return np.arange(start, stop), np.array(self.units[start:stop])


def find_neighbors(
    survey: Survey, count: int, advance: Callable[[int], Any]
) -> dict[int, list[tuple[int, float]]]:
    """Of each clip with an embedding the `count` nearest others, by the cosine, nearest first."""
    if survey.units is None or not count:
        return {}
    from ..neighbors.search import NONE, QUERIES_AT_ONCE, search
    from ..neighbors.vectors import read_block

    vectors, found = StoredVectors(survey.units), {}
    for start in range(0, len(vectors), QUERIES_AT_ONCE):
        stop = min(start + QUERIES_AT_ONCE, len(vectors))

        def find_same(
            rows: np.ndarray, start: int = start, stop: int = stop
        ) -> tuple[np.ndarray, np.ndarray]:
            columns = np.flatnonzero((rows >= start) & (rows < stop))
            return rows[columns] - start, columns

        scores, rows = search(read_block(vectors, start, stop, "cpu"), vectors, count, "cpu", find_same)
        for query, (row_scores, row_places) in enumerate(zip(scores, rows, strict=True), start):
            is_there = row_places != NONE
            clips = survey.clips[row_places[is_there]].tolist()
            found[int(survey.clips[query])] = list(zip(clips, row_scores[is_there].tolist(), strict=True))
        advance(stop - start)
    return found


def make_map(survey: Survey) -> Map | None:
    """The embeddings on the two directions in which they differ most; None where they do not differ."""
    units = survey.units
    if units is None or len(units) < 3 or units.shape[1] < 2:
        return None
    starts = range(0, len(units), ROWS_AT_ONCE)
    blocks = (units[start : start + ROWS_AT_ONCE].astype(np.float64) for start in starts)
    total, products = np.zeros(units.shape[1]), np.zeros((units.shape[1], units.shape[1]))
    for block in blocks:
        total += block.sum(axis=0)
        products += block.T @ block
    mean = total / len(units)
    values, directions = np.linalg.eigh(products / len(units) - np.outer(mean, mean))
    if values[-1] <= 1e-12:
        return None
    axes = directions[:, [-1, -2]]
    axes = axes * np.where(axes[np.abs(axes).argmax(axis=0), [0, 1]] < 0, -1, 1)  # one sign of the two
    points = np.concatenate([(units[start : start + ROWS_AT_ONCE] - mean) @ axes for start in starts])
    low, high = points.min(axis=0), points.max(axis=0)
    centre, span = (low + high) / 2, max(float((high - low).max()), 1e-12)
    places = np.round(((points - centre) / span + 0.5) * LARGEST).astype(np.uint16)
    share = float(values[-2:].sum() / max(values.clip(0).sum(), 1e-12))
    note = (
        f"Embeddings of {len(units):,} clips on the two directions in which they differ most (PCA), which "
        f"hold {share:.0%} of their differences: clips far apart differ, neighbours need not be alike."
    )
    return Map(survey.clips, places[:, 0], places[:, 1], note)
