"""Rows of a source as clips to label: an id, a file name, the media and a payload each."""

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import groupby
from typing import Any

import pyarrow as pa
from datasets import Dataset

from ..cells import FileMedia, Media, parse_cell, read_cells
from ..compat.datasets_internals import decode_cell, get_fingerprint
from ..digests import digest_values
from ..errors import ColumnError, SettingsError
from ..media_paths import read_paths
from ..predictions.file_names import safe_names
from ..rows import pick_column
from ..runs.journal import content_of
from ..tagger import Tagger
from .source import Source

ID_COLUMNS = ("id", "file_name")  # what a row is called, else its file's path
META_COLUMN = "meta"
ROWS_AT_ONCE = 256
READ_BYTES = 64 << 20  # of media that are read together


class Collection:
    """The clips of a source. Ids and names are read at once, all else when it is asked for."""

    def __init__(
        self, source: Source, tagger: Tagger, id_column: str | None, meta_column: str | None
    ) -> None:
        if not isinstance(source.dataset, Dataset):
            raise SettingsError(f"{source.name}: a stream cannot be labelled; load it without streaming.")
        self.source, self.dataset = source, source.dataset
        self.column = pick_column(self.dataset.column_names, tagger.column)
        self.id_column = self.pick(id_column, ID_COLUMNS)
        self.meta_column = self.pick(meta_column, (META_COLUMN,))
        self.ids = self.read_ids()
        self.names = safe_names([str(id) for id in self.ids])
        self.check_metas()

    def __len__(self) -> int:
        return len(self.ids)

    def pick(self, asked: str | None, usual: Sequence[str]) -> str | None:
        """The column that is asked for, else the first of the usual ones, if any is there."""
        there = list(self.source.features)
        if asked is not None and asked not in there:
            raise ColumnError(f"There is no column {asked!r}; there are {', '.join(map(repr, there))}.")
        return asked or next((name for name in usual if name in there and name != self.column), None)

    def read_ids(self) -> list[str | int]:
        column = self.id_column or self.column
        if self.id_column is not None:
            ids = [id for table in self.tables(column) for id in table[column].to_pylist()]
        else:
            paths = read_paths(self.dataset, column)
            ids = [only_one(path) or str(row) for row, path in enumerate(paths)]
        seen: dict[str, int] = {}
        for row, id in enumerate(ids):
            if isinstance(id, bool) or not isinstance(id, str | int):
                raise ColumnError(
                    f"Row {row} has the id {id!r} in {column!r}; an id is a text or whole number."
                )
            if seen.setdefault(str(id), row) != row:
                raise ColumnError(
                    f"Rows {seen[str(id)]} and {row} have the same id {id!r} in {column!r}; name a column "
                    "that tells the clips apart: id_column= (--id-column)."
                )
        return ids

    def tables(self, column: str) -> Iterator[pa.Table]:
        """A column as it is stored."""
        return self.dataset.select_columns([column]).with_format("arrow").iter(ROWS_AT_ONCE)

    def media(self, row: int) -> Media | None:
        """What is heard of a row; None where it has no clip."""
        return self.one_clip(self.cells(row, row + 1)[0], row)

    def media_of(self, rows: Iterable[int]) -> Iterator[tuple[int, Media | None]]:
        """The clips of rows that go up, some rows at a time. Reads their own column alone."""
        for _, block in groupby(rows, lambda row: row // self.rows_at_once):
            wanted = list(block)
            cells = self.cells(wanted[0], wanted[-1] + 1)
            for row in wanted:
                yield row, self.one_clip(cells[row - wanted[0]], row)

    def origin(self, row: int) -> str:
        """Where bytes and samples stand. They are the same wherever the origin is."""
        return f"{self.state} {row}"

    @cached_property
    def state(self) -> str:
        """What the rows are, without reading them: other rows have another state."""
        files = [str(file["filename"]) for file in self.dataset.cache_files]
        contents = [(file, content_of(FileMedia(file))) for file in files]
        return digest_values(get_fingerprint(self.dataset), self.column, *contents)

    @cached_property
    def rows_at_once(self) -> int:
        """Rows that are read together: as many as there may be of paths, few of large bytes."""
        row_bytes = self.dataset.data.column(self.column).nbytes // max(1, len(self.dataset.data))
        return max(1, min(ROWS_AT_ONCE, READ_BYTES // max(1, row_bytes)))

    @cached_property
    def clips(self) -> Dataset:
        """The media's column alone, as it is stored."""
        return self.dataset.select_columns([self.column]).with_format("arrow")

    def cells(self, start: int, stop: int) -> list[Any]:
        return read_cells(self.source.tagger_cells(self.clips[start:stop][self.column], start))

    def one_clip(self, cell: Any, row: int) -> Media | None:
        media = parse_cell(cell)
        if len(media) > 1:
            raise ColumnError(
                f"Row {row} has {len(media)} clips in {self.column!r}, and predictions are of one each. "
                "Make a row of each."
            )
        return media[0] if media else None

    def check_metas(self) -> None:
        """What cannot be written at the end is told at the beginning."""
        for row, meta in enumerate(self.metas()):
            try:
                json.dumps(meta)
            except TypeError as error:
                raise ColumnError(
                    f"Row {row} has in {self.meta_column!r} what JSON does not hold ({error}). Cast that "
                    "column, or name another one: meta_column=."
                ) from error

    def metas(self) -> Iterator[Any]:
        """The payload of each row, as Python values."""
        if self.meta_column is None:
            yield from ("" for _ in range(len(self)))  # what torch_audioset's own tool writes
            return
        feature = self.source.features[self.meta_column]
        for table in self.tables(self.meta_column):
            for cell in table[self.meta_column].to_pylist():
                yield decode_cell(feature, cell)


def only_one(path: Any) -> str | None:
    """The path of a cell, or of a list that holds one."""
    if isinstance(path, list):
        path = path[0] if len(path) == 1 else None
    return path or None
