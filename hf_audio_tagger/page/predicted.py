"""Labelled predictions, scores of every class in each patch of a clip, as tables like a tagger's."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset, Features

from ..columns import all_columns
from ..media_paths import has_media_suffix
from ..predictions.loading import read_index, read_rows
from ..predictions.moments import read_class_names
from ..provenance import Provenance
from ..scores import EMPTY
from ..settings import TAG_COLUMN

ROWS_AT_ONCE = 250
TOP = 10  # labels of a clip
COLUMNS = {"id", "scores", "start", "end", "label"}  # of `load_predictions`


def holds_predictions(dataset: Dataset) -> bool:
    return set(dataset.column_names) >= COLUMNS and TAG_COLUMN not in dataset.column_names


@dataclass(eq=False)
class PredictedTables:
    """The clips of a folder that `export_predictions` wrote, or of what `load_predictions` returned.

    A clip's scores are the means over its patches; its tag has the highest. Parts in which one class leads
    are its segments.
    """

    given: Path | Dataset

    def __post_init__(self) -> None:
        if isinstance(self.given, Dataset):
            self.classes, self.row_count = read_class_names(self.given), len(self.given)
        else:
            self.classes, records = read_index(self.given)
            self.row_count = len(records)
        self.provenance: Provenance = {}
        kinds = {one.kind: one for one in all_columns(TAG_COLUMN)}
        self.schema = pa.schema(
            [("id", pa.string()), ("video", pa.string())]
            + [(kinds[kind].name, kinds[kind].type) for kind in ("tags", "top", "segments")]
        )
        self.features = Features.from_arrow_schema(self.schema)

    def read(self, names: Sequence[str], paths_of: str | None) -> Iterator[pa.Table]:
        rows = (describe_row(row, self.classes) for row in self.read_rows())
        while some := list(islice(rows, ROWS_AT_ONCE)):
            columns = zip(*some, strict=True)
            arrays = [
                pa.array(list(cells), field.type) for cells, field in zip(columns, self.schema, strict=True)
            ]
            yield pa.table(arrays, self.schema).select([*names])

    def read_rows(self) -> Iterable[Mapping[str, Any]]:
        if isinstance(self.given, Dataset):
            return self.given.select_columns(["id", "scores", "start", "end"]).with_format("numpy")
        return read_rows(str(self.given.expanduser().absolute()), "")

    def read_cell(self, column: str, row: int) -> Any:
        return None


def describe_row(row: Mapping[str, Any], classes: Sequence[str]) -> tuple[Any, ...]:
    """A clip's id, path, tags, top labels and segments."""
    name = str(row["id"])
    path = name if has_media_suffix(name) else None
    scores = np.asarray(row["scores"], np.float64).reshape(-1, len(classes))
    if not len(scores):
        return name, path, [EMPTY], [[]], [[]]
    means = scores.mean(axis=0)
    order = np.argsort(-means, kind="stable")[:TOP].tolist()
    top = [{"label": classes[one], "score": float(means[one])} for one in order]
    starts, ends = np.asarray(row["start"], float), np.asarray(row["end"], float)
    segments = list(merge_patches(scores, starts, ends, classes))
    return name, path, [classes[order[0]]], [top], [segments]


def merge_patches(
    scores: np.ndarray, starts: np.ndarray, ends: np.ndarray, classes: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Parts in which one class has the highest score; overlapping patches end where the next begins."""
    leaders = scores.argmax(axis=1)
    firsts = np.flatnonzero(np.diff(leaders, prepend=-1))
    for first, last in zip(firsts.tolist(), [*firsts[1:].tolist(), len(leaders)], strict=True):
        leader = int(leaders[first])
        end = ends[last - 1] if last == len(leaders) else starts[last]
        yield {
            "start": float(starts[first]),
            "end": float(end),
            "label": classes[leader],
            "score": float(scores[first:last, leader].mean()),
        }
