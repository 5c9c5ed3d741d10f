"""The results of all clips of a source, one at a time, without writing anything.

Files of clips need no rows: `datasets` takes longer to import than YAMNet does for a clip, so what imports it
is imported for other sources alone.
"""

import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from .cells import is_list_cell, is_null, is_url, parse_cells, parse_single, read_cells
from .checks import check_counts
from .media_paths import expand_path, has_media_suffix
from .scores import ClipResult
from .tagger import Tagger, build_tagger
from .text import as_utf8, is_utf8

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset

    from .sources.source import Source

ROWS_AT_ONCE = 16  # read from the source: few, since their cells may hold whole files


@dataclass(frozen=True)
class ClassifiedClip:
    """A clip of a source, and its result."""

    row: int  # of the source, from 0
    name: str  # the file as the user named it, its path, or "<bytes>"
    result: ClipResult


@dataclass(frozen=True)
class UnreadClip:
    """A clip by what its cell holds."""

    row: int
    name: str
    value: Any


def classify_clips(
    source: "str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Dataset | IterableDataset | Source",
    tagger: Tagger | None = None,
    *,
    limit: int | None = None,
    sample: int | None = None,
) -> Iterator[ClassifiedClip]:
    """Classify the clips of a source, and yield each as soon as it is ready. Tags that rows have are ignored.

    Args:
        source: a clip, a list of clips and folders, or any other source that `open_source` accepts.
        tagger: default: `build_tagger(on_error="record")`.
        limit: only the first rows.
        sample: only so many rows, drawn from all over; always the same ones.

    >>> for clip in classify_clips("clips/"):  # doctest: +SKIP
    ...     print(clip.name, clip.result.tag)
    clips/a.mp4 Siren
    """
    tagger = build_tagger(on_error="record") if tagger is None else tagger
    check_counts(limit=limit, sample=sample)
    files = list_clip_files(source) if sample is None and tagger.column is None else []
    clips = name_clips(files[:limit]) if files else open_clips(source, tagger, limit, sample)
    return classify_values(clips, tagger)


def list_clip_files(source: Any) -> list[str]:
    """The paths of clips that are all files here and named like media; none for every other source."""
    paths = [source] if isinstance(source, str | os.PathLike) else source
    if not isinstance(paths, list | tuple):
        return []
    names = [os.fspath(path) for path in paths]
    return names if all(map(is_clip_file, names)) else []


def is_clip_file(path: str) -> bool:
    full = expand_path(path)
    return not is_url(path) and has_media_suffix(path) and is_utf8(full) and os.path.isfile(full)


def name_clips(paths: Iterable[str]) -> Iterator[UnreadClip]:
    for row, path in enumerate(paths):
        yield UnreadClip(row, as_utf8(path), expand_path(path))


def open_clips(source: Any, tagger: Tagger, limit: int | None, sample: int | None) -> Iterator[UnreadClip]:
    """The clips of any source. It is opened at once."""
    from .sources import Source, open_source
    from .sources.columns import find_media_column
    from .sources.sampling import limit_rows

    opened = source if isinstance(source, Source) else open_source(source, token=tagger.token)
    opened, limit = limit_rows(opened, limit, sample)
    return read_clips(opened, find_media_column(opened, tagger.column), limit)


def classify_values(clips: Iterable[UnreadClip], tagger: Tagger) -> Iterator[ClassifiedClip]:
    taken: deque[UnreadClip] = deque()  # by the tagger, ahead of their results

    def take_values() -> Iterator[Any]:
        for clip in clips:
            taken.append(clip)
            yield clip.value

    for result in tagger.classify_each(take_values()):
        clip = taken.popleft()
        yield ClassifiedClip(clip.row, clip.name, result)


def read_clips(source: "Source", column: str, limit: int | None) -> Iterator[UnreadClip]:
    """The clips of the rows, undecoded. A column whose first rows hold nothing else is refused."""
    first_row = 0
    for table in read_tables(source, limit):
        cells = read_cells(source.tagger_cells(table[column], first_row))
        if first_row == 0:
            parse_cells(cells)
        names = read_names(source, table)
        for row, cell in enumerate(cells, first_row):
            values = cell if is_list_cell(cell) else [] if is_null(cell) else [cell]
            for index, value in enumerate(values):
                name = names[row - first_row][index] if names else parse_single(value).name
                yield UnreadClip(source.find_place(row), name, value)
        first_row += len(table)


def read_tables(source: "Source", limit: int | None) -> Iterator[pa.Table]:
    """The rows, a few at a time."""
    if not source.is_stream:
        count = min(source.row_count or 0, limit or sys.maxsize)
        for start in range(0, count, ROWS_AT_ONCE):
            yield source.rows(start, min(start + ROWS_AT_ONCE, count))
        return
    stream, left = source.stream(), limit or sys.maxsize
    while left and not stream.ended:
        yield (table := stream.take(min(left, ROWS_AT_ONCE)))
        left -= len(table)


def read_names(source: "Source", table: pa.Table) -> list[list[str]] | None:
    """The clips' names as the user wrote them, for each row; None where they have only their paths."""
    from .media_column import FILE_NAME_COLUMNS

    if source.shown_folder is None:
        return None
    (column,) = (name for name in FILE_NAME_COLUMNS if name in table.column_names)
    cells = [cell if isinstance(cell, list) else [cell] for cell in table[column].to_pylist()]
    return [[os.path.join(source.shown_folder, name or "") for name in names] for names in cells]
