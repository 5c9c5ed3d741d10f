"""Reading predictions: a folder of arrays and its index, as a dataset."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset, Features, Json, List, Value
from datasets.exceptions import DatasetGenerationError

from ..digests import digest_values
from ..errors import SettingsError
from ..scores import compute_scores
from .layout import INDEX_NAME, array_path

PATCHES_AT_ONCE = 4_096  # turned into scores: 17 MB of 521 classes in float64
WRITTEN_BYTES = 64 << 20  # of scores that a dataset's writer holds
READER_VERSION = 1  # raised when the same files would give another dataset


@dataclass(frozen=True)
class Index:
    """The content of `audio_pred.json`."""

    model: str
    classes: tuple[str, ...]
    predictions: Sequence[Mapping[str, Any]]


def read_index(folder: Path) -> Index:
    path = folder / INDEX_NAME
    try:
        content = json.loads(path.read_bytes())
        classes = tuple(str(category["name"]) for category in content["model_categories"])
        index = Index(str(content["model"]), classes, content["predictions"])
        for prediction in index.predictions:
            find_array(folder, prediction)
            compute_times(prediction, patches=1)
            prediction["id"]
    except FileNotFoundError:
        raise SettingsError(
            f"{folder} holds no {INDEX_NAME}. `export_predictions` writes it when it has done all clips."
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"{path} is not an index of predictions ({error!r}).") from error
    if len(set(classes)) != len(classes):
        raise SettingsError(f"{path}: two classes have the same name.")
    return index


def find_array(folder: Path, prediction: Mapping[str, Any]) -> Path:
    return array_path(folder, str(prediction["category_tsr_fname"]))


def load_predictions(folder: str | Path) -> Dataset:
    """A collection's predictions as a dataset, a row for each clip.

    | column | |
    |---|---|
    | `id` | as it was exported |
    | `scores` | for each patch its score in every class |
    | `start`, `end` | of each patch, in seconds |
    | `label` | of each patch, the class that leads; its feature names the classes |
    | `meta` | what was given for the clip |

    Reads what `export_predictions` or torch_audioset's own tool has written. The rows go into the cache of
    `datasets`, one at a time; a collection that has not changed is not read again.

    >>> ds = load_predictions("labelled/").with_format("numpy")  # doctest: +SKIP
    >>> ds[0]["scores"].shape  # doctest: +SKIP
    (23, 521)
    >>> ds.features["label"].feature.names[:2]  # doctest: +SKIP
    ['Speech', 'Child speech, kid speaking']
    """
    folder = Path(folder).expanduser().absolute()
    index = read_index(folder)
    files = [check_file(find_array(folder, prediction)) for prediction in index.predictions]
    largest = max((size for _, size, _ in files), default=1)
    try:
        rows = Dataset.from_generator(
            read_rows,
            features=make_features(index),
            gen_kwargs={
                "folder": str(folder),
                "state": digest_values(READER_VERSION, (folder / INDEX_NAME).read_bytes(), *files),
            },
            writer_batch_size=min(1_000, max(1, WRITTEN_BYTES // max(1, largest))),
        )
    except DatasetGenerationError as error:
        if isinstance(error.__cause__, SettingsError):  # `datasets` hides it behind an error of its own
            raise error.__cause__ from None
        raise
    assert isinstance(rows, Dataset)
    return rows


def check_file(path: Path) -> tuple[str, int, int]:
    """A file's name, size and time of change."""
    try:
        info = path.stat()
    except OSError as error:
        raise SettingsError(
            f"{path} is named in {INDEX_NAME} and cannot be read ({error.strerror})."
        ) from error
    return path.name, info.st_size, info.st_mtime_ns


def make_features(index: Index) -> Features:
    are_numbers = bool(index.predictions) and all(
        isinstance(prediction["id"], int) for prediction in index.predictions
    )
    return Features(
        {
            "id": Value("int64" if are_numbers else "string"),
            "scores": List(List(Value("float32"), length=len(index.classes))),
            "start": List(Value("float64")),
            "end": List(Value("float64")),
            "label": List(ClassLabel(names=list(index.classes))),
            "meta": Json(),
        }
    )


def read_rows(folder: str, state: str) -> Iterator[dict[str, Any]]:
    """The dataset's rows. `state` is not used here: it is part of the dataset's key in the cache."""
    index = read_index(Path(folder))
    as_id = int if make_features(index)["id"].dtype == "int64" else str
    for prediction in index.predictions:
        logits = read_array(find_array(Path(folder), prediction), len(index.classes))
        starts, ends = compute_times(prediction, len(logits))
        yield {
            "id": as_id(prediction["id"]),
            "scores": compute_float32_scores(logits),
            "start": starts,
            "end": ends,
            "label": logits.argmax(axis=1),
            "meta": json.dumps(prediction.get("meta")),  # a `Json` feature would parse a bare string
        }


def read_array(path: Path, classes: int) -> np.ndarray:
    """A clip's logits, mapped into memory."""
    try:
        logits = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise SettingsError(f"{path} is not an array of numbers ({error}).") from error
    if not isinstance(logits, np.ndarray) or logits.dtype.kind not in "fiu":
        raise SettingsError(f"{path} is not an array of numbers.")
    if logits.ndim != 2 or logits.shape[1] != classes:
        raise SettingsError(f"{path} must have the shape (patches, {classes}); got {logits.shape}.")
    return logits


def compute_times(prediction: Mapping[str, Any], patches: int) -> tuple[np.ndarray, np.ndarray]:
    """Start and end of each patch in seconds; none ends after the clip, where its end is known.

    >>> prediction = {"per_chunk_length": 0.5, "patch_length": 1.0, "scanned_segment": [0.0, 1.2]}
    >>> compute_times(prediction, patches=2)
    (array([0. , 0.5]), array([1. , 1.2]))
    """
    step_seconds = float(prediction["per_chunk_length"])
    first, last = prediction.get("scanned_segment") or (0.0, np.inf)
    starts = first + step_seconds * np.arange(patches)
    ends = np.minimum(starts + prediction.get("patch_length", step_seconds), last)
    return starts.round(6), ends.round(6)  # 3 * 0.48 is not 1.44 in floats


def compute_float32_scores(logits: np.ndarray) -> np.ndarray:
    """The scores, some patches at a time: the intermediate float64 would take twice the memory."""
    scores = np.empty(logits.shape, np.float32)
    for start in range(0, len(logits), PATCHES_AT_ONCE):
        part = slice(start, start + PATCHES_AT_ONCE)
        scores[part] = compute_scores(logits[part], multi_label=True)
    return scores
