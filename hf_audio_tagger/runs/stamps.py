"""Stamps, by which changed files are detected: eight bytes for each row.

A stamp is a digest of the size and modification time of the row's local files, and of which of them must not
be read (a file may become a link that leaves its folder). No file is opened and no bytes in cells are read,
so that 100,000 clips take a second.
"""

import hashlib
import os
from collections.abc import Iterable

import pyarrow as pa

from ..cells import is_url
from ..media_paths import path_type, select_paths
from ..sources.source import Source

SIZE = 8  # bytes of a row's stamp
NO_FILE = bytes(SIZE)  # bytes, URLs, kept tags, or unknown: never compared
MISSING = b"\xff" * SIZE  # a file does not exist


def make_stamps(source: Source, cells: pa.ChunkedArray, first_row: int) -> list[bytes]:
    """The stamp of each row's files as they are now. `cells` are of the rows from `first_row` on."""
    chunks = [select_paths(chunk, only_files=True) for chunk in cells.chunks]
    paths = pa.chunked_array(chunks, type=path_type(cells.type))
    absolute = source.absolute_cells(paths, first_row).to_pylist()
    return [make_stamp(cell, source.refused.get(row, {})) for row, cell in enumerate(absolute, first_row)]


def make_stamp(cell: str | list[str | None] | None, refused: Iterable[int]) -> bytes:
    """A digest of the files that a cell names, and of the positions of those that must not be read."""
    names = cell if isinstance(cell, list) else [cell]
    facts = [b"%d is refused;" % position for position in sorted(refused)]
    for name in names:
        if name and not is_url(name):
            try:
                info = os.stat(name)
            except (OSError, ValueError):
                return MISSING
            facts.append(b"%d bytes of %d;" % (info.st_size, info.st_mtime_ns))
    return hashlib.blake2b(b"".join(facts), digest_size=SIZE).digest() if facts else NO_FILE


def split_stamps(stamps: bytes, count: int) -> list[bytes]:
    """The stamps of a shard's rows; shards of earlier versions have none."""
    return [stamps[first : first + SIZE] or NO_FILE for first in range(0, count * SIZE, SIZE)]


def find_changed_rows(recorded: Iterable[bytes], now: Iterable[bytes]) -> tuple[int, ...]:
    """The rows whose files exist and have changed since they were processed."""
    return tuple(
        row
        for row, (before, stamp) in enumerate(zip(recorded, now, strict=False))
        if stamp not in (NO_FILE, MISSING) and before not in (NO_FILE, stamp)
    )
