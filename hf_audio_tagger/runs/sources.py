"""SOURCE → rows: whatever a person names, opened as one dataset whose media are never decoded here.

    source = open_source("clips/")  # or rows.jsonl, "parts/*.parquet", a save_to_disk folder, "user/name"
    source.rows(0, 100)             # an Arrow table, cells as they are stored

A relative media path is relative to the file that names it. The column keeps what its file says, so that
the result can be joined with the source; `Source.hearable` makes the paths absolute for the tagger alone.
"""

import glob
import hashlib
import os
import posixpath
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import (
    Dataset,
    DatasetDict,
    Features,
    IterableDataset,
    concatenate_datasets,
    load_dataset,
    load_from_disk,
)

from ..cells import RefusedMedia, cells_of, column_of, is_file_struct, is_url
from ..errors import SettingsError
from ..makers import Makers, makers_of, makers_of_files, makers_on_hub
from ..text import as_utf8, is_utf8
from .streams import at_epoch, identity_of, with_features

BUILDERS = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}  # by a file's suffix
KINDS = (
    "a folder of media, a .jsonl, .json, .csv or .parquet file or a glob of them in quotes, "
    "a folder written by save_to_disk, or a dataset on the Hub (user/name)"
)
RENAME = "its name is no UTF-8, so that no dataset can hold it; rename it"
DIGESTED_BYTES = 8 << 20  # of each end of a data file: all of a file up to twice this size

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
    refused: Mapping[int, Mapping[int, RefusedMedia]] = field(default_factory=dict)  # by row and place in it
    makers: Makers = field(default_factory=dict)  # of the tags that the rows have, as far as it is known

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

    def hearable(self, cells: pa.ChunkedArray, first_row: int) -> pa.ChunkedArray:
        """Cells of the rows from `first_row` on, with paths that lead to the files from anywhere.

        A clip that is refused has the reason in its cell: that is what is then recorded of it.
        """
        if any(row in self.refused for row in range(first_row, first_row + len(cells))):
            return self.with_refusals(cells, first_row)
        return self.with_whole_paths(cells, first_row)

    def with_whole_paths(self, cells: pa.ChunkedArray, first_row: int) -> pa.ChunkedArray:
        """The same, without a word of what is refused."""
        if not self.bases:
            return cells
        first_rows = [base.first_row for base in self.bases]
        found = [
            absolute(cell, self.bases[bisect_right(first_rows, row) - 1].folder)
            for row, cell in enumerate(cells_of(cells), first_row)
        ]
        return column_of(found, cells.type)

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


def open_source(
    source: str | os.PathLike[str] | Dataset | IterableDataset,
    *,
    config: str | None = None,
    split: str | None = None,
    streaming: bool = False,
    token: str | bool | None = None,
    follow_links: bool = False,
) -> Source:
    """Open what a person names: a folder, data files, a `save_to_disk` folder, a Hub id, or a dataset.

    Args:
        source: a path, a glob in a string, "user/name", or a dataset of `datasets`.
        config: of a Hub dataset, its config (subset).
        split: of a Hub dataset or a saved DatasetDict; needed where there are several.
        streaming: of a Hub dataset or data files: read rows as they come, with no copy on this disk.
        token: for private or gated datasets.
        follow_links: of a folder of media, read also what its links name outside of it. Without, such
            files are rows that fail, and such folders are not entered: a folder from elsewhere could
            have any file of this machine pushed.

    >>> open_source("clips/").row_count  # doctest: +SKIP
    1234
    """
    if isinstance(source, Dataset):
        return Source("<dataset>", source, str(source._fingerprint), makers=makers_of(source))
    if isinstance(source, IterableDataset):
        stream = with_features(source)
        return Source("<stream>", stream, digest_of("stream", identity_of(stream)), makers=makers_of(source))
    name = os.fspath(source)
    path = Path(name).expanduser()
    if path.is_dir() and not is_saved(path):
        refuse(streaming=streaming, config=config, split=split)
        refuse_odd_names(path)
        from .media_folder import open_media_folder

        return open_media_folder(name, path, follow_links)
    if follow_links:
        raise SourceError("follow_links= goes with a folder of media; nothing else has links to follow.")
    if is_saved(path):
        refuse(streaming=streaming, config=config)
        refuse_odd_names(path)
        return open_saved(name, path, split)
    if files := data_files(path):
        refuse(config=config, split=split)
        refuse_odd_names(*files)
        return open_files(name, files, streaming)
    hub_name = name.removeprefix("hf://datasets/").strip("/")
    if is_hub_id(hub_name):
        return open_hub(hub_name, config, split, streaming, token)
    raise SourceError(f"{name}: there is nothing to read here. A source is {KINDS}.")


def refuse(**options: object) -> None:
    """Options that this kind of source has no use for are told, and not passed over."""
    for name, value in options.items():
        if value:
            raise SourceError(f"{name}= ({value!r}) goes with a dataset on the Hub, not with files here.")


def refuse_odd_names(*paths: Path) -> None:
    """A source whose path is no UTF-8: neither its rows nor the record of a run could name it."""
    for path in paths:
        if not is_utf8(str(path.absolute())):
            raise SourceError(f"{as_utf8(str(path.absolute()))}: {RENAME}.")


# Data files


def data_files(path: Path) -> list[Path]:
    """The file, or the files that a glob names, in order."""
    if path.is_file():
        return [path]
    if not glob.has_magic(str(path)):
        return []
    found = sorted(Path(one) for one in glob.glob(str(path), recursive=True))
    return [one for one in found if one.is_file()]


