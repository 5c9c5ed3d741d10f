"""A shard: some rows heard, in one Parquet file that is whole or not there.

A shard is written under a temporary name, synced, and put in its place in one step. Its footer says with
which settings it was heard, how many of its rows failed, what their files were like (`stamps.py`) and, for
a stream, where the stream stood. A run that ends early keeps the rows that it has heard as a shorter shard,
and the next run goes on behind them. Pages carry checksums; a shard that cannot be read is set aside under
a hidden name, so that its rows are heard again.
"""

import base64
import errno
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import RunError
from ..sources.source import State
from ..text import one_line
from .typed_json import checked

FOOTER_KEY = b"hf_audio_tagger"
NAME = "shard-{:05d}.parquet"
NAME_PATTERN = re.compile(r"shard-(\d{5,})\.parquet")
TEMPORARY_PATTERN = re.compile(r"\..+\.\d+\.tmp", re.DOTALL)
DAMAGED_SUFFIX = ".damaged"
DAMAGE_ERRNOS = (None, errno.EIO, errno.EISDIR)  # Arrow gives none for content that is not as it must be
GROUP_ROWS = 100  # of a row group, as `datasets` writes media
GROUP_BYTES = 256 << 20  # or fewer rows, where they are large


@dataclass(frozen=True)
class Footer:
    """What a finished shard says of itself."""

    rows: int
    failed_rows: int
    ended: bool = False  # a stream ends with this shard
    state: State | None = None  # where the stream stood behind it
    stamps: bytes = b""  # of the files that its rows name; b"" where none is known
    came_tagged: int = 0  # rows that kept the tags which the source gives them


class DamagedShardError(RunError):
    """A shard that cannot be read. It is set aside by then; the same command hears its rows again."""


def shard_path(folder: Path, index: int) -> Path:
    return folder / NAME.format(index)


def shard_index(path: Path) -> int | None:
    """The number in a shard's name; None for what is not the name of a shard, to the letter.

    >>> shard_index(Path("data/shard-00012.parquet")), shard_index(Path("data/shard-00012 (copy).parquet"))
    (12, None)
    """
    match = NAME_PATTERN.fullmatch(path.name)
    index = int(match[1]) if match else None
    return index if index is not None and NAME.format(index) == path.name else None


def shard_paths(folder: Path, count: int | None = None) -> list[Path]:
    """The shards that are there, in the rows' order; of a run that has so many, no others."""
    indices = sorted(index for path in folder.glob("shard-*") if (index := shard_index(path)) is not None)
    return [shard_path(folder, index) for index in indices if count is None or index < count]


def read_footer(path: Path, fingerprint: str) -> Footer | None:
    """A shard's footer; None where there is no whole shard of these settings at this place."""
    try:
        with pq.ParquetFile(path) as file:
            said = json.loads(file.metadata.metadata[FOOTER_KEY])
            rows = file.metadata.num_rows
        if said["fingerprint"] != fingerprint or said.get("index", shard_index(path)) != shard_index(path):
            return None
        stamps = base64.b64decode(said.get("stamps", ""))
        came_tagged = said.get("came_tagged", 0)
        return checked(Footer(rows, said["failed_rows"], said["ended"], said["state"], stamps, came_tagged))
    except FileNotFoundError:
        return None
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError, RecursionError) as error:
        if not is_damage(error):
            raise
        return None


def is_damage(error: Exception) -> bool:
    """True for content that cannot be read, False for memory, files or rights that are lacking."""
    if isinstance(error, OSError):
        return error.errno in DAMAGE_ERRNOS
    return not isinstance(error, MemoryError)


def set_aside(path: Path) -> Path:
    """Give a shard a hidden name, which neither a run nor `load_dataset` reads."""
    aside = path.with_name(f".{path.name}{DAMAGED_SUFFIX}")
    os.replace(path, aside)
    return aside


@contextmanager
def readable(path: Path) -> Iterator[pq.ParquetFile]:
    """A shard, opened; set aside if it turns out to be damaged."""
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
            "command hears its rows again."
        ) from error


def read_columns(path: Path, names: list[str]) -> pa.Table:
    """Some columns of a shard, as far as it has them."""
    with readable(path) as file:
        there = [name for name in names if name in file.schema_arrow.names]
        return file.read(columns=there)


def column_names(path: Path) -> list[str]:
    with readable(path) as file:
        names: list[str] = file.schema_arrow.names
        return names


def read_texts(path: Path, name: str, others: list[str]) -> pa.Table:
    """What is text in a column, such as the paths beside the bytes of files, and other columns whole."""
    with readable(path) as file:
        leaves = [file.schema.column(number) for number in range(len(file.schema))]
        texts = [
            leaf.path
            for leaf in leaves
            if (leaf.path == name or leaf.path.startswith(name + ".")) and leaf.logical_type.type == "STRING"
        ]
        return file.read(columns=[*texts, *others])


def read_batches(path: Path, size: int) -> Iterator[pa.Table]:
    """A shard's rows, some at a time."""
    with readable(path) as file:
        for batch in file.iter_batches(size):
            yield pa.Table.from_batches([batch])


def read_groups(path: Path) -> Iterator[pa.Table]:
    """A shard's rows as they were written together, which bounds the bytes of media that are held."""
    with readable(path) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group)


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
        if TEMPORARY_PATTERN.fullmatch(path.name) and not path.is_dir():
            path.unlink(missing_ok=True)


class ShardWriter:
    """Writes a shard as its rows come.

    Left with an exception, it keeps the rows so far if they are more than `kept_rows`, those that the
    shard in its place holds already.
    """

    def __init__(self, path: Path, schema: pa.Schema, fingerprint: str, kept_rows: int = 0) -> None:
        self.path, self.schema, self.fingerprint, self.kept_rows = path, schema, fingerprint, kept_rows
        self.temporary = temporary_path(path)
        self.rows = self.failed_rows = self.came_tagged = 0
        self.state: State | None = None
        self.ended = False
        self.stamps = bytearray()
        self.held: list[pa.Table] = []
        self.is_broken = False  # a write failed: what is in the file can't be trusted

    def __enter__(self) -> "ShardWriter":
        self.file = open(self.temporary, "wb")
        self.writer = pq.ParquetWriter(self.file, self.schema, write_page_checksum=True)
        return self

    def add(
        self, table: pa.Table, failed: int, stamps: bytes, state: State | None = None, ended: bool = False
    ) -> None:
        """The next rows of the shard."""
        self.held.append(table.select(self.schema.names).cast(self.schema))
        self.rows += len(table)
        self.failed_rows += failed
        self.stamps += stamps
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
            "came_tagged": self.came_tagged,
            "state": self.state,
            "index": shard_index(self.path),
            "stamps": base64.b64encode(self.stamps if any(self.stamps) else b"").decode(),
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
