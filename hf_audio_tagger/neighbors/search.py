"""The k best rows of a base for each query, by cosine, exactly: blocks of both are multiplied by torch.

Ties are in the order of the base's rows. A block is searched in two steps: the best score of each group of
columns tells which groups can still change a query's k best, and only those are sorted.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from ..errors import ColumnError
from .vectors import Block, Vectors, read_block

QUERIES_AT_ONCE, BASE_ROWS_AT_ONCE = 2_048, 16_384  # of one product: 134 MB of float32
GROUP = 32  # columns of a product
NONE = -1  # a row, where there are fewer neighbours than requested

FindSame = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def search(
    queries: Block,
    base: Vectors,
    k: int,
    device: str,
    find_same: FindSame | None = None,
    on_block: Callable[[int, int], Any] = lambda rows, left_out: None,
) -> tuple[np.ndarray, np.ndarray]:
    """For each query the scores and the rows of its k best: float32 and int64, (queries, k), best first.

    Places that no row fills have the row `NONE`.

    Args:
        find_same: pairs that are not compared: from rows of the base, the queries' and the rows' places.
        on_block: called with the number of the base's rows that were done, and of those left out.
    """
    count = len(queries.units)
    if not count:
        return np.zeros((0, k), np.float32), np.zeros((0, k), np.int64)
    bests = [Best(len(part), k, device) for part in queries.units.split(QUERIES_AT_ONCE)]
    products = torch.empty(min(count, QUERIES_AT_ONCE) * BASE_ROWS_AT_ONCE, device=device)
    with full_precision():
        for start in range(0, len(base), BASE_ROWS_AT_ONCE):
            stop = min(start + BASE_ROWS_AT_ONCE, len(base))
            block = read_block(base, start, stop, device)
            if len(block.rows):
                check_width(queries, block)
                same = find_same(block.rows) if find_same else None
                compare(queries.units, block, bests, products, same)
            on_block(stop - start, stop - start - len(block.rows))
    scores, rows = zip(*(best.as_arrays() for best in bests), strict=True)
    return np.concatenate(scores), np.concatenate(rows)


def compare(
    units: torch.Tensor,
    block: Block,
    bests: "list[Best]",
    buffer: torch.Tensor,
    same: tuple[np.ndarray, np.ndarray] | None,
) -> None:
    """Update the best of all queries from a block of the base. `buffer` is overwritten with products."""
    count = len(block.rows)
    missing = -count % GROUP  # columns are added to make the groups whole
    turned = (torch.nn.functional.pad(block.units, (0, 0, 0, missing)) if missing else block.units).T
    rows = torch.from_numpy(np.pad(block.rows, (0, missing), constant_values=NONE)).to(units.device)
    for index, (part, best) in enumerate(zip(units.split(QUERIES_AT_ONCE), bests, strict=True)):
        scores = buffer[: len(part) * len(rows)].view(len(part), len(rows))
        torch.matmul(part, turned, out=scores)
        scores[:, count:] = -torch.inf
        if same is not None:
            places, columns = same
            first = index * QUERIES_AT_ONCE
            is_here = (places >= first) & (places < first + len(part))
            pairs = (places[is_here] - first, columns[is_here])
            scores[tuple(torch.from_numpy(one).to(units.device) for one in pairs)] = -torch.inf
        best.update(scores, rows)


class Best:
    """The best rows so far of some queries."""

    def __init__(self, queries: int, k: int, device: str) -> None:
        self.scores = torch.full((queries, k), -torch.inf, device=device)
        self.rows = torch.full((queries, k), NONE, device=device)

    def update(self, scores: torch.Tensor, rows: torch.Tensor) -> None:
        """Take in the scores of a block, (queries, its rows). They come after all rows so far, so that of
        equal scores the earlier row stays."""
        columns = find_open_columns(scores, self.scores[:, -1:])
        if columns is not None:
            scores = scores.gather(1, columns)
        scores = scores.clamp_(max=1)  # rounding may leave a cosine's range
        places = pick_best(scores, self.scores.shape[1])
        found = rows[places if columns is None else columns.gather(1, places)]
        scores = torch.cat([self.scores, scores.gather(1, places)], 1)
        found = torch.cat([self.rows, found], 1)
        order = torch.sort(scores, dim=1, descending=True, stable=True).indices[:, : self.scores.shape[1]]
        self.scores, self.rows = scores.gather(1, order), found.gather(1, order)
        self.rows[self.scores == -torch.inf] = NONE

    def as_arrays(self) -> tuple[np.ndarray, np.ndarray]:
        return np.clip(self.scores.cpu().numpy(), -1, 1), self.rows.cpu().numpy()


def find_open_columns(scores: torch.Tensor, limits: torch.Tensor) -> torch.Tensor | None:
    """For each query the columns of the groups with a score above its limit, in order, (queries, some).

    As many groups for each as the query with the most has. None if these are most of the columns.
    """
    groups = scores.shape[1] // GROUP
    highest = scores.view(len(scores), groups, GROUP).amax(2)
    most = int((highest > limits).sum(1).max())
    if 2 * most > groups:
        return None
    chosen = highest.topk(most, 1).indices.sort(1).values
    within = torch.arange(GROUP, device=scores.device)
    return (chosen[:, :, None] * GROUP + within).flatten(1)


def pick_best(scores: torch.Tensor, k: int) -> torch.Tensor:
    """The columns of each row's k best scores, best first; of equal scores the first column."""
    if scores.shape[1] <= k:
        return torch.sort(scores, dim=1, descending=True, stable=True).indices
    found = scores.topk(k + 1, 1)
    places = found.indices[:, :k].sort(1).values
    order = torch.sort(scores.gather(1, places), dim=1, descending=True, stable=True).indices
    places = places.gather(1, order)
    # topk takes any of the scores that equal the k-th.
    is_cut = (found.values[:, k - 1] == found.values[:, k]) & (found.values[:, k] > -torch.inf)
    if is_cut.any():
        places[is_cut] = torch.sort(scores[is_cut], dim=1, descending=True, stable=True).indices[:, :k]
    return places


def check_width(queries: Block, block: Block) -> None:
    widths = queries.units.shape[1], block.units.shape[1]
    if widths[0] != widths[1]:
        raise ColumnError(
            f"The queries' vectors have {widths[0]} elements, the base's {widths[1]}: they come from "
            "different models. Embed both with the same one."
        )


@contextmanager
def full_precision() -> Iterator[None]:
    """Products in float32, also where the process has allowed less."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
