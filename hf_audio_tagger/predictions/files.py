"""A collection's predictions on disk, in the form that torch_audioset's tools write and read.

    DIR/audio_pred.json         the model, its classes, and a record for each clip
    DIR/audio_pred/<name>.npy   a clip: float32 (patches, classes)

The arrays hold logits, as that tool's own do: its reader takes their sigmoid. So does `load_predictions`.
`per_chunk_length` is what that reader multiplies a patch's number by: the seconds from one patch's start to
the next one's. `patch_length`, of ours alone, is how long a patch is: more, where patches overlap.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset, Features, Json, List, Value
from datasets.exceptions import DatasetGenerationError

from ..audioset.ontology import ontology
from ..digests import digest_values
from ..errors import SettingsError
from ..runs.shards import replace_file, sync, temporary_path
from ..scores import compute_scores

INDEX_NAME = "audio_pred.json"
ARRAYS_NAME = "audio_pred"
NPY_HEADER_BYTES = 128
PATCHES_AT_ONCE = 4_096  # turned into scores: 17 MB of 521 classes in float64
WRITTEN_BYTES = 64 << 20  # of scores that a dataset's writer holds
READER_VERSION = 1  # raised when the same files would give another dataset


@dataclass(frozen=True)
class Index:
    """What `audio_pred.json` says of all clips."""

    model: str
    classes: tuple[str, ...]
    predictions: Sequence[Mapping[str, Any]]


class ArrayWriter:
    """A .npy that grows by rows: in its place once it is finished, and no trace of it before.

    >>> with ArrayWriter(Path("a.npy"), columns=521) as array:  # doctest: +SKIP
    ...     array.add(logits)
    ...     array.finish()
    """

    def __init__(self, path: Path, columns: int) -> None:
        self.path, self.columns, self.rows = path, columns, 0
        self.temporary = temporary_path(path)

    def __enter__(self) -> "ArrayWriter":
        self.file = open(self.temporary, "wb")
        self.file.write(npy_header(0, self.columns))
        return self

    def add(self, rows: np.ndarray) -> None:
        self.file.write(np.ascontiguousarray(rows, "<f4").data)
        self.rows += len(rows)

    def finish(self) -> None:
        self.file.seek(0)
        self.file.write(npy_header(self.rows, self.columns))
        sync(self.file)
        self.file.close()
        replace_file(self.temporary, self.path)

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None) -> None:
        self.file.close()
        self.temporary.unlink(missing_ok=True)


def npy_header(rows: int, columns: int) -> bytes:
    """Always equally long, so that it can be written again when the rows are counted."""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}"
    start = b"\x93NUMPY\x01\x00" + (NPY_HEADER_BYTES - 10).to_bytes(2, "little")
    return start + text.ljust(NPY_HEADER_BYTES - 11).encode() + b"\n"


def is_whole(path: Path, rows: int, columns: int) -> bool:
    """True for a file that has the size and the header of so many rows, as `ArrayWriter` leaves it."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            return size == NPY_HEADER_BYTES + rows * columns * 4 and file.read(
                NPY_HEADER_BYTES
            ) == npy_header(rows, columns)
    except OSError:
        return False


def log_odds(logits: np.ndarray, multi_label: bool) -> np.ndarray:
    """What is stored of logits: the values whose sigmoid is the score.

    >>> log_odds(np.array([[0.0, 0.0, 0.0]]), multi_label=False).round(3).tolist()  # scores of 1/3
    [[-0.693, -0.693, -0.693]]
    """
    if multi_label:
        return logits
    scores = compute_scores(logits, multi_label).clip(
        np.finfo(np.float64).tiny, 1 - np.finfo(np.float64).epsneg
    )
    return np.log(scores) - np.log1p(-scores)


