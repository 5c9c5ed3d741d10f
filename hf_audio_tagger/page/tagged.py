"""What `report` is given, opened: a dataset, a run's folder, labelled predictions, or any other source."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict

from ..checks import invalid
from ..errors import SettingsError
from ..predictions.writing import INDEX_NAME
from ..provenance import add_provenance, record_tagger
from ..sources import open_source
from ..tagger import Tagger
from ..text import as_utf8
from .predicted import PredictedTables, holds_predictions
from .run_files import find_run_files
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
    run = find_run_files(tagged)
    if run is not None:
        return Tagged(ParquetTables(run.files), title, run.base, run.times)
    source = open_source(tagged, split=split, token=token)
    if not isinstance(source.dataset, Dataset):
        raise SettingsError(f"{source.name} is a stream; a report needs a dataset.")
    base = source.base_folders[0][1] if source.base_folders else None
    dataset = add_provenance(source.dataset, source.provenance)
    return Tagged(open_dataset(dataset).tables, title, base)


def open_dataset(dataset: Dataset) -> Tagged:
    tables: Tables = PredictedTables(dataset) if holds_predictions(dataset) else DatasetTables(dataset)
    name = dataset.info.dataset_name
    return Tagged(tables, as_utf8(name) if isinstance(name, str) and name else "Tagged clips")
