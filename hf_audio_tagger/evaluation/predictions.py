"""What a model predicts for each row of a dataset: its scores of every class, or its tag alone.

| scores | read from |
|---|---|
| of windows | the dataset of `load_predictions`: the mean over a clip's windows |
| `video_audio_top` | if it holds every class: `top_k` was at least their number, and no threshold was set |
| an array, (rows, classes) | with the names of the classes |
| none | the tags alone |
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Dataset, List

from ..audioset.labels import name_classes
from ..columns import find_prefix
from ..errors import ColumnError, SettingsError
from ..scores import EMPTY

NO_TAG = -1
FAILED = -1  # the length of a list, where a row has none
CLIPS_AT_ONCE = 16  # of predictions: an hour of sound is 16 MB
ROWS_AT_ONCE = 1_000  # of full lists of labels, 527 structs each


@dataclass(frozen=True, eq=False)
class Predictions:
    """A model's predictions. A row with neither a tag nor the mark of EMPTY failed, or was never tagged."""

    classes: tuple[str, ...]
    tags: np.ndarray  # (rows,): the class with the best score, or NO_TAG
    is_empty: np.ndarray  # (rows,): without an audio stream
    scores: np.ndarray | None  # float64 (rows, classes); None: tags alone
    note: str | None = None  # why there are tags alone


def read_predictions(
    ds: Dataset, scores: Any, classes: Sequence[str] | None, tag_column: str, id_column: str
) -> Predictions:
    """The predictions for each row of a dataset, from what was passed as scores, or from its columns."""
    if isinstance(scores, Dataset):
        return join_predictions(ds, scores, id_column)
    if scores is not None and not isinstance(scores, str):
        return read_array(scores, len(ds), classes)
    top_column = scores or f"{find_prefix(tag_column)}_top"
    if scores is None and is_predictions(ds):
        return average_windows(ds)
    if scores is not None and scores not in ds.column_names:
        raise ColumnError(f"The rows have no column {scores!r}, only {list_names(ds)}.")
    if top_column in ds.column_names:
        return read_top(ds, top_column, tag_column, classes)
    note = (
        f"There is no column {top_column!r}: without scores only the tags' agreement is known. For AP, AUC "
        "and d' tag with top_k= the number of classes, or pass scores=load_predictions(...)."
    )
    return read_tags(ds, tag_column, note)


def list_names(ds: Dataset) -> str:
    return ", ".join(map(repr, ds.column_names)) or "none"


def is_predictions(ds: Dataset) -> bool:
    """Whether a dataset has the columns of `load_predictions`."""
    label = ds.features.get("label")
    return "scores" in ds.features and isinstance(label, List) and isinstance(label.feature, ClassLabel)


def average_windows(ds: Dataset) -> Predictions:
    """The mean scores of each clip over its windows. A clip without windows has no audio stream."""
    if not is_predictions(ds):
        raise ColumnError(
            f"scores= takes the dataset of load_predictions, with scores and label; it has {list_names(ds)}."
        )
    names = tuple(ds.features["label"].feature.names)
    means = np.full((len(ds), len(names)), np.nan)
    row = 0
    for table in ds.select_columns(["scores"]).with_format("arrow").iter(CLIPS_AT_ONCE):
        for cell in table["scores"]:
            if cell.values is not None and len(cell.values):
                windows = cell.values.flatten().to_numpy(zero_copy_only=False).reshape(-1, len(names))
                means[row] = windows.mean(axis=0, dtype=np.float64)
            row += 1
    is_empty = np.isnan(means).all(axis=1)
    return Predictions(names, rank_first(means), is_empty, means)


