"""Rows that are read and not tagged: what a run left, or any source, with the provenance of their tags."""

import glob
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset

from ..errors import SettingsError
from ..provenance import add_provenance, read_schema_provenance
from ..sources import Source, open_source
from ..sources.media_folder import METADATA_FILES
from ..sources.urls import load_urls
from ..stores import Place, StorePath
from ..stores.reading import open_to_read, read_each
from ..text import one_line
from .run_files import find_run_files


def open_rows(
    name: str | os.PathLike[str], split: str | None = None, token: str | bool | None = None
) -> Dataset:
    """The rows of a run by its DEST, else of a source."""
    run = find_run_files(name, split)
    if run is None:
        source = open_table(name, split, token)
        assert isinstance(source.dataset, Dataset)
        return add_provenance(source.dataset, source.provenance)
    schemas = list(read_each(read_schema, run.files, run.files[0]))
    return add_provenance(load_tables(run.files, os.fspath(name)), read_schema_provenance(schemas))


def open_table(
    name: str | os.PathLike[str], split: str | None = None, token: str | bool | None = None
) -> Source:
    """A source whose rows are no stream. A folder with tables in Parquet is these, whatever else it holds."""
    named = os.fspath(name)
    pattern = f"{glob.escape(named)}/**/*.parquet"
    tables = glob.iglob(os.path.expanduser(pattern), recursive=True)
    has_tables = any(os.path.basename(path) not in METADATA_FILES for path in tables)
    source = open_source(pattern if has_tables else named, split=split, token=token)
    if not isinstance(source.dataset, Dataset):
        raise SettingsError(f"{source.name} is a stream; a dataset is needed here.")
    return source


def load_tables(files: Sequence[Place], shown: str) -> Dataset:
    """The rows of Parquet files, all of them on this disk or in one store."""
    stored = [path for path in files if isinstance(path, StorePath)]
    loaded = load_urls("parquet", stored, shown) if stored else Dataset.from_parquet([*map(str, files)])
    assert isinstance(loaded, Dataset)
    return loaded


def read_schema(path: Place) -> pa.Schema:
    with open_parquet(path) as file:
        return file.schema_arrow


def open_parquet(path: Place) -> pq.ParquetFile:
    """A Parquet file to read; an error where it is none."""
    with naming(path):
        return pq.ParquetFile(open_to_read(path), page_checksum_verification=True)


@contextmanager
def naming(path: Place) -> Iterator[None]:
    """Name the file that cannot be read."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise SettingsError(f"{path} cannot be read ({one_line(error)}).") from error
