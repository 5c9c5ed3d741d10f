"""A shard: some rows with their tags, in one Parquet file that is whole or not there.

Its footer holds the fingerprint of the settings, how many of its rows failed, what their files were like
(`stamps.py`) and, for a stream, its state behind the last row. Pages have checksums. A shard that cannot be
read is set aside under a hidden name, so that its rows are processed again.
"""

import base64
import errno
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import RunError
from ..sources.source import State
from ..text import one_line
from .typed_json import check_types

FOOTER_KEY = b"hf_audio_tagger"
NAME = "shard-{:05d}.parquet"
NAME_PATTERN = re.compile(r"shard-(\d{5,})\.parquet")
DAMAGED_SUFFIX = ".damaged"
DAMAGE_ERRNOS = (None, errno.EIO, errno.EISDIR)  # None: Arrow's own errors about the content


@dataclass(frozen=True)
class Footer:
    """What a finished shard stores beside its rows."""

    rows: int
    failed_rows: int
    ended: bool = False  # the stream ends with this shard
    state: State | None = None  # of the stream, behind the last row
    stamps: bytes = b""  # of the files that its rows name; b"" where none is known
    kept_rows: int = 0  # that came with tags and kept them


class DamagedShardError(RunError):
    """A shard cannot be read, and has been set aside: the same command tags its rows again."""


def shard_path(folder: Path, index: int) -> Path:
    return folder / NAME.format(index)


def shard_index(path: Path) -> int | None:
    """The number in a shard's name; None for any other name.

    >>> shard_index(Path("data/shard-00012.parquet")), shard_index(Path("data/shard-00012 (copy).parquet"))
    (12, None)
    """
    match = NAME_PATTERN.fullmatch(path.name)
    index = int(match[1]) if match else None
    return index if index is not None and NAME.format(index) == path.name else None


def shard_paths(folder: Path, count: int | None = None) -> list[Path]:
    """The shards in a folder, in the order of the rows; the first `count` of them at most."""
    indices = sorted(index for path in folder.glob("shard-*") if (index := shard_index(path)) is not None)
    return [shard_path(folder, index) for index in indices if count is None or index < count]


def read_footer(path: Path, fingerprint: str) -> Footer | None:
    """A shard's footer; None where the shard is missing, damaged, of other settings or of another index."""
    try:
        with pq.ParquetFile(path) as file:
            stored = json.loads(file.metadata.metadata[FOOTER_KEY])
            rows = file.metadata.num_rows
        index = shard_index(path)
        if stored["fingerprint"] != fingerprint or stored.get("index", index) != index:
            return None
        stamps = base64.b64decode(stored.get("stamps", ""))
        kept_rows = stored.get("came_tagged", 0)
        return check_types(
            Footer(rows, stored["failed_rows"], stored["ended"], stored["state"], stamps, kept_rows)
        )
    except FileNotFoundError:
        return None
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError, RecursionError) as error:
        if not is_damage(error):
            raise
        return None


def is_damage(error: Exception) -> bool:
    """True where the content is wrong, False where memory, open files or permissions are missing."""
    if isinstance(error, OSError):
        return error.errno in DAMAGE_ERRNOS
    return not isinstance(error, MemoryError)


def set_aside(path: Path) -> Path:
    """Rename a shard to a hidden name, which neither a run nor `load_dataset` reads."""
    aside = path.with_name(f".{path.name}{DAMAGED_SUFFIX}")
    os.replace(path, aside)
    return aside


@contextmanager
def open_shard(path: Path) -> Iterator[pq.ParquetFile]:
    """A shard to read; set aside if it turns out to be damaged."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            yield file
    except (OSError, pa.ArrowException) as error:
        if not is_damage(error):
            raise
        reason = one_line(error)[:200]
        aside = set_aside(path)
        raise DamagedShardError(
            f"{path} is damaged ({reason}). It is kept as {aside.name}, which may be removed; the same "
            "command tags its rows again."
        ) from error


def read_columns(path: Path, names: list[str]) -> pa.Table:
    with open_shard(path) as file:
        return file.read(columns=[name for name in names if name in file.schema_arrow.names])


def read_column_names(path: Path) -> list[str]:
    with open_shard(path) as file:
        names: list[str] = file.schema_arrow.names
        return names


def read_texts(path: Path, name: str, others: list[str]) -> pa.Table:
    """The text within a column, such as the paths beside the bytes of files, and other columns whole."""
    with open_shard(path) as file:
        leaves = [file.schema.column(number) for number in range(len(file.schema))]
        texts = [
            leaf.path
            for leaf in leaves
            if (leaf.path == name or leaf.path.startswith(name + ".")) and leaf.logical_type.type == "STRING"
        ]
        return file.read(columns=[*texts, *others])


def read_batches(path: Path, size: int) -> Iterator[pa.Table]:
    with open_shard(path) as file:
        for batch in file.iter_batches(size):
            yield pa.Table.from_batches([batch])


def read_groups(path: Path) -> Iterator[pa.Table]:
    """A shard's row groups, which the writer keeps small enough to hold in memory."""
    with open_shard(path) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group)


def find_failed(table: pa.Table, errors: str) -> list[bool]:
    """Which rows have an error in the column of errors."""
    if errors not in table.column_names:
        return [False] * len(table)
    return [any(one is not None for one in cell or []) for cell in table[errors].to_pylist()]
