"""Rows to tag: a dataset or stream whose media are never decoded here.

A relative media path is relative to the file that names it. The column keeps what its file says, so that
the result can be joined with the source; `Source.tagger_cells` makes the paths absolute for the tagger alone.
"""

import os
import posixpath
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset, Features, IterableDataset

from ..cells import UnreadableMedia, build_column, is_file_struct, is_url, read_cells
from ..errors import SettingsError
from ..provenance import Provenance
from ..text import as_utf8, is_utf8
from .streams import at_epoch

RENAME = "its name is no UTF-8, so that no dataset can hold it; rename it"


State = Mapping[str, Any]  # where a stream stands, as `IterableDataset.state_dict` tells it


class SourceError(SettingsError):
    """A SOURCE that is none, or cannot be read. Its message says what may be one."""


@dataclass(frozen=True)
class Base:
    """The folder that relative paths of the rows from `first_row` on are relative to."""

    first_row: int
    folder: str


@dataclass(frozen=True, eq=False)
class Source:
    """Rows to tag, the same ones in the same order each time that they are opened."""

    name: str  # as it was asked for
    dataset: Dataset | IterableDataset
    fingerprint: str  # of what the rows are; not of where they lie
    bases: tuple[Base, ...] = ()
    notes: tuple[str, ...] = ()  # what a person should know, a line each
    refused: Mapping[int, Mapping[int, UnreadableMedia]] = field(default_factory=dict)  # by row, then place
    provenance: Provenance = field(default_factory=dict)  # of the rows' tags

    @property
    def is_stream(self) -> bool:
        return isinstance(self.dataset, IterableDataset)

    @property
    def row_count(self) -> int | None:
        """How many rows there are; None for a stream, which tells at its end."""
        return None if isinstance(self.dataset, IterableDataset) else len(self.dataset)

    @property
    def features(self) -> Features:
        assert self.dataset.features is not None  # `open_source` resolves a stream's
        return self.dataset.features

    def rows(self, start: int, stop: int) -> pa.Table:
        """Rows of a dataset that is no stream, as they are stored."""
        assert isinstance(self.dataset, Dataset)
        return self.dataset.with_format("arrow")[start : min(stop, len(self.dataset))]

    def stream(self, state: State | None = None) -> "Stream":
        """The rows of a stream from a state on, or from the beginning."""
        assert isinstance(self.dataset, IterableDataset)
        return Stream(self.dataset, state)

    def tagger_cells(self, cells: pa.ChunkedArray, first_row: int) -> pa.ChunkedArray:
        """Cells of the rows from `first_row` on, with paths that lead to the files from anywhere.

        A clip that is refused has the reason in its cell: that is what is then recorded of it.
        """
        if any(row in self.refused for row in range(first_row, first_row + len(cells))):
            return self.with_refusals(cells, first_row)
        return self.absolute_cells(cells, first_row)

    def absolute_cells(self, cells: pa.ChunkedArray, first_row: int) -> pa.ChunkedArray:
        """The same, without a word of what is refused."""
        if not self.bases:
            return cells
        first_rows = [base.first_row for base in self.bases]
        found = [
            absolute(cell, self.bases[bisect_right(first_rows, row) - 1].folder)
            for row, cell in enumerate(read_cells(cells), first_row)
        ]
        return build_column(found, cells.type)

    def with_refusals(self, cells: pa.ChunkedArray, first_row: int) -> pa.ChunkedArray:
        """The cells of a media folder, whose paths are absolute, with a reason where a clip is refused."""
        found = []
        for row, cell in enumerate(cells.to_pylist(), first_row):
            places = dict(enumerate(cell if isinstance(cell, list) else [cell]))
            for place, media in self.refused.get(row, {}).items():
                places[place] = {"path": media.name, "refused": media.reason}
            found.append(list(places.values()) if isinstance(cell, list) else places[0])
        is_list = pa.types.is_list(cells.type)
        kind = cells.type.value_type if is_list else cells.type
        told = pa.struct([*kind, pa.field("refused", pa.string())])
        return pa.chunked_array([pa.array(found, type=pa.list_(told) if is_list else told)])


class Stream:
    """Rows as they come. `state` is where to go on after the rows that were taken."""

    def __init__(self, dataset: IterableDataset, state: State | None) -> None:
        self.dataset = at_epoch(dataset.epoch, dataset.decode(False))
        if state is not None:
            self.dataset.load_state_dict(dict(state))
        self.rows = iter(self.dataset)
        self.state = state
        self.read_ahead()  # a stream's end shows only behind its last row

    def read_ahead(self) -> None:
        try:
            self.next_row = next(self.rows, None)
        except UnicodeDecodeError as error:
            raise SourceError(f"A row of the stream is no UTF-8 text ({error}).") from error

    @property
    def ended(self) -> bool:
        return self.next_row is None

    def take(self, count: int) -> pa.Table:
        """The next rows, fewer at the end, as they are stored."""
        taken: list[Any] = []
        while self.next_row is not None and len(taken) < count:
            taken.append(self.next_row)
            self.state = self.dataset.state_dict()
            self.read_ahead()
        return Dataset.from_list(taken, features=self.dataset.features).with_format("arrow")[:]


def absolute(cell: Any, folder: str) -> Any:
    """A cell whose relative paths begin at a folder. URLs, absolute paths and names of bytes stay.

    >>> absolute(["a.mp4", {"path": "b.mp4", "bytes": None}, "https://x/c.mp4"], "/data")
    ['/data/a.mp4', {'path': '/data/b.mp4', 'bytes': None}, 'https://x/c.mp4']
    """
    if isinstance(cell, str):
        if not cell or is_url(cell) or os.path.isabs(cell):
            return cell
        return (posixpath if is_url(folder) else os.path).join(folder, cell)
    if isinstance(cell, list):
        return [absolute(one, folder) for one in cell]
    if is_file_struct(cell) and cell.get("bytes") is None and "refused" not in cell:
        return {**cell, "path": absolute(cell.get("path"), folder)}
    return cell


def refuse_odd_names(*paths: Path) -> None:
    """A source whose path is no UTF-8: neither its rows nor the record of a run could name it."""
    for path in paths:
        if not is_utf8(str(path.absolute())):
            raise SourceError(f"{as_utf8(str(path.absolute()))}: {RENAME}.")
