"""A collection's predictions on disk, in the format of torch_audioset's tools.

    DIR/audio_pred.json         the model, its classes, and a record for each clip
    DIR/audio_pred/<name>.npy   a clip: float32 (patches, classes)

The arrays hold logits, as in torch_audioset: its reader and `load_predictions` apply the sigmoid to them.
`per_chunk_length` is the step between patches in seconds, by which that reader multiplies a patch's index.
`patch_length`, an extension of this package, is a patch's duration: longer than the step if patches overlap.
An array is written while its clip is scored, the index when all clips are done.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic_files import open_atomic, replace_file, sync, temporary_path
from ..audioset.ontology import ontology
from ..scores import compute_scores

INDEX_NAME, ARRAYS_NAME = "audio_pred.json", "audio_pred"
HEADER_BYTES = 128

MOST_CHARACTERS = 100  # of an id that stay in its file's name; file systems allow 255 bytes
PLAIN = re.compile(
    r"(?!(con|prn|aux|nul|com\d|lpt\d)(\.|$))"  # devices on Windows
    r"(?!.*-[0-9a-f]{16}$)"  # looks like a name with a digest
    rf"(?=.{{,{MOST_CHARACTERS}}}$)[a-z0-9_-]([a-z0-9 ._-]*[a-z0-9_-])?",
    re.ASCII | re.IGNORECASE,
)


def make_file_names(ids: Sequence[str]) -> list[str]:
    """A unique file name without extension for each of some unique ids, valid on every file system.

    A plain id is not changed. Other ids get their digest appended, and so do ids that differ only in case,
    which many file systems ignore.

    >>> make_file_names(["clip 1", "a/b.mp4", "x", "X"])
    ['clip 1', 'a_b_mp4-570b3fbb80aee2d3', 'x-4adf4367f96e584f', 'X-ff914fd1c552e395']
    """
    in_lower_case = Counter(id.lower() for id in ids)
    return [id if PLAIN.fullmatch(id) and in_lower_case[id.lower()] == 1 else add_digest(id) for id in ids]


def add_digest(id: str) -> str:
    digest = hashlib.blake2b(id.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return f"{re.sub('[^A-Za-z0-9_-]+', '_', id)[:MOST_CHARACTERS]}-{digest}"


def array_path(folder: Path, name: str) -> Path:
    """The path of a clip's array; raises ValueError for a name that is not a path in the folder."""
    if Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name:
        raise ValueError(f"{name!r} is not a file name, or outside of the folder")
    return folder / ARRAYS_NAME / name


class ArrayWriter:
    """Writes a .npy in blocks of rows, and renames it to its final name when it is finished.

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

    def __exit__(self, *error: object) -> None:
        self.file.close()
        self.temporary.unlink(missing_ok=True)


def make_header(rows: int, columns: int) -> bytes:
    """A .npy header of constant length, so that it can be rewritten when the number of rows is known."""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}"
    start = b"\x93NUMPY\x01\x00" + (HEADER_BYTES - 10).to_bytes(2, "little")
    return start + text.ljust(HEADER_BYTES - 11).encode() + b"\n"


def is_whole(path: Path, rows: int, columns: int) -> bool:
    """True for a file with the size and header of a finished array of this shape."""
    try:
        with open(path, "rb") as file:
            header = file.read(HEADER_BYTES)
        size = HEADER_BYTES + rows * columns * 4
        return path.stat().st_size == size and header == make_header(rows, columns)
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
    """`audio_pred.json`. Predictions are written one per line, as they are generated."""
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
