"""How a changed file is noticed: eight bytes for each row.

They are a digest of the size and the time of change of the row's local files, and of which of them must not
be read (a file may become a link that leaves its folder). No file is opened and no bytes in cells are read,
so that 100,000 clips take a second.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator

import pyarrow as pa
from datasets import Dataset

from ..cells import is_url
from ..media_paths import path_type, select_paths
from ..sources.source import Source

SIZE = 8  # bytes of a row's stamp
NO_FILE = bytes(SIZE)  # bytes, URLs, tags that came with the row, or not known: never compared
MISSING = b"\xff" * SIZE  # a file does not exist
ROWS_AT_ONCE = 100


def make_stamps(source: Source, cells: pa.ChunkedArray, first_row: int) -> list[bytes]:
    """The stamp of each row's files as they are now. `cells` are of the rows from `first_row` on."""
    chunks = [select_paths(chunk, only_files=True) for chunk in cells.chunks]
    paths = pa.chunked_array(chunks, type=path_type(cells.type))
    absolute = source.absolute_cells(paths, first_row).to_pylist()
    return [make_stamp(cell, source.refused.get(row, {})) for row, cell in enumerate(absolute, first_row)]


def make_stamp(cell: str | list[str | None] | None, refused: Iterable[int] = ()) -> bytes:
    """A digest of the files that a cell names, and of the positions of those that must not be read."""
    names = cell if isinstance(cell, list) else [cell]
    files = [name for name in names if name and not is_url(name)]
    positions = sorted(refused)
    if not files and not positions:
        return NO_FILE
    digest = hashlib.blake2b(digest_size=SIZE)
    for position in positions:
        digest.update(b"%d is refused;" % position)
    for file in files:
        try:
            info = os.stat(file)
        except (OSError, ValueError):
            return MISSING
        digest.update(b"%d bytes of %d;" % (info.st_size, info.st_mtime_ns))
    return digest.digest()


def make_stamps_of_rows(source: Source, column: str, start: int, stop: int) -> Iterator[bytes]:
    assert isinstance(source.dataset, Dataset)
    rows = source.dataset.select_columns([column]).with_format("arrow")
    for first in range(start, stop, ROWS_AT_ONCE):
        yield from make_stamps(source, rows[first : min(first + ROWS_AT_ONCE, stop)][column], first)


def find_changed_rows(recorded: bytes, now: Iterable[bytes]) -> list[int]:
    """The rows whose files exist and have changed since they were processed."""
    return [row for row, stamp in enumerate(now) if is_changed(get_stamp(recorded, row), stamp)]


def is_changed(recorded: bytes, now: bytes) -> bool:
    return now not in (NO_FILE, MISSING) and recorded not in (NO_FILE, now)


def get_stamp(stamps: bytes, row: int) -> bytes:
    """A row's stamp among those of a shard; shards of earlier versions have none."""
    return stamps[row * SIZE : (row + 1) * SIZE] or NO_FILE


def get_stamps(stamps: bytes, start: int, stop: int) -> list[bytes]:
    return [get_stamp(stamps, row) for row in range(start, stop)]