def open_files(name: str, files: Sequence[Path], streaming: bool) -> Source:
    """Rows of data files. Those of one folder are read together: their paths begin at the same place."""
    suffixes = {file.suffix.lower() for file in files}
    builders = {BUILDERS.get(suffix) for suffix in suffixes}
    if None in builders or len(builders) > 1:
        shown = ", ".join(sorted(suffixes))
        raise SourceError(f"{name}: {shown} cannot be read as one table of rows. A source is {KINDS}.")
    builder = str(builders.pop())
    by_folder = [(folder, list(some)) for folder, some in groupby(files, lambda file: file.parent)]
    if streaming:
        if len(by_folder) > 1:
            raise SourceError(f"{name}: files of several folders are read without streaming.")
        parts = [load_files(builder, files, streaming=True)]
    else:
        parts = [load_files(builder, some, streaming=False) for _, some in by_folder]
    bases, first_row = [], 0
    for (folder, _), part in zip(by_folder, parts, strict=True):
        bases.append(Base(first_row, str(folder.absolute())))
        first_row += 0 if streaming else len(part)
    try:
        dataset = parts[0] if len(parts) == 1 else concatenate_datasets(parts)
    except ValueError as error:
        raise SourceError(f"{name}: the files differ in their columns ({one_line(error)}).") from error
    if streaming:
        dataset = with_features(dataset)
    top = os.path.commonpath([file.parent.absolute() for file in files])
    digests = [(os.path.relpath(file.absolute(), top), digest_of_file(file)) for file in files]
    makers = makers_of_files(files) if builder == "parquet" else {}
    return Source(name, dataset, digest_of(*digests), tuple(bases), makers=makers)


def load_files(builder: str, files: Sequence[Path], streaming: bool) -> Any:
    """Data files through `datasets`, which keeps an Arrow copy in its cache unless it streams."""
    paths = [glob.escape(str(file.absolute())) for file in files]
    try:
        loaded = load_dataset(builder, data_files={"train": paths}, split="train", streaming=streaming)
        if isinstance(loaded, Dataset):
            loaded.data.table.validate(full=True)  # text that is no UTF-8 would end the run at its row
        return loaded
    except Exception as error:  # pandas, pyarrow and datasets each have their own
        shown = str(files[0]) if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
        if "corresponds to no data" in str(error):
            raise SourceError(f"{shown} holds no rows.") from error
        raise SourceError(
            f"{shown}: the rows cannot be read ({one_line(error.__cause__ or error)})."
        ) from error


# A folder written by save_to_disk


def is_saved(path: Path) -> bool:
    return (path / "dataset_dict.json").is_file() or (
        (path / "state.json").is_file() and (path / "dataset_info.json").is_file()
    )


def open_saved(name: str, path: Path, split: str | None) -> Source:
    """A saved Dataset, or one split of a saved DatasetDict."""
    saved = load_from_disk(str(path))
    folder = path
    if isinstance(saved, DatasetDict):
        split = one_split(name, list(saved), split)
        saved, folder = saved[split], path / split
    elif split is not None:
        raise SourceError(f"{name}: it is one dataset without splits; leave split={split!r} out.")
    bases = (Base(0, str(folder.absolute())),)
    return Source(name, saved, str(saved._fingerprint), bases, makers=makers_of(saved))


def one_split(name: str, there: Sequence[str], asked: str | None) -> str:
    """The split that is asked for, or the only one."""
    if asked is None and len(there) == 1:
        return there[0]
    if asked in there:
        return str(asked)
    wanted = "name one" if asked is None else f"{asked!r} is none of them"
    raise SourceError(f"{name} has the splits {', '.join(map(repr, there))}: {wanted} with --split (split=).")


# The Hub


def is_hub_id(name: str) -> bool:
    """True for what can be "user/name", or "name" alone, and looks like no file."""
    parts = name.split("/")
    plain = all(part and part.replace("-", "").replace("_", "").replace(".", "").isalnum() for part in parts)
    return plain and len(parts) <= 2 and Path(name).suffix.lower() not in {*BUILDERS, ".txt"}


def open_hub(
    name: str, config: str | None, split: str | None, streaming: bool, token: str | bool | None
) -> Source:
    """One split of a dataset on the Hub. Relative paths in text columns begin at its root."""
    from datasets import get_dataset_split_names

    try:
        if split is None:
            split = one_split(name, get_dataset_split_names(name, config, token=token), None)
        dataset = load_dataset(name, config, split=split, streaming=streaming, token=token)
        fingerprint = digest_of(hub_commit(name, token), config, split) if streaming else dataset._fingerprint
        dataset = with_features(dataset) if streaming else dataset
    except SourceError:
        raise
    except Exception as error:  # of datasets, huggingface_hub, fsspec and their HTTP clients
        raise SourceError(
            f"{name}: it is no file here, and reading it from the Hub failed ({one_line(error)})."
        ) from error
    bases = (Base(0, f"hf://datasets/{name}"),)
    makers = makers_on_hub(name, config, str(split), token)
    return Source(name, dataset, str(fingerprint), bases, makers=makers)


def hub_commit(name: str, token: str | bool | None) -> str | None:
    """The commit that a dataset stands at, by which a run that goes on sees that it is the same."""
    from huggingface_hub import HfApi

    return HfApi(token=token).dataset_info(name).sha


# Fingerprints


def digest_of(*parts: object) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(repr(part).encode() + b"\0")
    return digest.hexdigest()


def digest_of_file(path: Path) -> str:
    """A data file's size and both its ends: a Parquet file's footer says where everything lies."""
    digest = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        digest.update(str(size).encode())
        for start in sorted({0, max(0, size - DIGESTED_BYTES)}):
            file.seek(start)
            digest.update(file.read(DIGESTED_BYTES))
    return digest.hexdigest()


def one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
