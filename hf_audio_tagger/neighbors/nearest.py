"""`nearest`: the neighbours of a dataset's rows in another dataset."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset, Features
from datasets.utils import tqdm

from ..checks import check_counts, invalid
from ..compat.datasets_calls import Fingerprinted
from ..compat.datasets_internals import get_fingerprint
from ..errors import ColumnError
from ..process import pick_device, prepare_torch
from .ids import Ids, make_find_same
from .models import check_same_model
from .search import BASE_ROWS_AT_ONCE, NONE, QUERIES_AT_ONCE, search
from .vectors import ColumnVectors, read_block, read_vectors

BLOCKS_OF_QUERIES = 8  # compared with the base in one pass over it
MOST_KEPT = 1 << 24  # neighbours that are held at once, 200 MB
EMBEDDING_COLUMN = "video_audio_embedding"


def nearest(
    queries: Dataset,
    base: Dataset,
    k: int = 100,
    column: str = EMBEDDING_COLUMN,
    id_column: str = "id",
    device: str | None = None,
) -> Dataset:
    """The k nearest rows of `base` for each row of `queries`, by the cosine of their embeddings.

    The result has a row for each query: `id`, and `neighbors`, a list of {id, score}, best first. The search
    is exact; equal scores are in the order of the base's rows. A row is never its own neighbour (the same
    id). Where the base has fewer than k others, the lists are shorter. Rows without a direction (no
    embedding, zeros, values that are not finite) are left out of both sides, and a warning counts them.

    Memory does not grow with either dataset, and the same search again reads the cache of `datasets`.

    Args:
        column: of the vectors: one in each row, or a list with one, as the tagger writes it.
        id_column: in both datasets; text or whole numbers.
        device: such as "cpu" or "cuda:1". Default: a CUDA device, else the CPU.

    >>> near = nearest(balanced, unbalanced, k=100)  # doctest: +SKIP
    >>> near[0]  # doctest: +SKIP
    {'id': 'a1B2c3D4e5F', 'neighbors': [{'id': 'g6H7i8J9k0L', 'score': 0.93}, ...]}
    """
    found = search_neighbors(queries, base, k, column, id_column, device)
    if text := found.describe_left_out():
        warnings.warn(text, stacklevel=2)
    return found.rows


@dataclass(frozen=True)
class Neighbors:
    """The result of a search, with counts of what could not be compared."""

    rows: Dataset
    queries: int
    queries_left_out: int
    base: int
    base_left_out: int

    def describe_left_out(self) -> str | None:
        sides = {
            "queries": (self.queries_left_out, self.queries),
            "rows of the base": (self.base_left_out, self.base),
        }
        parts = [f"{count:,} of {total:,} {name}" for name, (count, total) in sides.items() if count]
        if not parts:
            return None
        return f"{' and '.join(parts)} have no embedding with a direction (null, zero, not finite): left out."


def search_neighbors(
    queries: Dataset,
    base: Dataset,
    k: int = 100,
    column: str = EMBEDDING_COLUMN,
    id_column: str = "id",
    device: str | None = None,
) -> Neighbors:
    """`nearest` with the counts of rows that were left out."""
    check_counts(k=k)
    for name, ds in {"queries": queries, "base": base}.items():
        if not isinstance(ds, Dataset):
            raise invalid(name, type(ds).__name__, "a Dataset (of a DatasetDict, one of its splits)")
    check_same_model(queries, base, column)
    ids = Ids(queries, id_column, "queries"), Ids(base, id_column, "base's rows")
    if ids[0].type != ids[1].type:
        raise ColumnError(f"{id_column!r} holds {ids[0].type} in the queries and {ids[1].type} in the base.")
    ColumnVectors(queries, column)  # raises where there is no such column
    vectors = ColumnVectors(base, column)
    searched = SearchRows(get_fingerprint(base), vectors, ids[1], column, id_column, k, device)
    rows = search_rows(queries, searched)
    left_out = searched.base_left_out
    if left_out is None:  # nothing was searched: the rows are the cache's
        left_out = count_left_out(vectors)
    return Neighbors(rows, len(queries), len(queries) - len(rows), len(base), left_out)


def search_rows(queries: Dataset, searched: "SearchRows") -> Dataset:
    neighbors = pa.struct([("id", searched.base_ids.type), ("score", pa.float32())])
    schema = pa.schema([("id", searched.base_ids.type), ("neighbors", pa.list_(neighbors))])
    features = Features.from_arrow_schema(schema)
    if not len(queries):
        return Dataset.from_dict({name: [] for name in features}, features=features)
    blocks = max(1, min(BLOCKS_OF_QUERIES, MOST_KEPT // (searched.k * QUERIES_AT_ONCE)))
    return (
        queries.select_columns([*dict.fromkeys([searched.id_column, searched.column])])
        .with_format("arrow")
        .map(
            searched,
            batched=True,
            batch_size=blocks * QUERIES_AT_ONCE,
            writer_batch_size=1_000,
            remove_columns=[searched.id_column, searched.column],
            features=features,
            desc="Neighbours",
        )
        .with_format(None)
    )


@dataclass
class SearchRows(Fingerprinted):
    """For `map`: the neighbours of a batch of queries. `datasets` knows it by what can change them."""

    base_fingerprint: str
    base: ColumnVectors
    base_ids: Ids
    column: str
    id_column: str
    k: int
    device: str | None
    base_left_out: int | None = None  # counted while searching

    def hash_key(self) -> tuple[Any, ...]:
        return "nearest", self.base_fingerprint, self.column, self.id_column, self.k

    def __call__(self, table: pa.Table) -> pa.Table:
        prepare_torch()
        device = pick_device(self.device)
        queries = read_block(TableVectors(table[self.column], self.column), 0, len(table), device)
        ids = table[self.id_column].cast(self.base_ids.type).take(pa.array(queries.rows)).combine_chunks()
        left_out = 0
        with tqdm(total=len(self.base), unit=" rows of the base", leave=False) as bar:

            def on_block(rows: int, without: int) -> None:
                nonlocal left_out
                left_out += without
                bar.update(rows)

            find_same = make_find_same(ids, self.base_ids)
            k = min(self.k, max(1, len(self.base)))
            scores, rows = search(queries, self.base, k, device, find_same, on_block)
        if len(queries.rows):
            self.base_left_out = left_out
        return pa.table({"id": ids, "neighbors": self.make_lists(scores, rows)})

    def make_lists(self, scores: np.ndarray, rows: np.ndarray) -> pa.Array:
        is_filled = rows != NONE
        ends = is_filled.sum(axis=1).cumsum()
        ids = self.base_ids.take(rows[is_filled])
        values = pa.StructArray.from_arrays([ids, pa.array(scores[is_filled])], ["id", "score"])
        return pa.ListArray.from_arrays(pa.array(np.append(0, ends), pa.int32()), values)


class TableVectors:
    """The vectors of a column that is in memory."""

    def __init__(self, cells: pa.ChunkedArray, column: str) -> None:
        self.cells, self.column = cells, column

    def __len__(self) -> int:
        return len(self.cells)

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        return read_vectors(self.cells.slice(start, stop - start), start, self.column)


def count_left_out(base: ColumnVectors) -> int:
    starts = range(0, len(base), BASE_ROWS_AT_ONCE)
    return len(base) - sum(
        len(read_block(base, start, start + BASE_ROWS_AT_ONCE, "cpu").rows) for start in starts
    )
