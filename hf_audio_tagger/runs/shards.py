"""A shard: some rows with their tags, in a Parquet file that is written atomically.

Its footer holds the fingerprint of the settings, the number of failed rows, the stamps of their files
(`stamps.py`) and, for a stream, its state after the last row. Pages have checksums. A shard that cannot be
read is set aside under a hidden name, so that its rows are processed again.

The ledger has the name, size and modification time of each verified shard. While these are the same, the
shard is not read again, which would take longer than many runs.
"""

import base64
import errno
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..atomic_files import append_line
from ..checks import check_types
from ..errors import RunError
from ..results.run_files import shard_index
from ..sources.source import State
from ..stores import Place, StorePath
from ..stores.reading import open_to_read
from ..text import one_line
from .files import WholeFile, rename_file

Identity = tuple[str, int, int]  # a file's name, size and modification time

GROUP_ROWS = 100  # of a row group, as `datasets` writes media
GROUP_BYTES = 256 << 20  # or fewer rows, if they are large
FOOTER_KEY = b"hf_audio_tagger"
DAMAGED_SUFFIX = ".damaged"
DAMAGE_ERRNOS = (None, errno.EIO, errno.EISDIR)  # None: Arrow's own errors about the content


@dataclass
class Footer:
    """The metadata of a shard."""

    rows: int = 0
    failed_rows: int = 0
    ended: bool = False  # the stream ends with this shard
    state: State | None = None  # of the stream, after the last row
    stamps: bytes = b""  # of the files that its rows name; b"" if none is known
    kept_rows: int = 0  # whose existing tags were kept


class DamagedShardError(RunError):
    """A shard cannot be read, and has been set aside: the same command tags its rows again."""


def read_footer(path: Place, fingerprint: str) -> Footer | None:
    """A shard's footer; None where the shard is missing, damaged, of other settings or of another index."""
    try:
        with pq.ParquetFile(open_to_read(path)) as file:
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


def set_aside(path: Place, problem: str) -> str:
    """Rename a shard to a hidden name, which neither a run nor `load_dataset` reads; returns a note."""
    aside = rename_file(path, f".{path.name}{DAMAGED_SUFFIX}")
    return (
        f"{path} {problem}. It is kept as {aside.name}, which may be removed; the same command tags its rows "
        "again."
    )


@contextmanager
def open_shard(path: Place) -> Iterator[pq.ParquetFile]:
    """A shard to read; set aside if it turns out to be damaged."""
    try:
        with pq.ParquetFile(open_to_read(path), page_checksum_verification=True) as file:
            yield file
    except (OSError, pa.ArrowException) as error:
        if not is_damage(error):
            raise
        raise DamagedShardError(set_aside(path, f"is damaged ({one_line(error, 200)})")) from error


def read_schema(path: Place) -> pa.Schema:
    with open_shard(path) as file:
        return file.schema_arrow


def read_columns(path: Place, names: list[str]) -> pa.Table:
    with open_shard(path) as file:
        return file.read(columns=[name for name in names if name in file.schema_arrow.names])


def read_texts(path: Place, name: str, others: list[str]) -> pa.Table:
    """The text within a column, such as the paths beside the bytes of files, and other columns whole."""
    with open_shard(path) as file:
        leaves = map(file.schema.column, range(len(file.schema)))
        texts = [leaf.path for leaf in leaves if leaf.logical_type.type == "STRING"]
        return file.read(columns=[*(path for path in texts if f"{path}.".startswith(f"{name}.")), *others])


def read_batches(path: Place, size: int) -> Iterator[pa.Table]:
    with open_shard(path) as file:
        for batch in file.iter_batches(size):
            yield pa.Table.from_batches([batch])


def read_groups(path: Place) -> Iterator[pa.Table]:
    """A shard's row groups, which the writer keeps small enough to hold in memory."""
    with open_shard(path) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group)


