"""Rows of data files: .jsonl, .json, .csv, .parquet, one or a glob of them."""

import glob
import os
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from datasets import Dataset, concatenate_datasets, load_dataset

from ..digests import digest_file, digest_values
from ..provenance import read_file_provenance
from ..text import hide_secrets, one_line
from .source import Source, SourceError, SourceRequest, check_utf8_names
from .streams import ensure_features

BUILDERS = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}  # of `datasets`
KINDS = (
    "a clip, a folder of clips, a .jsonl, .json, .csv, .parquet or .tar file or a glob of them in quotes, an "
    "index of AudioSet's clips, a folder written by save_to_disk, a dataset on the Hub, written user/name, "
    "or the URL of a clip, a table or a folder of clips"
)


def find_data_files(path: Path) -> list[Path]:
    """The file, or the files that match a glob, in order."""
    if path.is_file():
        return [path]
    found = glob.glob(str(path), recursive=True) if glob.has_magic(str(path)) else []
    return sorted(file for file in map(Path, found) if file.is_file())


def open_data_files(request: SourceRequest) -> Source | None:
    """Open data files. Files of one folder are loaded together, since relative paths start there."""
    files = find_data_files(request.path)
    if not files:
        return None
    request.check_options("one or more data files", "streaming")
    check_utf8_names(*files)
    name, streaming = request.name, request.streaming
    suffixes = sorted({file.suffix.lower() for file in files})
    builders = {BUILDERS.get(suffix) for suffix in suffixes}
    builder = builders.pop()
    if builder is None or builders:
        raise SourceError(f"{name}: {', '.join(suffixes)} cannot be read as one table. A source is {KINDS}.")
    by_folder = [(folder, list(some)) for folder, some in groupby(files, lambda file: file.parent)]
    if streaming and len(by_folder) > 1:
        raise SourceError(f"{name}: files of several folders cannot be streamed; leave streaming out.")
    tables, base_folders, first_row = [], [], 0
    for folder, some in by_folder:
        tables.append(load_files(builder, some, streaming=streaming))
        base_folders.append((first_row, str(folder.absolute())))
        first_row += 0 if streaming else len(tables[-1])
    dataset = ensure_features(tables[0]) if streaming else concatenate(name, tables)
    top = os.path.commonpath([file.parent.absolute() for file in files])
    digests = [(os.path.relpath(file.absolute(), top), digest_file(file)) for file in files]
    provenance = read_file_provenance(files) if builder == "parquet" else {}
    return Source(name, dataset, digest_values(*digests), tuple(base_folders), provenance=provenance)


def load_files(builder: str, files: Sequence[Path], *, streaming: bool = False, **options: Any) -> Any:
    """Load files as a Dataset, which `datasets` copies into its cache, or as a stream."""
    shown = str(files[0]) if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
    paths = [glob.escape(str(file.absolute())) for file in files]
    return load_paths(builder, paths, shown, streaming=streaming, **options)


def load_paths(builder: str, paths: Sequence[str], shown: str, **options: Any) -> Any:
    """Load files by their paths or URLs; `shown` is what errors call them."""
    try:
        loaded = load_dataset(builder, data_files={"train": list(paths)}, split="train", **options)
        if isinstance(loaded, Dataset):
            loaded.data.table.validate(full=True)  # otherwise text that is not UTF-8 would stop the run later
        return loaded
    except Exception as error:  # pandas, pyarrow and datasets each have their own
        if "corresponds to no data" in str(error):
            raise SourceError(f"{shown} holds no rows.") from error
        reason = hide_secrets(one_line(error.__cause__ or error))
        raise SourceError(f"{shown}: the rows cannot be read ({reason}).") from error


def concatenate(name: str, tables: Sequence[Dataset]) -> Dataset:
    try:
        return tables[0] if len(tables) == 1 else concatenate_datasets(list(tables))
    except ValueError as error:
        raise SourceError(f"{name}: the files differ in their columns ({one_line(error)}).") from error
