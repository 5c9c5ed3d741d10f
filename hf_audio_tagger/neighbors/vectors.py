"""A dataset's column of vectors, as blocks of unit vectors.

A column is read from Arrow's memory in blocks; the whole is never copied. Its cells hold one vector a row,
or, as in `video_audio_embedding`, a list with a vector for each video of the row, of which there may be one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from datasets import Dataset

from ..errors import ColumnError

# Norms outside of these bounds are computed in float64: squares of their elements may leave float32's range.
LEAST_NORM, LARGEST_NORM = 1e-15, 1e15


@dataclass(frozen=True, eq=False)
class Block:
    """Unit vectors, and the row of each. Rows without a direction are left out."""

    rows: np.ndarray  # (vectors,)
    units: torch.Tensor  # float32 (vectors, width)


class Vectors(Protocol):
    """Rows with a vector each, some of them without."""

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """The vectors of some rows, and the row of each: (vectors,) and a new array (vectors, width)."""


class ColumnVectors:
    """A dataset's column of vectors, read as Arrow stores it."""

    def __init__(self, ds: Dataset, column: str) -> None:
        if column not in ds.column_names:
            raise ColumnError(
                f"There is no column {column!r} among {', '.join(map(repr, ds.column_names)) or 'none'}. "
                "A tagger with embeddings=True adds one; column= names another."
            )
        self.column = column
        self.rows = ds.select_columns([column]).with_format("arrow")

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        cells = (
            self.rows[start : min(stop, len(self))][self.column]
            if len(self)
            else pa.chunked_array([], pa.null())
        )
        return read_vectors(cells, start, self.column)

    def read_chunks(self, start: int, stop: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The vectors of some rows as they lie in memory, not to be written to, and the row of each.

        A row may have several, one for each of its videos, which follow each other.
        """
        for chunk in self.rows[start : min(stop, len(self))][self.column].chunks:
            places, vectors = flatten_vectors(chunk, start, self.column, several=True)
            if len(places):
                yield start + places, vectors
            start += len(chunk)


def read_vectors(cells: pa.ChunkedArray, start: int, column: str) -> tuple[np.ndarray, np.ndarray]:
    """The vectors of a column's cells and their rows, where the first cell's row is `start`."""
    rows, parts = [np.zeros(0, np.int64)], []
    for chunk in cells.chunks:
        places, vectors = flatten_vectors(chunk, start, column)
        rows.append(start + places)
        parts.append(vectors)
        start += len(chunk)
    filled = [part for part in parts if len(part)]
    if not filled:
        return rows[0], np.zeros((0, 0), np.float32)
    check_widths({part.shape[1] for part in filled}, column)
    return np.concatenate(rows), np.concatenate(filled)


def flatten_vectors(
    cells: pa.Array, start: int, column: str, several: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The vectors of an array of cells, and the place of each. Nulls and empty lists hold none.

    `several`: a cell may have more than one.
    """
    nothing = np.zeros(0, np.int64), np.zeros((0, 0), np.float32)
    places: Any = np.arange(len(cells))
    depth = count_lists(cells.type)
    if depth == 2 and not several:
        is_several = pc.fill_null(pc.greater(pc.list_value_length(cells), 1), False).to_numpy(False)
        if is_several.any():
            row = int(is_several.argmax())
            raise ColumnError(
                f"Row {start + row} of {column!r} has {len(cells[row])} videos; neighbours are of rows with "
                "one. Make a row of each video."
            )
    if depth == 2:
        places, cells = pc.list_parent_indices(cells).to_numpy(), pc.list_flatten(cells)
        depth = count_lists(cells.type)
    if pa.types.is_null(cells.type):
        return nothing
    kind = cells.type.value_type if depth == 1 else None
    if kind is None or not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        raise ColumnError(f"{column!r} must hold a vector of numbers in each row; it holds {cells.type}.")
    lengths = pc.list_value_length(cells).fill_null(0).to_numpy()
    if not lengths.all():
        is_filled = lengths > 0
        places, lengths, cells = places[is_filled], lengths[is_filled], cells.filter(pa.array(is_filled))
    if not len(cells):
        return nothing
    check_widths(set(np.unique(lengths).tolist()), column)
    values = pc.list_flatten(cells)
    if values.null_count:
        values = values.cast(pa.float64()).fill_null(np.nan)
    return places, values.to_numpy(zero_copy_only=False).reshape(len(cells), -1)


def count_lists(kind: pa.DataType) -> int:
    """How deep lists are nested in a type."""
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return 1 + count_lists(kind.value_type) if is_list else 0


def check_widths(widths: set[int], column: str) -> None:
    if len(widths) > 1:
        shown = ", ".join(map(str, sorted(widths)))
        raise ColumnError(f"The vectors in {column!r} must have one width; they have {shown}.")


def normalize(vectors: np.ndarray) -> tuple[torch.Tensor, np.ndarray]:
    """Unit vectors in float32, and whether each has a direction: zero and non-finite vectors have none.

    The array may be overwritten. The vectors without a direction are arbitrary in the result.
    """
    if vectors.dtype != np.float32:
        vectors, has_direction = scale_down(vectors)
    else:
        has_direction = np.ones(len(vectors), bool)
    units = torch.from_numpy(vectors)
    norms = torch.linalg.vector_norm(units, dim=1)
    is_odd = ~((norms > LEAST_NORM) & (norms < LARGEST_NORM)).numpy() & has_direction
    if is_odd.any():
        vectors[is_odd], has_direction[is_odd] = scale_down(vectors[is_odd])
        norms[is_odd] = torch.linalg.vector_norm(units[is_odd], dim=1)
    return units.div_(norms[:, None]), has_direction


def scale_down(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vectors with a largest element of 1, in float32, and whether each has a direction."""
    wide = vectors.astype(np.float64)
    peaks = np.abs(wide).max(axis=1, initial=0)
    has_direction = np.isfinite(peaks) & (peaks > 0)
    scaled = np.ones_like(wide)
    np.divide(wide, peaks[:, None], out=scaled, where=has_direction[:, None])
    return scaled.astype(np.float32), has_direction


def read_block(vectors: Vectors, start: int, stop: int, device: str) -> Block:
    """The unit vectors of some rows, on a device."""
    rows, values = vectors.read(start, stop)
    units, has_direction = normalize(values)
    if not has_direction.all():
        rows, units = rows[has_direction], units[torch.from_numpy(has_direction)]
    return Block(rows, units.to(device))
