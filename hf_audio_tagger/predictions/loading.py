"""Reading predictions: a folder of arrays and its index, as a dataset."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset, Features, Json, List, Value
from datasets.exceptions import DatasetGenerationError

from ..digests import digest_values
from ..errors import SettingsError
from ..scores import compute_scores
from .writing import INDEX_NAME, array_path

PATCHES_AT_ONCE = 4_096  # turned into scores: 17 MB of 521 classes in float64
WRITTEN_BYTES = 64 << 20  # of scores that the dataset's writer buffers
READER_VERSION = 1  # increased when the same files give a different dataset


def read_index(folder: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """The names of the classes, and a record for each clip, with its array's path in `path`."""
    file = folder / INDEX_NAME
    try:
        content = json.loads(file.read_bytes())
        classes = [str(category["name"]) for category in content["model_categories"]]
        records = content["predictions"]
        as_id = int if all(isinstance(record["id"], int) for record in records) else str
        for record in records:
            record["id"] = as_id(record["id"])
            record["path"] = array_path(folder, str(record["category_tsr_fname"]))
            compute_times(record, patches=1)
    except FileNotFoundError:
        raise SettingsError(
            f"{folder} holds no {INDEX_NAME}. `export_predictions` writes it when all clips are done."
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"{file} is not an index of predictions ({error!r}).") from error
    if len(set(classes)) != len(classes):
        raise SettingsError(f"{file}: two classes have the same name.")
    return classes, records


def load_predictions(folder: str | Path) -> Dataset:
    """A collection's predictions as a dataset, a row for each clip.

    | column | |
    |---|---|
    | `id` | as it was exported |
    | `scores` | for each patch its score in every class |
    | `start`, `end` | of each patch, in seconds |
    | `label` | of each patch, the class with the best score; its feature has the classes' names |
    | `meta` | the clip's entry in `meta_column` |

    Reads what `export_predictions` or torch_audioset's own tool has written. The rows go into the cache of
    `datasets`, one at a time; a collection that has not changed is not read again.

    >>> ds = load_predictions("labelled/").with_format("numpy")  # doctest: +SKIP
    >>> ds[0]["scores"].shape  # doctest: +SKIP
    (23, 521)
    >>> ds.features["label"].feature.names[:2]  # doctest: +SKIP
    ['Speech', 'Child speech, kid speaking']
    """
    folder = Path(folder).expanduser().absolute()
    classes, records = read_index(folder)
    files = [check_file(record["path"]) for record in records]
    largest = max((size for _, size, _ in files), default=1)
    has_numbers = bool(records) and isinstance(records[0]["id"], int)
    features = {
        "id": Value("int64" if has_numbers else "string"),
        "scores": List(List(Value("float32"), length=len(classes))),
        "start": List(Value("float64")),
        "end": List(Value("float64")),
        "label": List(ClassLabel(names=classes)),
        "meta": Json(),
    }
    state = digest_values(READER_VERSION, (folder / INDEX_NAME).read_bytes(), *files)
    try:
        rows = Dataset.from_generator(
            read_rows,
            features=Features(features),
            gen_kwargs={"folder": str(folder), "state": state},
            writer_batch_size=min(1_000, max(1, WRITTEN_BYTES // max(1, largest))),
        )
    except DatasetGenerationError as error:
        if isinstance(error.__cause__, SettingsError):  # `datasets` wraps it in an error of its own
            raise error.__cause__ from None
        raise
    assert isinstance(rows, Dataset)
    return rows


def check_file(path: Path) -> tuple[str, int, int]:
    """A file's name, size and modification time."""
    try:
        info = path.stat()
    except OSError as error:
        raise SettingsError(
            f"{path} is named in {INDEX_NAME} and cannot be read ({error.strerror})."
        ) from error
    return path.name, info.st_size, info.st_mtime_ns


def read_rows(folder: str, state: str) -> Iterator[dict[str, Any]]:
    """The dataset's rows. `state` is not used here: it is part of the dataset's key in the cache."""
    classes, records = read_index(Path(folder))
    for record in records:
        logits = read_array(record["path"], len(classes))
        scores = np.empty(logits.shape, np.float32)
        for start in range(0, len(logits), PATCHES_AT_ONCE):  # bounds the memory of the float64 scores
            part = slice(start, start + PATCHES_AT_ONCE)
            scores[part] = compute_scores(logits[part], multi_label=True)
        starts, ends = compute_times(record, len(logits))
        yield {
            "id": record["id"],
            "scores": scores,
            "start": starts,
            "end": ends,
            "label": logits.argmax(axis=1),
            "meta": json.dumps(record.get("meta")),  # a `Json` feature would parse a bare string
        }


def read_array(path: Path, classes: int) -> np.ndarray:
    """A clip's logits, mapped into memory."""
    try:
        logits = np.lib.format.open_memmap(path, mode="r")
        if logits.dtype.kind not in "fiu":
            raise ValueError(f"it holds {logits.dtype}")
    except (OSError, ValueError, EOFError) as error:
        raise SettingsError(f"{path} is not an array of numbers ({error}).") from error
    if logits.ndim != 2 or logits.shape[1] != classes:
        raise SettingsError(f"{path} must have the shape (patches, {classes}); got {logits.shape}.")
    return logits


def compute_times(record: Mapping[str, Any], patches: int) -> tuple[np.ndarray, np.ndarray]:
    """Start and end of each patch in seconds; no end is after the clip's end, if that is known.

    >>> record = {"per_chunk_length": 0.5, "patch_length": 1.0, "scanned_segment": [0.0, 1.2]}
    >>> compute_times(record, patches=2)
    (array([0. , 0.5]), array([1. , 1.2]))
    """
    step_seconds = float(record["per_chunk_length"])
    first, last = record.get("scanned_segment") or (0.0, np.inf)
    starts = first + step_seconds * np.arange(patches)
    ends = np.minimum(starts + record.get("patch_length", step_seconds), last)
    return starts.round(6), ends.round(6)  # 3 * 0.48 is not 1.44 in floats
