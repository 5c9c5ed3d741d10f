"""The columns that a tagger adds: name, Arrow type, and how a result fills them.

Every value that goes back to `map` carries its type. `datasets` infers a column's type from its first values:
a thousand empty lists make a column of nulls, and the first tag after them would fail.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from .scores import ClipResult

SCORED = [("label", pa.string()), ("score", pa.float32())]
SEGMENT = [("start", pa.float32()), ("end", pa.float32()), *SCORED]


@dataclass(frozen=True)
class Column:
    """A column: in each row a list with one entry a video."""

    name: str
    entry_type: pa.DataType
    entry: Callable[[ClipResult], Any]

    @property
    def type(self) -> pa.DataType:
        return pa.list_(self.entry_type)


def tag_column(name: str) -> Column:
    return Column(name, pa.string(), lambda result: result.tag)


def error_column(tag_name: str) -> Column:
    return Column(find_prefix(tag_name) + "_error", pa.string(), lambda result: result.error)


def top_column(tag_name: str) -> Column:
    return Column(find_prefix(tag_name) + "_top", pa.list_(pa.struct(SCORED)), top_entry)


def segments_column(tag_name: str) -> Column:
    return Column(find_prefix(tag_name) + "_segments", pa.list_(pa.struct(SEGMENT)), segments_entry)


def embedding_column(tag_name: str) -> Column:
    return Column(find_prefix(tag_name) + "_embedding", pa.list_(pa.float32()), embedding_entry)


def all_columns(tag_name: str) -> tuple[Column, ...]:
    """All columns that a tagger may add, in order."""
    kinds = (tag_column, top_column, segments_column, embedding_column, error_column)
    return tuple(kind(tag_name) for kind in kinds)


def find_prefix(tag_name: str) -> str:
    """The beginning of the other columns' names: `video_audio` for `video_audio_tags`."""
    return tag_name.removesuffix("_tags")


def top_entry(result: ClipResult) -> list[dict[str, Any]] | None:
    if result.top is None:
        return None
    return [{"label": label, "score": score} for label, score in result.top]


def segments_entry(result: ClipResult) -> list[dict[str, Any]] | None:
    return None if result.segments is None else [vars(segment) for segment in result.segments]


def embedding_entry(result: ClipResult) -> list[float] | None:
    return None if result.embedding is None else result.embedding.tolist()


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
