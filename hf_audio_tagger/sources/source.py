"""Rows to tag: a dataset or stream whose media are not decoded here.

A relative media path is relative to the file that names it. The column keeps it as it is, so that the result
can be joined with the source; `Source.tagger_cells` makes paths absolute for the tagger alone.
"""

import os
import posixpath
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset, Features, IterableDataset

from ..cells import UnreadableMedia, build_column, is_file_struct, is_url, read_cells
from ..errors import SettingsError
from ..provenance import Provenance
from ..text import as_utf8, is_utf8
from .streams import set_epoch

NOT_UTF8 = "its name is not UTF-8, and no dataset can hold it; rename it"

State = Mapping[str, Any]  # the position in a stream, as `IterableDataset.state_dict` returns it


class SourceError(SettingsError):
    """A SOURCE that cannot be read."""


@dataclass(frozen=True)
class SourceRequest:
    """A source by its path or id, with the options of `open_source`."""

    name: str
    config: str | None
    split: str | None
    streaming: bool
    token: str | bool | None
    follow_links: bool
    root: str | None = None  # of an index
    files: str | None = None

    @property
    def path(self) -> Path:
        return Path(self.name).expanduser()

    def check_options(self, kind: str, *allowed: str) -> None:
        for option in ("config", "split", "streaming", "follow_links", "root", "files"):
            if getattr(self, option) and option not in allowed:
                raise SourceError(f"{self.name} is {kind}, which {option}= does not apply to.")


@dataclass(frozen=True, eq=False)
class Source:
    """Rows to tag, the same ones in the same order each time that they are opened."""

    name: str  # as given to `open_source`
    dataset: Dataset | IterableDataset
    fingerprint: str  # of the rows, independent of their location
    base_folders: tuple[tuple[int, str], ...] = ()  # of relative paths, each with its first row
    notes: tuple[str, ...] = ()  # for the user, one line each
    refused: Mapping[int, Mapping[int, UnreadableMedia]] = field(default_factory=dict)  # by row, then index
    provenance: Provenance = field(default_factory=dict)  # of existing tags
    shown_folder: str | None = None  # before `file_name`, as the user wrote it; None: clips have other names
    order: Sequence[int] | None = None  # of a sample's rows: their places in the whole, as above

    @property
    def is_stream(self) -> bool:
        return isinstance(self.dataset, IterableDataset)

    @property
    def is_divisible(self) -> bool:
        """Whether several processes may share the rows."""
        return not self.is_stream

    @property
    def row_count(self) -> int | None:
        """The number of rows; None for a stream."""
        return None if isinstance(self.dataset, IterableDataset) else len(self.dataset)

    @property
    def features(self) -> Features:
        assert self.dataset.features is not None  # `open_source` resolves a stream's
        return self.dataset.features

    def find_place(self, row: int) -> int:
        """A row's place in the whole, from which a sample is drawn."""
        return row if self.order is None else self.order[row]

    def rows(self, start: int, stop: int) -> pa.Table:
        """Rows of a dataset that is not a stream, as stored."""
        return self.as_arrow[start : min(stop, len(self.as_arrow))]

    @cached_property
    def as_arrow(self) -> Dataset:
        """The dataset with another format: making it copies its information, which takes longer than rows."""
        assert isinstance(self.dataset, Dataset)
        return self.dataset.with_format("arrow")

    def stream(self, state: State | None = None) -> "Stream":
        """The rows of a stream from a state on, or from the beginning."""
        assert isinstance(self.dataset, IterableDataset)
        return Stream(self.dataset, state)

    def tagger_cells(self, cells: pa.ChunkedArray, first_row: int) -> pa.ChunkedArray:
        """Cells of the rows from `first_row` on, with absolute paths.

        The cell of a refused clip has the reason, which is recorded as its error.
        """
        places = [self.find_place(row) for row in range(first_row, first_row + len(cells))]
        if self.refused.keys().isdisjoint(places):
            return self.absolute_cells(cells, first_row)
        values = []
        for place, cell in zip(places, cells.to_pylist(), strict=True):
            clips = dict(enumerate(cell if isinstance(cell, list) else [cell]))
            for index, media in self.refused.get(place, {}).items():
                clips[index] = {"path": media.name, "refused": media.reason}
            values.append(list(clips.values()) if isinstance(cell, list) else clips[0])
        is_list = pa.types.is_list(cells.type)
        clip_type = cells.type.value_type if is_list else cells.type
        clip_type = pa.struct([*clip_type, pa.field("refused", pa.string())])
        return pa.chunked_array([pa.array(values, type=pa.list_(clip_type) if is_list else clip_type)])

    def absolute_cells(self, cells: pa.ChunkedArray, first_row: int) -> pa.ChunkedArray:
        """Cells of the rows from `first_row` on, with absolute paths, refused ones included."""
        if not self.base_folders:
            return cells
        first_rows, folders = zip(*self.base_folders, strict=True)
        values = [
            make_absolute(cell, folders[bisect_right(first_rows, self.find_place(row)) - 1])
            for row, cell in enumerate(read_cells(cells), first_row)
        ]
        return build_column(values, cells.type)


