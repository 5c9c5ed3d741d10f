"""Ids of rows: what makes two rows the same one, and what neighbours are called."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset

from ..errors import ColumnError


class Ids:
    """A dataset's column of ids, as text or whole numbers."""

    def __init__(self, ds: Dataset, column: str, which: str) -> None:
        if column not in ds.column_names:
            names = ", ".join(map(repr, ds.column_names)) or "none"
            raise ColumnError(
                f"The {which} have no column {column!r} among {names}; "
                "id_column= names the one with their ids."
            )
        stored = ds.select_columns([column]).with_format("arrow")
        kind = ds.features.arrow_schema.field(column).type
        is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        if not is_text and not pa.types.is_integer(kind):
            raise ColumnError(
                f"{column!r} of the {which} must hold ids, text or whole numbers; it holds {kind}."
            )
        self.type = pa.string() if is_text else pa.int64()
        cells = stored[:][column] if len(ds) else pa.chunked_array([], kind)
        if cells.null_count:
            row = cells.is_valid().to_numpy().argmin()
            raise ColumnError(f"Row {row} of the {which} has no id in {column!r}.")
        self.cells = cells.cast(self.type)

    def take(self, rows: np.ndarray) -> pa.Array:
        taken = self.cells.take(pa.array(rows))
        return taken.combine_chunks() if isinstance(taken, pa.ChunkedArray) else taken


def make_find_same(queries: pa.Array, base: Ids) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """A function that finds pairs with equal ids between some queries and rows of the base.

    It takes rows of the base and returns the queries' and the rows' places, one of each for a pair.
    """
    encoded = queries.dictionary_encode()
    codes = encoded.indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]

    def find_same(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not len(rows):
            return rows, rows
        first = int(rows[0])
        some = base.cells.slice(first, int(rows[-1]) - first + 1)
        found = pc.fill_null(pc.index_in(some, value_set=encoded.dictionary), -1).to_numpy()[rows - first]
        columns = np.flatnonzero(found >= 0)
        starts = np.searchsorted(ordered, found[columns], "left")
        counts = np.searchsorted(ordered, found[columns], "right") - starts
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return order[np.repeat(starts, counts) + within], np.repeat(columns, counts)

    return find_same
