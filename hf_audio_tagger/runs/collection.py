"""Rows of a source as clips to label: an id, a file name, the media and a payload each."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import groupby
from typing import Any, TypeGuard

import pyarrow as pa
from datasets import Dataset, Features

from ..cells import BytesMedia, FileMedia, Media, SamplesMedia, is_url, parse_cell, read_cells
from ..compat.datasets_internals import get_fingerprint
from ..digests import digest_values
from ..errors import ColumnError, SettingsError
from ..media_paths import read_paths
from ..predictions.writing import make_file_names
from ..sources.columns import find_media_column
from ..sources.source import Source
from ..sources.tar_shards import TarSource
from ..tagger import Tagger

ID_COLUMNS = ("id", "file_name")  # else the paths of the media
META_COLUMN = "meta"
ROWS_AT_ONCE = 256
READ_BYTES = 64 << 20  # of media that are read together


class Collection:
    """The clips of a source. Ids and names are read at once, everything else on demand."""

    def __init__(
        self, source: Source, tagger: Tagger, id_column: str | None, meta_column: str | None
    ) -> None:
        if isinstance(source, TarSource):
            raise SettingsError(
                f"{source.name}: tars are read in sequence and cannot be labelled. Label the rows that "
                'load_dataset("webdataset", data_files=...) makes of them.'
            )
        if not isinstance(source.dataset, Dataset):
            raise SettingsError(f"{source.name}: a stream cannot be labelled; load it without streaming.")
        self.source, self.dataset = source, source.dataset
        self.column = find_media_column(source, tagger.column)
        self.id_column = self.find_column(id_column, ID_COLUMNS)
        self.meta_column = self.find_column(meta_column, (META_COLUMN,))
        self.ids = self.read_ids()
        self.names = make_file_names([str(id) for id in self.ids])
        self.check_metas()

    def __len__(self) -> int:
        return len(self.ids)

    def find_column(self, name: str | None, defaults: Sequence[str]) -> str | None:
        """The named column, else the first default column that exists."""
        columns = list(self.source.features)
        if name is not None and name not in columns:
            raise ColumnError(f"There is no column {name!r}; there are {', '.join(map(repr, columns))}.")
        return name or next((one for one in defaults if one in columns and one != self.column), None)

    def read_ids(self) -> list[str | int]:
        column = self.id_column or self.column
        if self.id_column is not None:
            ids = [id for table in self.read_tables(column) for id in table[column].to_pylist()]
        else:
            paths = read_paths(self.dataset, column)
            ids = [get_only_path(path) or str(row) for row, path in enumerate(paths)]
        seen: dict[str, int] = {}
        for row, id in enumerate(ids):
            if isinstance(id, bool) or not isinstance(id, str | int):
                raise ColumnError(
                    f"Row {row}: an id must be text or a whole number; got {id!r} in {column!r}."
                )
            if seen.setdefault(str(id), row) != row:
                raise ColumnError(
                    f"Rows {seen[str(id)]} and {row} have the same id {id!r} in {column!r}; name a column "
                    "of unique ids: id_column=."
                )
        return ids

    def read_tables(self, column: str) -> Iterator[pa.Table]:
        return self.dataset.select_columns([column]).with_format("arrow").iter(ROWS_AT_ONCE)

    def read_clips(self, rows: Iterable[int]) -> Iterator[tuple[int, Media | None]]:
        """The clips of some rows in ascending order, read in blocks; None for a row without one."""
        for _, block in groupby(rows, lambda row: row // self.rows_at_once):
            wanted = list(block)
            start = wanted[0]
            column = self.media_column[start : wanted[-1] + 1][self.column]
            cells = read_cells(self.source.tagger_cells(column, start))
            for row in wanted:
                clips = parse_cell(cells[row - start])
                if len(clips) > 1:
                    raise ColumnError(
                        f"Row {row} has {len(clips)} clips in {self.column!r}; it must have one. Make a row "
                        "of each."
                    )
                yield row, clips[0] if clips else None

    def get_origin(self, row: int) -> str:
        """An identifier of a row's stored bytes or samples: the same origin means the same content."""
        return f"{self.state} {row}"

    @cached_property
    def state(self) -> str:
        """A digest that changes with the rows, computed without reading them."""
        files = [str(file["filename"]) for file in self.dataset.cache_files]
        contents = [(file, identify_content(FileMedia(file))) for file in files]
        return digest_values(get_fingerprint(self.dataset), self.column, *contents)

    @cached_property
    def rows_at_once(self) -> int:
        """Rows that are read together: many if they hold paths, few if they hold large bytes."""
        row_bytes = self.dataset.data.column(self.column).nbytes // max(1, len(self.dataset.data))
        return max(1, min(ROWS_AT_ONCE, READ_BYTES // max(1, row_bytes)))

    @cached_property
    def media_column(self) -> Dataset:
        return self.dataset.select_columns([self.column]).with_format("arrow")

    def check_metas(self) -> None:
        """Check before the run that the payloads can be written as JSON."""
        for row, meta in enumerate(self.read_metas()):
            try:
                json.dumps(meta)
            except TypeError as error:
                raise ColumnError(
                    f"Row {row}: the value in {self.meta_column!r} cannot be written as JSON ({error}). Cast "
                    "that column, or name another one: meta_column=."
                ) from error

    def read_metas(self) -> Iterator[Any]:
        """The payload of each row, as Python values."""
        if self.meta_column is None:
            yield from ("" for _ in range(len(self)))  # what torch_audioset's own tool writes
            return
        features = Features({self.meta_column: self.source.features[self.meta_column]})
        for table in self.read_tables(self.meta_column):
            for row in table.select([self.meta_column]).to_pylist():
                yield features.decode_example(row)[self.meta_column]


def get_only_path(path: Any) -> str | None:
    if isinstance(path, list):
        path = path[0] if len(path) == 1 else None
    return path or None


def is_local_file(media: Media) -> TypeGuard[FileMedia]:
    """True for media that may change without a change of their row."""
    return isinstance(media, FileMedia) and not is_url(media.path)


def identify_content(media: Media) -> str | None:
    """A text that changes with a clip's content: a file's size and modification time, or a digest.

    For a URL, a digest of the address, which may contain a secret.
    """
    if is_local_file(media):
        try:
            info = os.stat(media.path)
        except (OSError, ValueError):
            return None
        return f"{info.st_size} bytes of {info.st_mtime_ns}"
    if isinstance(media, FileMedia):
        data = media.path.encode()
    elif isinstance(media, BytesMedia):
        data = media.data
    elif isinstance(media, SamplesMedia):
        data = media.samples.tobytes()
    else:
        return None
    return hashlib.blake2b(data, digest_size=16).hexdigest()
