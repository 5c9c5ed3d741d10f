"""By what it is seen that a file which a row names has changed: eight bytes a row.

They are a digest of the size and the time of change of the row's files on this disk, and of which of them
must not be read (a file may become a link that leaves its folder). No file is opened and no bytes in cells
are read, so that 100,000 clips take a second.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset

from ..cells import is_url
from ..sources.source import Source

SIZE = 8  # bytes of a row's stamp
NO_FILE = bytes(SIZE)  # bytes, URLs, tags that came with the row, or not known: never compared
GONE = b"\xff" * SIZE  # a file is not there
STEP_ROWS = 100  # looked at together


def stamps_of(source: Source, cells: pa.ChunkedArray, first_row: int) -> list[bytes]:
    """The stamp of each row's files as they are now. `cells` are of the rows from `first_row` on."""
    paths = pa.chunked_array([paths_of(chunk) for chunk in cells.chunks], type=path_type(cells.type))
    whole = enumerate(source.absolute_cells(paths, first_row).to_pylist(), first_row)
    return [stamp_of(cell, source.refused.get(row, {})) for row, cell in whole]


def stamp_of(cell: str | list[str | None] | None, refused: Iterable[int] = ()) -> bytes:
    """A digest of the files that a cell names, and of the places of those that must not be read."""
    names = cell if isinstance(cell, list) else [cell]
    files = [name for name in names if name and not is_url(name)]
    places = sorted(refused)
    if not files and not places:
        return NO_FILE
    digest = hashlib.blake2b(digest_size=SIZE)
    for place in places:
        digest.update(b"%d is refused;" % place)
    for file in files:
        try:
            info = os.stat(file)
        except (OSError, ValueError):
            return GONE
        digest.update(b"%d bytes of %d;" % (info.st_size, info.st_mtime_ns))
    return digest.digest()


def stamps_of_rows(source: Source, column: str, start: int, stop: int) -> Iterator[bytes]:
    """The stamps of some rows of a dataset that is no stream."""
    assert isinstance(source.dataset, Dataset)
    rows = source.dataset.select_columns([column]).with_format("arrow")
    for first in range(start, stop, STEP_ROWS):
        yield from stamps_of(source, rows[first : min(first + STEP_ROWS, stop)][column], first)


def names_files(dataset: Dataset, column: str) -> bool:
    """False where all media are bytes in their cells: then none of them needs to be looked at."""
    return any(has_text(paths_of(chunk)) for chunk in dataset.data.column(column).chunks)


def has_text(paths: pa.Array) -> bool:
    while pa.types.is_list(paths.type):
        paths = pc.list_flatten(paths)
    return bool(paths.null_count < len(paths))


def changed_rows(recorded: bytes, now: Iterable[bytes]) -> list[int]:
    """The rows whose files are there, and are others than those that were heard."""
    return [row for row, stamp in enumerate(now) if is_changed(stamp_at(recorded, row), stamp)]


def is_changed(recorded: bytes, now: bytes) -> bool:
    return now not in (NO_FILE, GONE) and recorded not in (NO_FILE, now)


def stamp_at(stamps: bytes, row: int) -> bytes:
    """A row's stamp among those of a shard; shards of earlier versions have none."""
    return stamps[row * SIZE : (row + 1) * SIZE] or NO_FILE


def is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def path_type(kind: pa.DataType) -> pa.DataType:
    return pa.list_(path_type(kind.value_type)) if is_list(kind) else pa.string()


def paths_of(cells: pa.Array) -> pa.Array:
    """Cells without the bytes of files: what names a file is its text, all else is null."""
    kind = cells.type
    if is_list(kind):
        lengths = pc.fill_null(pc.list_value_length(cells), 0).cast(pa.int32())
        ends = pc.cumulative_sum(lengths)
        offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends])
        return pa.ListArray.from_arrays(offsets, paths_of(pc.list_flatten(cells)))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return cells.cast(pa.string())
    if pa.types.is_struct(kind) and kind.get_field_index("path") >= 0 and kind.get_field_index("array") < 0:
        paths = paths_of(pc.struct_field(cells, "path"))
        if kind.get_field_index("bytes") < 0:
            return paths
        is_file = pc.is_null(pc.struct_field(cells, "bytes"))
        return pc.if_else(is_file, paths, pa.scalar(None, pa.string()))
    return pa.nulls(len(cells), pa.string())