def find_failed(table: pa.Table, errors: str) -> list[bool]:
    """Which rows have an error in the column of errors."""
    if errors not in table.column_names:
        return [False] * len(table)
    return [any(one is not None for one in cell or []) for cell in table[errors].to_pylist()]


def identify_file(path: Place) -> Identity:
    info = path.stat()
    if isinstance(path, StorePath):  # whose times are often in whole seconds
        return path.name, info.st_size, info.st_mtime_ns + info.st_ino
    return path.name, info.st_size, info.st_mtime_ns


def read_ledgers(state: Place) -> set[Identity]:
    """The shards that were whole when they were written or last read, by any command."""
    found = set()
    for ledger in state.glob("shards*.jsonl"):
        for line in ledger.read_bytes().splitlines():
            # A line is cut off when a run is killed, or damaged: its shard is read again.
            with suppress(ValueError, TypeError, KeyError, RecursionError):
                name, size, time_ns = json.loads(line)["shard"]
                found.add((name, size, time_ns))
    return found


def check_shard(path: Place, ledger: Place, known: set[Identity]) -> None:
    """Read a shard from end to end unless it is in the ledger: a valid footer does not imply valid pages.

    A store keeps its files with checksums of its own, and has no ledger.
    """
    if isinstance(path, Path) and identify_file(path) not in known:
        for _ in read_groups(path):
            pass
        note_shard(path, ledger)


def note_shard(path: Place, ledger: Place) -> None:
    """Note a whole shard in the ledger."""
    if isinstance(ledger, Path):
        append_line(ledger, {"shard": identify_file(path)})


class ShardWriter:
    """Writes a shard batch by batch, under a temporary name until it is complete.

    After an exception it keeps the rows so far, as a shorter shard, if they are more than those of the
    `existing` shard that it would replace.
    """

    def __init__(
        self, path: Place, schema: pa.Schema, fingerprint: str, ledger: Place, existing: Footer | None
    ) -> None:
        self.path, self.schema, self.fingerprint, self.ledger = path, schema, fingerprint, ledger
        self.existing_rows = existing.rows if existing else 0
        self.footer = Footer(kept_rows=existing.kept_rows if existing else 0)
        self.pending: list[pa.Table] = []
        self.is_broken = False  # a write failed: the file's content is not known

    def __enter__(self) -> "ShardWriter":
        self.whole = WholeFile(self.path)
        self.writer = pq.ParquetWriter(self.whole.file, self.schema, write_page_checksum=True)
        return self

    def add(self, table: pa.Table) -> None:
        """Write rows. The caller updates the footer, except for the number of rows."""
        if not len(table):
            return  # `datasets` cannot read a row group without rows
        self.pending.append(table.select(self.schema.names).cast(self.schema))
        self.footer.rows += len(table)
        pending_bytes = sum(one.nbytes for one in self.pending)
        if sum(map(len, self.pending)) >= GROUP_ROWS or pending_bytes >= GROUP_BYTES:
            self.flush()

    def flush(self) -> None:
        self.is_broken = True
        if self.pending:
            self.writer.write_table(pa.concat_tables(self.pending))
        self.pending = []
        self.is_broken = False

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None) -> None:
        try:
            if kind is None or (not self.is_broken and self.footer.rows > self.existing_rows):
                self.finish()
        except Exception:
            if kind is None:  # else the first error is the one to raise
                raise
        finally:
            with suppress(Exception):
                self.writer.close()
            self.whole.discard()

    def finish(self) -> None:
        self.flush()
        footer = {
            "fingerprint": self.fingerprint,
            "failed_rows": self.footer.failed_rows,
            "ended": self.footer.ended,
            "came_tagged": self.footer.kept_rows,
            "state": self.footer.state,
            "index": shard_index(self.path),
            "stamps": base64.b64encode(self.footer.stamps if any(self.footer.stamps) else b"").decode(),
        }
        self.writer.add_key_value_metadata({FOOTER_KEY: json.dumps(footer).encode()})
        self.writer.close()
        self.whole.publish()
        note_shard(self.path, self.ledger)
