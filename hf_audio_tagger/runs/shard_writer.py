"""Writing a shard under a temporary name, and renaming it when it is whole."""

import base64
import json
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..atomic_files import replace_file, sync, temporary_path
from ..sources.source import State
from .shards import FOOTER_KEY, shard_index

GROUP_ROWS = 100  # of a row group, as `datasets` writes media
GROUP_BYTES = 256 << 20  # or fewer rows, where they are large


class ShardWriter:
    """Writes a shard as its rows come.

    After an exception it keeps the rows so far, as a shorter shard, if they are more than the
    `existing_rows` of the shard that it would replace.
    """

    def __init__(self, path: Path, schema: pa.Schema, fingerprint: str, existing_rows: int = 0) -> None:
        self.path, self.schema, self.fingerprint = path, schema, fingerprint
        self.existing_rows = existing_rows
        self.temporary = temporary_path(path)
        self.rows = self.failed_rows = self.kept_rows = 0
        self.state: State | None = None
        self.ended = False
        self.stamps = bytearray()
        self.pending: list[pa.Table] = []
        self.is_broken = False  # a write failed: the file's content is not known

    def __enter__(self) -> "ShardWriter":
        self.file = open(self.temporary, "wb")
        self.writer = pq.ParquetWriter(self.file, self.schema, write_page_checksum=True)
        return self

    def add(
        self, table: pa.Table, failed: int, stamps: bytes, state: State | None = None, ended: bool = False
    ) -> None:
        self.pending.append(table.select(self.schema.names).cast(self.schema))
        self.rows += len(table)
        self.failed_rows += failed
        self.stamps += stamps
        self.state, self.ended = state, ended
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
            if kind is None or (not self.is_broken and self.rows > self.existing_rows):
                self.finish()
        except Exception:
            if kind is None:  # else the first error is the one to raise
                raise
        finally:
            with suppress(Exception):
                self.writer.close()
            with suppress(Exception):
                self.file.close()
            self.temporary.unlink(missing_ok=True)

    def finish(self) -> None:
        self.flush()
        footer = {
            "fingerprint": self.fingerprint,
            "failed_rows": self.failed_rows,
            "ended": self.ended,
            "came_tagged": self.kept_rows,
            "state": self.state,
            "index": shard_index(self.path),
            "stamps": base64.b64encode(self.stamps if any(self.stamps) else b"").decode(),
        }
        self.writer.add_key_value_metadata({FOOTER_KEY: json.dumps(footer).encode()})
        self.writer.close()
        sync(self.file)
        self.file.close()
        replace_file(self.temporary, self.path)
