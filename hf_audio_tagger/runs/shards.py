"""A shard: some rows heard, in one Parquet file that is whole or not there.

A shard is written under a temporary name, synced, and put in its place in one step. Its footer says with
which settings it was heard, how many of its rows failed and, for a stream, where the stream stood. A run
that ends early keeps the rows that it has heard as a shorter shard, and the next run goes on behind them.
"""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from .sources import State

FOOTER_KEY = b"hf_audio_tagger"
NAME = "shard-{:05d}.parquet"
GROUP_ROWS = 100  # of a row group, as `datasets` writes media
GROUP_BYTES = 256 << 20  # or fewer rows, where they are large


@dataclass(frozen=True)
class Footer:
    """What a finished shard says of itself."""

    rows: int
    failed_rows: int
    ended: bool = False  # a stream ends with this shard
    state: State | None = None  # where the stream stood behind it


def shard_path(folder: Path, index: int) -> Path:
    return folder / NAME.format(index)


def shard_index(path: Path) -> int:
    return int(path.stem.removeprefix("shard-"))


def shard_paths(folder: Path) -> list[Path]:
    """The shards that are there, in the rows' order."""
    return sorted(folder.glob("shard-[0-9]*.parquet"), key=shard_index)


def read_footer(path: Path, fingerprint: str) -> Footer | None:
    """A shard's footer; None where there is no whole shard of these settings."""
    try:
        with pq.ParquetFile(path) as file:
            said = json.loads(file.metadata.metadata[FOOTER_KEY])
            rows = file.metadata.num_rows
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError):
        return None
    if said.get("fingerprint") != fingerprint:
        return None
    return Footer(rows, said["failed_rows"], said["ended"], said["state"])


def read_columns(path: Path, names: list[str]) -> pa.Table:
    """Some columns of a shard, as far as it has them."""
    with pq.ParquetFile(path) as file:
        there = [name for name in names if name in file.schema_arrow.names]
        return file.read(columns=there)


def read_batches(path: Path, size: int, names: list[str] | None = None) -> Iterator[pa.Table]:
    """A shard's rows, some at a time."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(size, columns=names):
            yield pa.Table.from_batches([batch])


def failed_rows(table: pa.Table, errors: str) -> list[bool]:
    """Which rows have an error recorded."""
    if errors not in table.column_names:
        return [False] * len(table)
    return [any(one is not None for one in cell or []) for cell in table[errors].to_pylist()]


def replace_file(temporary: Path, path: Path) -> None:
    """Put a finished file in its place in one step, so that no crash leaves half of it there."""
    os.replace(temporary, path)
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def write_file(path: Path, data: bytes) -> None:
    """A small file, whole or not at all."""
    temporary = temporary_path(path)
    with open(temporary, "wb") as file:
        file.write(data)
        sync(file)
    replace_file(temporary, path)


def temporary_path(path: Path) -> Path:
    """Hidden, so that `load_dataset` passes it over; its own for each process."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def remove_leftovers(folder: Path) -> None:
    """What a run that was killed was just writing."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)


class ShardWriter:
    """Writes a shard as its rows come.

    Left with an exception, it keeps the rows so far if they are more than `kept_rows`, those that the
    shard in its place holds already.
    """

    def __init__(self, path: Path, schema: pa.Schema, fingerprint: str, kept_rows: int = 0) -> None:
        self.path, self.schema, self.fingerprint, self.kept_rows = path, schema, fingerprint, kept_rows
        self.temporary = temporary_path(path)
        self.rows = self.failed_rows = 0
        self.state: State | None = None
        self.ended = False
        self.held: list[pa.Table] = []
        self.is_broken = False  # a write failed: what is in the file can't be trusted

    def __enter__(self) -> "ShardWriter":
        self.file = open(self.temporary, "wb")
        self.writer = pq.ParquetWriter(self.file, self.schema)
        return self

    def add(self, table: pa.Table, failed: int, state: State | None = None, ended: bool = False) -> None:
        """The next rows of the shard."""
        self.held.append(table.select(self.schema.names).cast(self.schema))
        self.rows += len(table)
        self.failed_rows += failed
        self.state, self.ended = state, ended
        if sum(map(len, self.held)) >= GROUP_ROWS or sum(one.nbytes for one in self.held) >= GROUP_BYTES:
            self.flush()

    def flush(self) -> None:
        self.is_broken = True
        if self.held:
            self.writer.write_table(pa.concat_tables(self.held))
        self.held = []
        self.is_broken = False

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None) -> None:
        if kind is None:
            try:
                self.finish()
            except BaseException:
                self.discard()
                raise
        elif self.is_broken or self.rows <= self.kept_rows:
            self.discard()
        else:
            try:
                self.finish()
            except Exception:  # the first error is the one to tell
                self.discard()

    def finish(self) -> None:
        self.flush()
        said = {
            "fingerprint": self.fingerprint,
            "failed_rows": self.failed_rows,
            "ended": self.ended,
            "state": self.state,
        }
        self.writer.add_key_value_metadata({FOOTER_KEY: json.dumps(said).encode()})
        self.writer.close()
        sync(self.file)
        self.file.close()
        replace_file(self.temporary, self.path)

    def discard(self) -> None:
        with suppress(Exception):
            self.writer.close()
        with suppress(Exception):
            self.file.close()
        self.temporary.unlink(missing_ok=True)
