"""A column of labels as numbers: which row has which class.

>>> from datasets import Dataset
>>> ds = Dataset.from_dict({"labels": [["/m/09x0r", "Dog"], [], ["/m/0bt9lr"]]})
>>> labels = read_labels(ds)
>>> labels.classes, labels.rows.tolist(), labels.indices.tolist()
(('Speech', 'Dog'), [0, 0, 2], [0, 1, 1])

Labels are mids ("/m/09x0r"), names, a `ClassLabel` column, or one text "mid,mid". A column may hold a label,
a list of them, or for each video of a row a list, as `roll_up` and `video_audio_top` have them. EMPTY, null
and "" are no label, and a label that a row has twice counts once. Everything is done on Arrow's columns: two
million rows take about a second.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Dataset

from ..checks import invalid
from ..errors import ColumnError
from ..media_paths import is_list
from ..scores import EMPTY
from .ontology import ontology

MID = r"/[mtg]/[0-9a-z_]+"
MIDS = re.compile(f"{MID}(, ?{MID})*")  # one text; 75 of the 527 names have a comma themselves
KINDS = 'mids, names, a ClassLabel column or texts "mid,mid"'


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels by row: the i-th is `classes[indices[i]]`, in row `rows[i]`. Rows ascend, and no pair repeats.

    Where every label is AudioSet's, `classes` are names of categories, in the order of AudioSet's indices and
    then of the ontology; mid and name of a category are one class. Otherwise they are the texts as they are.
    """

    rows: np.ndarray
    indices: np.ndarray
    classes: tuple[str, ...]
    is_audioset: bool
    row_count: int

    def count_rows(self) -> np.ndarray:
        """The number of rows that have each class."""
        return np.bincount(self.indices, minlength=len(self.classes))

    def has_labels(self) -> np.ndarray:
        """For each row, whether it has any."""
        return np.bincount(self.rows, minlength=self.row_count) > 0


def read_labels(ds: Dataset, column: str = "labels", classes: Sequence[str] | None = None) -> Labels:
    """The labels of a dataset's column.

    Args:
        classes: the names or mids of whole numbers, in order. A `ClassLabel` column has its own.
    """
    check_dataset(ds)
    if column not in ds.column_names:
        existing = ", ".join(map(repr, ds.column_names)) or "none"
        raise ColumnError(f"The rows have no column {column!r}, only {existing}.")
    cells = ds.select_columns([column]).with_format("arrow")[:][column]
    return parse_labels(cells, column, classes or find_class_names(ds.features[column]))


def check_dataset(ds: object) -> None:
    """Refuse what is not one table on this machine: several splits, or a stream."""
    if not isinstance(ds, Dataset):
        raise invalid("ds", type(ds).__name__, 'a Dataset, such as one split of a DatasetDict (ds["train"])')


def parse_labels(cells: pa.ChunkedArray, column: str, names: Sequence[str] | None = None) -> Labels:
    """The labels of a column in Arrow; `names` are those of whole numbers."""
    values, rows = flatten_cells(cells)
    kind = values.type
    if pa.types.is_integer(kind):
        if names is None:
            raise ColumnError(
                f"{column!r} holds whole numbers, and nothing says of which classes. Pass their names in "
                f"order (classes=), or type the column: ds.cast_column({column!r}, ClassLabel(names=[...]))."
            )
        texts, groups = tuple(names), read_numbers(values, len(names), column)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind):
        texts, rows, groups = read_texts(values.cast(pa.string()), rows)
    else:
        raise ColumnError(f"{column!r} must hold labels ({KINDS}); got {kind}.")
    merged, new_indices, is_audioset = name_classes(texts, keep_order=names is not None)
    if groups.min(initial=0) < 0:
        rows, groups = rows[groups >= 0], groups[groups >= 0]
    rows, indices = drop_repeats(rows, new_indices[groups], len(merged))
    return Labels(rows, indices, merged, is_audioset, len(cells))


