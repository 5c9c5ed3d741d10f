"""Writing predictions: an array for each clip while it is scored, and the index at the end."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ..atomic_files import open_atomic, replace_file, sync, temporary_path
from ..audioset.ontology import ontology
from ..scores import compute_scores
from .layout import INDEX_NAME

HEADER_BYTES = 128


class ArrayWriter:
    """A .npy that grows by rows and gets its name once it is finished.

    >>> with ArrayWriter(Path("a.npy"), columns=521) as array:  # doctest: +SKIP
    ...     array.add(logits)
    ...     array.finish()
    """

    def __init__(self, path: Path, columns: int) -> None:
        self.path, self.columns, self.rows = path, columns, 0
        self.temporary = temporary_path(path)

    def __enter__(self) -> "ArrayWriter":
        self.file = open(self.temporary, "wb")
        self.file.write(make_header(0, self.columns))
        return self

    def add(self, rows: np.ndarray) -> None:
        self.file.write(np.ascontiguousarray(rows, "<f4").data)
        self.rows += len(rows)

    def finish(self) -> None:
        self.file.seek(0)
        self.file.write(make_header(self.rows, self.columns))
        sync(self.file)
        self.file.close()
        replace_file(self.temporary, self.path)

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None) -> None:
        self.file.close()
        self.temporary.unlink(missing_ok=True)


def make_header(rows: int, columns: int) -> bytes:
    """A .npy header of constant length, so that it can be written again when the rows are counted."""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}"
    start = b"\x93NUMPY\x01\x00" + (HEADER_BYTES - 10).to_bytes(2, "little")
    return start + text.ljust(HEADER_BYTES - 11).encode() + b"\n"


def is_whole(path: Path, rows: int, columns: int) -> bool:
    """True for a file that has the size and the header of so many rows, as `ArrayWriter` leaves it."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            return size == HEADER_BYTES + rows * columns * 4 and file.read(HEADER_BYTES) == make_header(
                rows, columns
            )
    except OSError:
        return False


def log_odds(logits: np.ndarray, multi_label: bool) -> np.ndarray:
    """The values to store: those whose sigmoid is the score.

    >>> log_odds(np.array([[0.0, 0.0, 0.0]]), multi_label=False).round(3).tolist()  # scores of 1/3
    [[-0.693, -0.693, -0.693]]
    """
    if multi_label:
        return logits
    limits = np.finfo(np.float64)
    scores = compute_scores(logits, multi_label).clip(limits.tiny, 1 - limits.epsneg)
    return np.log(scores) - np.log1p(-scores)


def write_index(
    folder: Path,
    model: str,
    classes: Sequence[str],
    without_sound: Sequence[str | int],
    predictions: Iterable[Mapping[str, Any]],
) -> None:
    """`audio_pred.json`. Predictions are written as they come, a line each."""
    categories = [
        {"name": name, "id": ontology[name].id if name in ontology else str(index)}
        for index, name in enumerate(classes)
    ]
    head = {"model": model, "model_categories": categories, "without_sound": without_sound}
    with open_atomic(folder / INDEX_NAME) as file:
        file.write(json.dumps(head)[:-1].encode() + b', "predictions": [')
        for number, prediction in enumerate(predictions):
            file.write((b",\n" if number else b"\n") + json.dumps(prediction).encode())
        file.write(b"\n]}\n")
