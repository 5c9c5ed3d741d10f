"""The columns that a tagger adds: name, Arrow type, and how a result fills them.

Every value that goes back to `map` carries its type. `datasets` infers a column's type from its first values:
a thousand empty lists make a column of nulls, and the first tag after them would fail.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from .scores import ClipResult

SCORED = [("label", pa.string()), ("score", pa.float32())]
SEGMENT = [("start", pa.float32()), ("end", pa.float32()), *SCORED]


def top_entry(result: ClipResult) -> list[dict[str, Any]] | None:
    if result.top is None:
        return None
    return [{"label": label, "score": score} for label, score in result.top]


def segments_entry(result: ClipResult) -> list[dict[str, Any]] | None:
    return None if result.segments is None else [vars(segment) for segment in result.segments]


def embedding_entry(result: ClipResult) -> list[float] | None:
    return None if result.embedding is None else result.embedding.tolist()


ENTRIES: dict[str, tuple[pa.DataType, Callable[[ClipResult], Any]]] = {  # by kind, in order
    "tags": (pa.string(), lambda result: result.tag),
    "top": (pa.list_(pa.struct(SCORED)), top_entry),
    "segments": (pa.list_(pa.struct(SEGMENT)), segments_entry),
    "embedding": (pa.list_(pa.float32()), embedding_entry),
    "error": (pa.string(), lambda result: result.error),
}


class Column:
    """A column: in each row a list with one entry a video."""

    def __init__(self, kind: str, tag_name: str) -> None:
        self.kind = kind
        self.name = tag_name if kind == "tags" else f"{find_prefix(tag_name)}_{kind}"
        entry_type, self.entry = ENTRIES[kind]
        self.type = pa.list_(entry_type)


def all_columns(tag_name: str) -> tuple[Column, ...]:
    """All columns that a tagger may add, in order."""
    return tuple(Column(kind, tag_name) for kind in ENTRIES)


def error_column(tag_name: str) -> Column:
    return Column("error", tag_name)


def find_prefix(tag_name: str) -> str:
    """The beginning of the other columns' names: `video_audio` for `video_audio_tags`."""
    return tag_name.removesuffix("_tags")


class TypedList(list):  # type: ignore[type-arg]
    """A column of a batch: a list, as `map` requires, with an Arrow type."""

    def __init__(self, values: Sequence[Any], arrow_type: pa.DataType) -> None:
        super().__init__(values)
        self.arrow_type = arrow_type

    def __arrow_array__(self, type: pa.DataType | None = None) -> pa.Array:
        return pa.array(list(self), type=type or self.arrow_type)


def typed_batch(columns: Mapping[str, Sequence[Any]], types: Mapping[str, pa.DataType]) -> dict[str, Any]:
    """Columns of a batch, each a list with its type."""
    return {name: TypedList(values, types[name]) for name, values in columns.items()}


def typed_row(columns: Mapping[str, Sequence[Any]], types: Mapping[str, pa.DataType]) -> dict[str, Any]:
    """Columns of one row, each an Arrow array of length one, which `map` writes unchanged."""
    return {name: pa.array(values, type=types[name]) for name, values in columns.items()}


def with_columns(
    table: pa.Table, columns: Mapping[str, Sequence[Any]], types: Mapping[str, pa.DataType]
) -> pa.Table:
    """The table with columns added or replaced, for datasets in the "arrow" format."""
    for name, values in columns.items():
        column = pa.array(values, type=types[name])
        if name in table.column_names:
            table = table.set_column(table.column_names.index(name), name, column)
        else:
            table = table.append_column(name, column)
    return table