class Stream:
    """Reads a stream row by row. `state` is the position after the rows returned so far."""

    def __init__(self, dataset: IterableDataset, state: State | None) -> None:
        self.dataset = set_epoch(dataset.decode(False), dataset.epoch)
        if state is not None:
            self.dataset.load_state_dict(dict(state))
        self.rows = iter(self.dataset)
        self.state = state
        self.advance()  # `next_row` is read before it is taken: `ended` depends on it

    def advance(self) -> None:
        try:
            self.next_row = next(self.rows, None)
        except UnicodeDecodeError as error:
            raise SourceError(f"A row of the stream is not UTF-8 text ({error}).") from error

    @property
    def ended(self) -> bool:
        return self.next_row is None

    def take(self, count: int) -> pa.Table:
        """The next rows, fewer at the end, as they are stored."""
        taken: list[Any] = []
        while self.next_row is not None and len(taken) < count:
            taken.append(self.next_row)
            self.state = self.dataset.state_dict()
            self.advance()
        return Dataset.from_list(taken, features=self.dataset.features).with_format("arrow")[:]


def make_absolute(cell: Any, folder: str) -> Any:
    """Make the relative paths of a cell absolute. URLs, absolute paths and names of bytes are kept.

    >>> make_absolute(["a.mp4", {"path": "b.mp4", "bytes": None}, "https://x/c.mp4"], "/data")
    ['/data/a.mp4', {'path': '/data/b.mp4', 'bytes': None}, 'https://x/c.mp4']
    """
    if isinstance(cell, str):
        if not cell or is_url(cell) or os.path.isabs(cell):
            return cell
        return join_url(folder, cell) if is_url(folder) else os.path.join(folder, cell)
    if isinstance(cell, list):
        return [make_absolute(one, folder) for one in cell]
    if is_file_struct(cell) and cell.get("bytes") is None and "refused" not in cell:
        return {**cell, "path": make_absolute(cell.get("path"), folder)}
    return cell


def join_url(folder: str, name: str) -> str:
    """
    >>> join_url("s3://bucket/rows", "../clips/a.mp4"), join_url("https://example.org", "a.mp4")
    ('s3://bucket/clips/a.mp4', 'https://example.org/a.mp4')
    """
    scheme, _, path = folder.partition("://")
    host, _, path = path.partition("/")
    return f"{scheme}://{host}{posixpath.normpath(posixpath.join('/', path, name))}"


def check_utf8_names(*paths: Path) -> None:
    """Refuse paths that cannot be stored in rows or in the records of a run."""
    for path in paths:
        if not is_utf8(str(path.absolute())):
            raise SourceError(f"{as_utf8(str(path.absolute()))}: {NOT_UTF8}.")