def join_predictions(ds: Dataset, exported: Dataset, id_column: str) -> Predictions:
    """The mean scores of exported predictions for the rows with the same ids."""
    predictions = average_windows(exported)
    if id_column not in ds.column_names:
        raise ColumnError(
            f"The rows have no column {id_column!r} to find their scores by, only {list_names(ds)}; "
            "id_column= names it."
        )
    places = {str(id): place for place, id in enumerate(exported["id"])}
    ids = [str(id) for id in ds[id_column]]
    found = np.array([places.get(id, -1) for id in ids], dtype=np.int64)
    if len(ids) and (found < 0).all():
        example = f"such as {next(iter(places))!r}" if places else "none"
        raise SettingsError(
            f"No row's {id_column!r}, such as {ids[0]!r}, is among the ids of the scores, {example}. "
            "export_predictions(id_column=...) names the clips."
        )
    is_known = found >= 0
    scores = np.full((len(ids), len(predictions.classes)), np.nan)
    scores[is_known] = predictions.scores[found[is_known]]  # type: ignore[index]
    is_empty = is_known & predictions.is_empty[found]
    return Predictions(predictions.classes, rank_first(scores), is_empty, scores)


def read_array(values: Any, rows: int, classes: Sequence[str] | None) -> Predictions:
    """An array of scores; a row of nan is a clip that failed."""
    scores = np.asarray(values, dtype=np.float64)
    if classes is None:
        raise SettingsError("An array of scores needs the names of its columns: classes=tagger.labels.")
    if scores.shape != (rows, len(classes)):
        raise SettingsError(
            f"scores must have the shape (rows, classes), here {(rows, len(classes))}; got {scores.shape}."
        )
    is_missing = np.isnan(scores)
    is_partial = is_missing.any(axis=1) & ~is_missing.all(axis=1)
    if is_partial.any():
        raise SettingsError(f"Row {int(is_partial.argmax())} of scores has some that are not numbers.")
    return Predictions(tuple(classes), rank_first(scores), np.zeros(rows, bool), scores)


def rank_first(scores: np.ndarray) -> np.ndarray:
    """The class with the best score in each row; `NO_TAG` for rows without."""
    has_scores = ~np.isnan(scores).any(axis=1) if scores.shape[1] else np.zeros(len(scores), bool)
    tags = np.full(len(scores), NO_TAG)
    tags[has_scores] = scores[has_scores].argmax(axis=1)
    return tags


def flatten_videos(cells: pa.ChunkedArray, column: str, first_row: int = 0) -> pa.ChunkedArray:
    """The entry of each row's only video; null where a row has none."""
    if pa.types.is_null(cells.type):
        return cells
    lengths = pc.fill_null(pc.list_value_length(cells), 0).to_numpy()
    if (lengths > 1).any():
        row = int((lengths > 1).argmax())
        raise ColumnError(
            f"Row {first_row + row} of {column!r} has {lengths[row]} videos, and labels are of one. "
            "Make a row of each."
        )
    values = pa.chunked_array([pc.list_flatten(chunk) for chunk in cells.chunks], cells.type.value_type)
    places = np.where(lengths > 0, np.cumsum(lengths) - 1, 0)
    return values.take(pa.array(places, mask=lengths == 0))


def read_tags(ds: Dataset, column: str, note: str) -> Predictions:
    if column not in ds.column_names:
        raise ColumnError(
            f"The rows have no tags ({column!r}) and no scores, only {list_names(ds)}. Tag them first, "
            "ds.map(tagger), or pass scores=."
        )
    cells = flatten_videos(ds.select_columns([column]).with_format("arrow")[:][column], column)
    encoded = pc.fill_null(cells.cast(pa.string()), "").combine_chunks().dictionary_encode()
    texts, codes = encoded.dictionary.to_pylist(), encoded.indices.to_numpy()
    classes = [text for text in texts if text not in ("", EMPTY)]
    places = np.array([classes.index(text) if text in classes else NO_TAG for text in texts], dtype=np.int64)
    is_empty = np.array([text == EMPTY for text in texts], dtype=bool)
    tags = places[codes] if len(texts) else np.zeros(0, np.int64)
    return Predictions(tuple(classes), tags, is_empty[codes] if len(texts) else np.zeros(0, bool), None, note)


