"""The k best rows for a few vectors together, by cosine, exactly: each of a column's vectors is read once.

Where `search.py` compares many queries with copies of unit vectors, here the memory's speed is the limit:
Arrow's memory is multiplied as it is, and a product divided by the vector's length.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from ..errors import ColumnError
from ..process import on_every_core
from .search import GROUP, NONE, Best, full_precision
from .vectors import LARGEST_NORM, LEAST_NORM, ColumnVectors, normalize

ROWS_AT_ONCE = 16_384
READ_ONLY = "The given NumPy array is not writable"  # a warning of torch, which does not write here

Combine = Callable[[torch.Tensor], torch.Tensor]  # cosines (vectors, queries) to one score each


def scan(
    queries: np.ndarray,
    base: ColumnVectors,
    k: int,
    combine: Combine,
    without: Sequence[int] = (),
    on_rows: Callable[[int], Any] = lambda rows: None,
) -> tuple[np.ndarray, np.ndarray]:
    """The scores and rows of the k best rows, best first; of equal scores the earlier row. May be fewer.

    A row with several vectors has the best of their scores. Those without a direction have none.

    Args:
        queries: unit vectors, float32 (queries, width).
        without: rows that are left out.
        on_rows: called with the number of rows that were compared.
    """
    best = Best(1, max(1, min(k, len(base))), "cpu")
    turned = torch.from_numpy(np.ascontiguousarray(queries.T))

    def score(start: int) -> tuple[np.ndarray, torch.Tensor]:
        return score_rows(base, start, start + ROWS_AT_ONCE, turned, combine)

    starts = range(0, len(base), ROWS_AT_ONCE)
    with full_precision(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", READ_ONLY)
        at_once = max(1, torch.get_num_threads())
        for some in (starts[first : first + at_once] for first in range(0, len(starts), at_once)):
            for start, (rows, scores) in zip(some, on_every_core(score, some), strict=True):
                if len(without):
                    scores[torch.from_numpy(np.isin(rows, without))] = -torch.inf
                update(best, rows, scores)
                on_rows(min(start + ROWS_AT_ONCE, len(base)) - start)
    (scores_found,), (rows_found,) = best.as_arrays()
    is_row = rows_found != NONE
    return scores_found[is_row], rows_found[is_row]


def update(best: Best, rows: np.ndarray, scores: torch.Tensor) -> None:
    """Take in the scores of some rows, which are added to until their groups are whole."""
    if len(rows):
        missing = -len(rows) % GROUP
        scores = torch.nn.functional.pad(scores, (0, missing), value=-torch.inf)
        best.update(scores[None], torch.from_numpy(np.pad(rows, (0, missing), constant_values=NONE)))


def score_rows(
    base: ColumnVectors, start: int, stop: int, turned: torch.Tensor, combine: Combine
) -> tuple[np.ndarray, torch.Tensor]:
    """The rows that have a score, and their scores."""
    rows, scores = [np.zeros(0, np.int64)], [torch.zeros(0)]
    for its_rows, vectors in base.read_chunks(start, stop):
        if vectors.shape[1] != len(turned):
            raise ColumnError(
                f"The vectors in {base.column!r} have {vectors.shape[1]} elements, those of the model "
                f"{len(turned)}: another model made them. Name that one with model=."
            )
        cosines, has_direction = compute_cosines(vectors, turned)
        found = combine(cosines)
        if not has_direction.all():
            its_rows, found = its_rows[has_direction], found[torch.from_numpy(has_direction)]
        is_first = np.diff(its_rows, prepend=-1) > 0
        if not is_first.all():  # several vectors in a row
            found = torch.from_numpy(np.maximum.reduceat(found.numpy(), np.flatnonzero(is_first)))
            its_rows = its_rows[is_first]
        rows.append(its_rows)
        scores.append(found)
    return np.concatenate(rows), torch.cat(scores)


def compute_cosines(vectors: np.ndarray, turned: torch.Tensor) -> tuple[torch.Tensor, np.ndarray]:
    """The cosines of vectors with queries, (vectors, queries), and whether each vector has a direction."""
    if vectors.dtype == np.float32:
        plain = torch.from_numpy(vectors)
        norms = torch.linalg.vector_norm(plain, dim=1)
        if bool(((norms > LEAST_NORM) & (norms < LARGEST_NORM)).all()):
            return ((plain @ turned) / norms[:, None]).clamp_(-1, 1), np.ones(len(vectors), bool)
    units, has_direction = normalize(vectors.copy())
    return (units @ turned).clamp_(-1, 1), has_direction
