"""The columns that a tagger adds: name, Arrow type, and how a result fills them.

Every value returned to `map` carries its type. `datasets` infers a column's type from its first values:
a thousand empty lists make a column of nulls, and the first tag after them would fail.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from .compat.datasets_calls import called_by_arrow_map
from .scores import ClipResult

Columns = Mapping[str, Sequence[Any]]  # one value per row
Types = Mapping[str, pa.DataType]

SCORED = [("label", pa.string()), ("score", pa.float32())]
TYPES: dict[str, pa.DataType] = {  # of an entry in each kind of column, in order
    "tags": pa.string(),
    "top": pa.list_(pa.struct(SCORED)),
    "segments": pa.list_(pa.struct([("start", pa.float32()), ("end", pa.float32()), *SCORED])),
    "embedding": pa.list_(pa.float32()),
    "error": pa.string(),
}


class Column:
    """A column: in each row a list with one entry per video."""

    def __init__(self, kind: str, tag_name: str) -> None:
        self.kind = kind
        self.name = tag_name if kind == "tags" else f"{find_prefix(tag_name)}_{kind}"
        self.type = pa.list_(TYPES[kind])

    def entry(self, result: ClipResult) -> Any:
        """A result's entry in this column."""
        value = result.tag if self.kind == "tags" else getattr(result, self.kind)
        if isinstance(value, np.ndarray):
            return value.tolist()
        if self.kind == "top" and value is not None:
            return [{"label": one[0], "score": one[1]} for one in value]
        return [vars(segment) for segment in value] if isinstance(value, tuple) else value


def all_columns(tag_name: str) -> tuple[Column, ...]:
    """All columns that a tagger may add, in order."""
    return tuple(Column(kind, tag_name) for kind in TYPES)


def error_column(tag_name: str) -> Column:
    return Column("error", tag_name)


def find_prefix(tag_name: str) -> str:
    """The prefix of the other columns' names: `video_audio` for `video_audio_tags`."""
    return tag_name.removesuffix("_tags")


class TypedList(list):  # type: ignore[type-arg]
    """A column of a batch: a list, as `map` requires, with an Arrow type."""

    def __init__(self, values: Sequence[Any], arrow_type: pa.DataType) -> None:
        super().__init__(values)
        self.arrow_type = arrow_type

    def __arrow_array__(self, type: pa.DataType | None = None) -> pa.Array:
        return pa.array(list(self), type=type or self.arrow_type)


def build_columns(columns: Columns, types: Types, is_batch: bool, is_lazy: bool = False) -> dict[str, Any]:
    """Columns as `map` expects them: typed lists of a batch, Arrow arrays of length one of a row.

    Where `map` writes no Arrow, as in streaming, a row has plain values.
    """
    if is_batch:
        return {name: TypedList(values, types[name]) for name, values in columns.items()}
    if is_lazy or called_by_arrow_map():
        return {name: pa.array(values, type=types[name]) for name, values in columns.items()}
    return {name: values[0] for name, values in columns.items()}
