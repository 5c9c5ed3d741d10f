"""Rows as JSON Lines, without the bytes of files.

A file in a cell ({bytes, path}, as `Video()` and `Audio()` store it) becomes its path, and a column of
bytes is left out.
"""

import base64
import json
import math
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, BinaryIO

import pyarrow as pa
from datasets import Features


def is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def is_file(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) and {field.name for field in kind} == {"bytes", "path"}


def plain_type(kind: pa.DataType) -> pa.DataType:
    if is_file(kind):
        return pa.string()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(plain_type(kind.value_type))
    return kind


def plain_cell(cell: Any) -> Any:
    if isinstance(cell, dict):
        return cell["path"]
    return [plain_cell(one) for one in cell] if isinstance(cell, list) else cell


def plain_features(features: Features) -> Features:
    """The schema of the columns that JSON can hold."""
    kept = {}
    for name, field in zip(features, features.arrow_schema, strict=True):
        if not is_bytes(field.type):
            plain = plain_type(field.type)
            changed = Features.from_arrow_schema(pa.schema({name: plain}))
            kept[name] = features[name] if plain == field.type else changed[name]
    return Features(kept)


def plain_table(table: pa.Table, names: Iterable[str]) -> pa.Table:
    """Some columns of a table, without the bytes of files."""
    columns = {}
    for name in names:
        column = table[name]
        plain = plain_type(column.type)
        if plain != column.type:
            column = pa.chunked_array([pa.array(map(plain_cell, column.to_pylist()), type=plain)])
        columns[name] = column
    return pa.table(columns)


def write_lines(file: BinaryIO, table: pa.Table) -> None:
    columns = [plain_values(column) for column in table.columns]
    for values in zip(*columns, strict=True):
        row = dict(zip(table.column_names, values, strict=True))
        line = json.dumps(json_value(row), ensure_ascii=False, allow_nan=False)
        file.write(line.encode() + b"\n")


def plain_values(column: pa.ChunkedArray) -> list[Any]:
    """A column's values; those of mixed types, which `datasets` stores as JSON, are parsed."""
    values: list[Any] = column.to_pylist()
    if not isinstance(column.type, pa.JsonType):
        return values
    return [None if text is None else json.loads(text) for text in values]


def json_value(value: Any) -> Any:
    """A value that any JSON parser can read: no NaN, no Python objects.

    >>> json_value({"when": date(2024, 5, 1), "score": float("nan")})
    {'when': '2024-05-01', 'score': None}
    """
    if isinstance(value, dict):
        return {str(key): json_value(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value) if isinstance(value, Decimal) else value
