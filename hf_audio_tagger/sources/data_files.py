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
from ..text import one_line
from .source import Base, Source, SourceError
from .streams import with_features

BUILDERS = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}  # by a file's suffix


KINDS = (
    "a folder of media, a .jsonl, .json, .csv or .parquet file or a glob of them in quotes, "
    "a folder written by save_to_disk, or a dataset on the Hub (user/name)"
)


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
    digests = [(os.path.relpath(file.absolute(), top), digest_file(file)) for file in files]
    provenance = read_file_provenance(files) if builder == "parquet" else {}
    return Source(name, dataset, digest_values(*digests), tuple(bases), provenance=provenance)


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