def read_top(ds: Dataset, column: str, tag_column: str, classes: Sequence[str] | None) -> Predictions:
    """Scores from lists of {label, score} if each has every class; else the tags alone."""
    rows = ds.select_columns([column]).with_format("arrow")
    labels: dict[str, int] = {}
    parts, first_row = [], 0
    for table in rows.iter(ROWS_AT_ONCE):
        cells = flatten_videos(table[column], column, first_row)
        parts.append(read_lists(cells, labels, column))
        first_row += len(table)
    lengths = np.concatenate([np.zeros(0, np.int64), *(part[0] for part in parts)])
    listed = lengths[lengths > 0]
    has_tags = tag_column in ds.column_names
    tagged = read_tags(ds, tag_column, "") if has_tags else None
    is_trimmed = tagged is not None and bool(((tagged.tags != NO_TAG) & (lengths <= 0)).any())
    if not len(listed) or is_trimmed or (listed != len(labels)).any():
        most = int(listed.max(initial=0))
        note = (
            f"{column!r} holds {most} labels of a clip at most, of {len(labels)} or more classes: for AP, "
            "AUC and d' it must hold all. Tag with top_k= the number of classes and without a threshold."
        )
        return read_tags(ds, tag_column, note) if has_tags else read_first_labels(parts, labels, note)
    names, order = order_classes(tuple(labels), classes)
    scores = np.full((len(ds), len(names)), np.nan)
    tags, start = np.full(len(ds), NO_TAG), 0
    for part_lengths, indices, values in parts:
        filled = start + np.flatnonzero(part_lengths > 0)
        columns = order[indices].reshape(-1, len(names))
        scores[filled[:, None], columns] = values.reshape(-1, len(names))
        tags[filled] = columns[:, 0]
        start += len(part_lengths)
    return Predictions(names, tags, lengths == 0, scores)


def read_lists(
    cells: pa.ChunkedArray, labels: dict[str, int], column: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The number of labels of each row (`FAILED` without a list), and all labels' numbers and scores.

    `labels` gets a number for each new label.
    """
    if pa.types.is_null(cells.type):
        return np.full(len(cells), FAILED), np.zeros(0, np.int64), np.zeros(0)
    kind = getattr(cells.type, "value_type", None)
    if kind is None or not pa.types.is_struct(kind) or {"label", "score"} - {field.name for field in kind}:
        raise ColumnError(f"{column!r} must hold lists of {{label, score}} for each video; got {cells.type}.")
    lengths = pc.fill_null(pc.list_value_length(cells), FAILED).to_numpy()
    values = pa.chunked_array([pc.list_flatten(chunk) for chunk in cells.chunks], kind).combine_chunks()
    encoded = pc.struct_field(values, "label").dictionary_encode()
    numbers = [labels.setdefault(text, len(labels)) for text in encoded.dictionary.to_pylist()]
    indices = np.array(numbers, dtype=np.int64)[encoded.indices.to_numpy()]
    return lengths, indices, pc.struct_field(values, "score").to_numpy(zero_copy_only=False)


def order_classes(
    labels: tuple[str, ...], classes: Sequence[str] | None
) -> tuple[tuple[str, ...], np.ndarray]:
    """The classes in order, and the place of each label among them."""
    if classes is None:
        names, places, _ = name_classes(labels, keep_order=False)
        return names, places
    if set(classes) != set(labels):
        missing = sorted(set(classes) ^ set(labels))
        raise SettingsError(f"classes= and the scores' labels differ, as in {missing[0]!r}.")
    return tuple(classes), np.array([list(classes).index(label) for label in labels], dtype=np.int64)


def read_first_labels(parts: Sequence[Any], labels: dict[str, int], note: str) -> Predictions:
    """The first label of each list, as the tag."""
    tags, lengths = [], []
    for part_lengths, indices, _ in parts:
        starts = np.cumsum(np.maximum(part_lengths, 0)) - np.maximum(part_lengths, 0)
        tags.append(np.where(part_lengths > 0, np.append(indices, NO_TAG)[starts], NO_TAG))
        lengths.append(part_lengths)
    is_empty = np.concatenate([np.zeros(0, np.int64), *lengths]) == 0
    return Predictions(tuple(labels), np.concatenate([np.zeros(0, np.int64), *tags]), is_empty, None, note)
