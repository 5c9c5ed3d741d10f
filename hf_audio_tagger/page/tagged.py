"""What `report` is given, opened: a dataset, a run's folder, labelled predictions, or any other source."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict

from ..checks import invalid
from ..predictions.writing import INDEX_NAME
from ..provenance import add_provenance, record_tagger
from ..results.run_files import find_run_files
from ..results.tagged_rows import open_table
from ..stores import Place
from ..tagger import Tagger
from ..text import as_utf8
from .predicted import PredictedTables, holds_predictions
from .tables import DatasetTables, ParquetTables, Tables


@dataclass(frozen=True, eq=False)
class Tagged:
    """Rows to report, and what is known beside them."""

    tables: Tables
    title: str
    base: str | None = None  # the folder where relative paths start
    times: str | None = None  # when they were tagged


def open_tagged(tagged: Any, split: str | None = None, tagger: Tagger | None = None) -> Tagged:
    """Open what is to be reported; a given tagger is what made the tags."""
    opened = open_rows(tagged, split, None if tagger is None else tagger.token)
    if tagger is not None:
        opened.tables.provenance = {tagger.tag_column: (record_tagger(tagger),)}
    return opened


def open_rows(tagged: Any, split: str | None, token: str | bool | None) -> Tagged:
    if isinstance(tagged, DatasetDict):
        raise invalid(
            "ds", "a DatasetDict", f"one of its splits, such as ds[{next(iter(tagged), 'train')!r}]"
        )
    if isinstance(tagged, Dataset):
        return open_dataset(tagged)
    if not isinstance(tagged, str | os.PathLike):
        raise invalid("ds", type(tagged).__name__, "a Dataset, or a path such as the folder of a run")
    path = Path(tagged).expanduser()
    title = as_utf8(path.absolute().name or str(path))
    if (path / INDEX_NAME).is_file():
        return Tagged(PredictedTables(path), title)
    run = find_run_files(tagged, split)
    if run is not None:
        return Tagged(ParquetTables(run.files), title, run.base, describe_times(run.files))
    source = open_table(tagged, split, token)
    assert isinstance(source.dataset, Dataset)
    base = source.base_folders[0][1] if source.base_folders else None
    dataset = add_provenance(source.dataset, source.provenance)
    return Tagged(open_dataset(dataset).tables, title, base)


def open_dataset(dataset: Dataset) -> Tagged:
    tables: Tables = PredictedTables(dataset) if holds_predictions(dataset) else DatasetTables(dataset)
    name = dataset.info.dataset_name
    return Tagged(tables, as_utf8(name) if isinstance(name, str) and name else "Tagged clips")


def describe_times(files: Sequence[Place]) -> str:
    """When the first and the last of some files were written."""
    times = sorted(path.stat().st_mtime_ns / 1e9 for path in files)
    first, last = (format_time(datetime.fromtimestamp(time)) for time in (times[0], times[-1]))
    return first if first == last else f"{first} to {last}"


def format_time(time: datetime) -> str:
    return time.astimezone().strftime("%Y-%m-%d %H:%M %z")