def find_class_names(feature: Any) -> list[str] | None:
    """The names of a ClassLabel column, or of one of lists; None for other columns."""
    while not isinstance(feature, ClassLabel):
        if isinstance(feature, list):
            feature = feature[0]
        elif hasattr(feature, "feature"):
            feature = feature.feature
        elif isinstance(feature, dict) and "label" in feature:
            feature = feature["label"]
        else:
            return None
    return list(feature.names or ()) or None


def flatten_cells(cells: pa.ChunkedArray) -> tuple[pa.ChunkedArray, np.ndarray]:
    """The values in all lists, and the row of each. Of `video_audio_top`'s structs, the labels."""
    values, rows = cells, np.arange(len(cells))
    while is_list(values.type):
        lengths = pc.fill_null(pc.list_value_length(values), 0)
        rows = np.repeat(rows, lengths.to_numpy())
        inner = values.type.value_type
        values = pa.chunked_array([pc.list_flatten(chunk) for chunk in values.chunks], type=inner)
    if pa.types.is_struct(values.type) and values.type.get_field_index("label") >= 0:
        values = pc.struct_field(values, "label")
    return values, rows


def read_numbers(values: pa.ChunkedArray, count: int, column: str) -> np.ndarray:
    """Indices of classes; -1 for null and for -1, which `datasets` writes where a label is not known."""
    indices = pc.fill_null(values.cast(pa.int64()), -1).to_numpy()
    wrong = indices[(indices < -1) | (indices >= count)]
    if len(wrong):
        raise invalid(f"A label in {column!r}", int(wrong[0]), f"between 0 and {count - 1}, as names go")
    return indices


def read_texts(values: pa.ChunkedArray, rows: np.ndarray) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """The distinct labels; of each occurrence the row, and the label's index or -1."""
    distinct = pc.unique(values)
    codes = pc.index_in(values, value_set=distinct).to_numpy()
    indices: dict[str, int] = {}
    pieces = [
        [indices.setdefault(label, len(indices)) for label in split_labels(text)]
        for text in distinct.to_pylist()
    ]
    lengths = np.array([len(piece) for piece in pieces], dtype=np.int64)
    if lengths.max(initial=0) <= 1:
        single = np.array([piece[0] if piece else -1 for piece in pieces], dtype=np.int64)
        return tuple(indices), rows, single[codes]
    joined = np.array([index for piece in pieces for index in piece], dtype=np.int64)
    starts, counts = np.cumsum(lengths) - lengths, lengths[codes]
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return tuple(indices), np.repeat(rows, counts), joined[np.repeat(starts[codes], counts) + within]


def split_labels(text: str | None) -> list[str]:
    """The labels in one text: several only where all parts are mids.

    >>> split_labels("/m/09x0r,/t/dd00088"), split_labels("Male speech, man speaking"), split_labels("EMPTY")
    (['/m/09x0r', '/t/dd00088'], ['Male speech, man speaking'], [])
    """
    if not text or text == EMPTY:
        return []
    return re.split(", ?", text) if MIDS.fullmatch(text) else [text]


def name_classes(texts: Sequence[str], keep_order: bool) -> tuple[tuple[str, ...], np.ndarray, bool]:
    """The classes of distinct labels, the class of each label, and whether they are AudioSet's categories."""
    is_audioset = bool(texts) and all(text in ontology for text in texts)
    named = [ontology[text].name for text in texts] if is_audioset else list(texts)
    classes = list(dict.fromkeys(named))
    if is_audioset and not keep_order:
        present = {ontology[name] for name in classes}
        order = [*ontology.audioset_classes(), *(one for one in ontology if one.audioset_index is None)]
        classes = [one.name for one in order if one in present]
    elif not keep_order:
        classes.sort()
    places = {name: place for place, name in enumerate(classes)}
    return tuple(classes), np.array([places[name] for name in named], dtype=np.int64), is_audioset


def drop_repeats(rows: np.ndarray, indices: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of row and class, each once, in order."""
    keys = np.sort(rows * classes + indices)
    is_new = keys[1:] != keys[:-1]
    if not is_new.all():
        keys = np.concatenate([keys[:1], keys[1:][is_new]])
    return np.divmod(keys, max(1, classes))
