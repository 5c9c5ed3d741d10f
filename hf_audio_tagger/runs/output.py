"""Join all shards to a single file: Parquet, or JSON Lines without the bytes of files.

In JSON Lines a file in a cell ({bytes, path}, as `Video()` and `Audio()` store it) becomes its path, and a
column of bytes is left out.
"""

import base64
import json
import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features

from ..digests import digest_values
from ..results.run_files import find_shards
from ..stores import Place
from .engine import Watcher
from .files import open_whole, write_file
from .run_folder import RunFolder
from .shards import identify_file, read_batches, read_groups, read_schema

BATCH_ROWS = 256  # of a shard that are read at once


def join_shards(folder: RunFolder, watcher: Watcher) -> None:
    """If DEST is a file, write it from all shards, unless neither has changed since the last time."""
    file, shards = folder.file, [*find_shards(folder.shards).values()]
    if file is None or not shards:
        return
    with suppress(FileNotFoundError, ValueError, RecursionError):
        if json.loads(folder.written.read_bytes()) == read_state(file, shards):
            return
    watcher.finishing(f"Writing {folder.dest}")
    with open_whole(file, folder.state) as output:
        if file.suffix == ".jsonl":
            for path in shards:
                for table in read_batches(path, BATCH_ROWS):
                    write_lines(output, table)
        else:
            with pq.ParquetWriter(output, read_schema(shards[0]), write_page_checksum=True) as writer:
                for path in shards:
                    for table in read_groups(path):
                        writer.write_table(table)
    write_file(folder.written, json.dumps(read_state(file, shards)).encode())


def read_state(file: Place, shards: Sequence[Place]) -> dict[str, Any]:
    """A state that changes with the joined file or its shards; a replaced file has another inode."""
    info = file.stat()
    return {
        "file": [info.st_size, info.st_mtime_ns, info.st_ino],
        "shards": digest_values(*map(identify_file, shards)),
    }


def plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_struct(kind) and {field.name for field in kind} == {"bytes", "path"}:
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
        if not (pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type)):
            plain = plain_type(field.type)
            kept[name] = (
                features[name]
                if plain == field.type
                else Features.from_arrow_schema(pa.schema([(name, plain)]))[name]
            )
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
    mixed = [field.name for field in table.schema if isinstance(field.type, pa.JsonType)]
    for row in table.to_pylist():
        for name in mixed:  # values of mixed types, which `datasets` stores as JSON
            row[name] = row[name] and json.loads(row[name])
        line = json.dumps(json_value(row), ensure_ascii=False, allow_nan=False)
        file.write(line.encode() + b"\n")


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