def write_index(
    folder: Path,
    model: str,
    classes: Sequence[str],
    without_sound: Sequence[str | int],
    predictions: Iterable[Mapping[str, Any]],
) -> None:
    """`audio_pred.json`, in one step. Predictions are written as they come, a line each."""
    path = folder / INDEX_NAME
    head = {"model": model, "model_categories": categories_of(classes), "without_sound": without_sound}
    temporary = temporary_path(path)
    try:
        with open(temporary, "wb") as file:
            file.write(json.dumps(head)[:-1].encode() + b', "predictions": [')
            for place, prediction in enumerate(predictions):
                file.write((b",\n" if place else b"\n") + json.dumps(prediction).encode())
            file.write(b"\n]}\n")
            sync(file)
        replace_file(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def categories_of(classes: Sequence[str]) -> list[dict[str, str]]:
    """Name and id of each class by index: AudioSet's id, or for other classes the index."""
    return [
        {"name": name, "id": ontology[name].id if name in ontology else str(place)}
        for place, name in enumerate(classes)
    ]


def read_index(folder: Path) -> Index:
    """`audio_pred.json`, checked for what is needed of it."""
    path = folder / INDEX_NAME
    try:
        said = json.loads(path.read_bytes())
        classes = tuple(str(category["name"]) for category in said["model_categories"])
        index = Index(str(said["model"]), classes, said["predictions"])
        for prediction in index.predictions:
            array_path(folder, prediction)
            times_of(prediction, patches=1)
            prediction["id"]
    except FileNotFoundError:
        raise SettingsError(
            f"{folder} holds no {INDEX_NAME}. `export_predictions` writes it when it has done all clips."
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"{path} is not what predictions look like ({error!r}).") from error
    if len(set(classes)) != len(classes):
        raise SettingsError(f"{path}: two classes have the same name, so that a name says not which.")
    return index


def array_path(folder: Path, prediction: Mapping[str, Any]) -> Path:
    name = str(prediction["category_tsr_fname"])
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError(f"{name} lies outside of the folder")
    if "\0" in name:
        raise ValueError(f"{name!r} names no file")
    return folder / ARRAYS_NAME / name


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
    files = [stat_of(array_path(folder, prediction), index) for prediction in index.predictions]
    largest = max((size for _, size, _ in files), default=1)
    try:
        rows = Dataset.from_generator(
            rows_of,
            features=features_of(index),
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


def stat_of(path: Path, index: Index) -> tuple[str, int, int]:
    try:
        info = path.stat()
    except OSError as error:
        raise SettingsError(
            f"{path}: {INDEX_NAME} names it and it cannot be read ({error.strerror})."
        ) from error
    return path.name, info.st_size, info.st_mtime_ns


def features_of(index: Index) -> Features:
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


def rows_of(folder: str, state: str) -> Iterator[dict[str, Any]]:
    """The dataset's rows. `state` is for the cache alone: other files, another dataset."""
    index = read_index(Path(folder))
    as_id = int if features_of(index)["id"].dtype == "int64" else str
    for prediction in index.predictions:
        logits = read_array(array_path(Path(folder), prediction), len(index.classes))
        starts, ends = times_of(prediction, len(logits))
        yield {
            "id": as_id(prediction["id"]),
            "scores": scores_in_parts(logits),
            "start": starts,
            "end": ends,
            "label": logits.argmax(axis=1),
            "meta": json.dumps(prediction.get("meta")),  # as text: a text that is JSON stays a text
        }


def read_array(path: Path, classes: int) -> np.ndarray:
    """A clip's logits, left on the disk until they are looked at."""
    try:
        logits = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise SettingsError(f"{path} is no array of numbers ({error}).") from error
    if not isinstance(logits, np.ndarray) or logits.dtype.kind not in "fiu":
        raise SettingsError(f"{path} is no array of numbers.")
    if logits.ndim != 2 or logits.shape[1] != classes:
        raise SettingsError(f"{path} holds {logits.shape}; (patches, {classes}) is what the classes ask for.")
    return logits


def times_of(prediction: Mapping[str, Any], patches: int) -> tuple[np.ndarray, np.ndarray]:
    """Start and end of each patch in seconds; none ends behind the clip's end, where that is told.

    >>> times_of({"per_chunk_length": 0.5, "patch_length": 1.0, "scanned_segment": [0.0, 1.2]}, patches=2)
    (array([0. , 0.5]), array([1. , 1.2]))
    """
    step_seconds = float(prediction["per_chunk_length"])
    first, last = prediction.get("scanned_segment") or (0.0, np.inf)
    starts = first + step_seconds * np.arange(patches)
    ends = np.minimum(starts + prediction.get("patch_length", step_seconds), last)
    return starts.round(6), ends.round(6)  # what a sum of decimals adds behind is no time


def scores_in_parts(logits: np.ndarray) -> np.ndarray:
    scores = np.empty(logits.shape, np.float32)
    for start in range(0, len(logits), PATCHES_AT_ONCE):
        part = slice(start, start + PATCHES_AT_ONCE)
        scores[part] = compute_scores(logits[part], multi_label=True)
    return scores
