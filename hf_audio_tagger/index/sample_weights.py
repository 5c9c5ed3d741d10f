"""Weights for a sampler that balances classes, as AST, PaSST and vipant compute them, and files of them."""

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from datasets import Dataset

from ..audioset.labels import Labels, read_labels
from ..checks import check_choice, invalid, is_number, open_output
from ..errors import SettingsError

SCALE = 1_000.0  # of all weights; a sampler ignores it
OFFSETS = {"vipant": 1.0, "AST": 0.01, "PaSST": 100.0}
COMBINE = ("sum", "max")
LINES_AT_ONCE = 100_000


def sample_weights(
    ds: Dataset,
    column: str = "labels",
    offset: float | str = 1.0,
    combine: str = "sum",
    classes: Sequence[str] | None = None,
) -> np.ndarray:
    """A weight for each row: the rarer its labels, the larger.

    A class that `n` rows have weighs `1000 / (n + offset)`; a row weighs the sum over its labels, or the most
    of them. A row without labels weighs 0. A label that a row has twice counts once.

    On a set that is balanced already a sum does not help: it favours rows with many labels. In AudioSet's
    balanced set the commonest class is 105.8 times as frequent as the rarest, and among rows drawn by AST's
    weights 146.7 times.

    Args:
        column: labels as mids, names, a ClassLabel or a text "mid,mid"; "video_audio_tags" too, where EMPTY
            and null are no label.
        offset: added to the number of rows, or whose: "vipant" (1), "AST" (0.01), "PaSST" (100).
        combine: "sum" or "max".
        classes: the names of whole numbers, in order.

    >>> from datasets import Dataset
    >>> labels = [["Speech"], ["Speech", "Music"], ["Speech", "Dog"], ["Music"], []]
    >>> ds = Dataset.from_dict({"labels": labels})
    >>> sample_weights(ds).round(2).tolist()
    [250.0, 583.33, 750.0, 333.33, 0.0]
    >>> sample_weights(ds, offset="AST", combine="max").round(2).tolist()
    [332.23, 497.51, 990.1, 497.51, 0.0]
    """
    added = read_offset(offset)
    check_choice("combine", combine, COMBINE)
    return weigh(read_labels(ds, column, classes), added, combine)


def read_offset(offset: float | str) -> float:
    """The number that is meant: itself, or that of a published code."""
    names = {name.casefold(): value for name, value in OFFSETS.items()}
    if isinstance(offset, str) and offset.casefold() in names:
        return names[offset.casefold()]
    if not is_number(offset) or not 0 <= float(offset) < math.inf:
        named = ", ".join(map(repr, OFFSETS))
        raise invalid("offset", offset, f"a number of at least 0, or one of {named}")
    return float(offset)


def weigh(labels: Labels, offset: float, combine: str) -> np.ndarray:
    counts = labels.count_rows()
    by_class = SCALE / np.maximum(counts + offset, np.finfo(float).tiny)  # classes of no row are not used
    found = by_class[labels.indices]
    if combine == "sum":
        return np.bincount(labels.rows, weights=found, minlength=labels.row_count)
    weights = np.zeros(labels.row_count)
    if len(found):
        starts = np.flatnonzero(np.diff(labels.rows, prepend=-1))  # rows ascend
        weights[labels.rows[starts]] = np.maximum.reduceat(found, starts)
    return weights


@dataclass(frozen=True)
class WeightFacts:
    """What weights do to a dataset: imbalance is the share of its commonest class over that of its rarest."""

    rows: int
    rows_without_labels: int
    classes: int
    least: float
    most: float
    imbalance: float | None  # of the rows; None without classes
    imbalance_drawn: float | None  # of rows drawn by the weights, with replacement


def describe_weights(labels: Labels, weights: np.ndarray) -> WeightFacts:
    """Facts of weights, for people."""
    counts = labels.count_rows()
    drawn = np.bincount(labels.indices, weights=weights[labels.rows], minlength=len(counts))
    present = counts > 0
    used = weights[weights > 0]
    return WeightFacts(
        rows=labels.row_count,
        rows_without_labels=int((~labels.has_labels()).sum()),
        classes=int(present.sum()),
        least=float(used.min(initial=math.inf)) if len(used) else 0.0,
        most=float(used.max(initial=0.0)),
        imbalance=float(counts[present].max() / counts[present].min()) if present.any() else None,
        imbalance_drawn=float(drawn[present].max() / drawn[present].min()) if present.any() else None,
    )


def write_weights(weights: Sequence[float] | np.ndarray, path: str | os.PathLike[str]) -> None:
    """Write weights as AST's tools do: one a line, line by line with the index. Whole or not at all.

    >>> write_weights([250.0, 0.5], "src_weight.csv")
    >>> print(open("src_weight.csv").read(), end="")
    2.500000000000000000e+02
    5.000000000000000000e-01
    """
    values = np.asarray(weights, dtype=np.float64)
    if values.ndim != 1:
        raise invalid("weights", values.shape, "one number for each row")
    if len(wrong := find_wrong(values)):
        raise SettingsError(
            f"Weight {wrong[0]} must be a finite number of at least 0; got {values[wrong[0]]}."
        )
    with open_output(path) as file:
        for text in format_weights(values):
            file.write(text.encode())


def find_wrong(weights: np.ndarray) -> np.ndarray:
    """The places of values that no sampler takes."""
    return np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))


def format_weights(values: np.ndarray) -> Iterator[str]:
    for first in range(0, len(values), LINES_AT_ONCE):
        yield "".join([f"{value:.18e}\n" for value in values[first : first + LINES_AT_ONCE].tolist()])


def read_weights(path: str | os.PathLike[str], ds: Dataset | None = None) -> np.ndarray:
    """Read a file of weights, one a line.

    Args:
        ds: the rows that they are for. Weights are told by their line alone, so those of another download are
            wrong without a sign: a file of another length is refused.

    >>> write_weights([250.0, 0.5], "src_weight.csv")
    >>> read_weights("src_weight.csv").tolist()
    [250.0, 0.5]
    """
    file = Path(path).expanduser()
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}.") from error
    try:
        weights = np.array(lines, dtype=np.float64)
    except ValueError:
        weights = np.array([parse_weight(path, number, line) for number, line in enumerate(lines, 1)])
    if len(wrong := find_wrong(weights)):
        line = int(wrong[0])
        raise SettingsError(
            f"{path}, line {line + 1}: a weight must be finite and at least 0; got {weights[line]}."
        )
    if ds is not None and len(weights) != len(ds):
        raise SettingsError(
            f"{path} has {len(weights):,} weights, the dataset {len(ds):,} rows. They go line by line: those "
            "of another download or selection do not fit. sample_weights makes them anew."
        )
    return weights


def parse_weight(path: object, number: int, line: bytes) -> float:
    try:
        return float(line)
    except ValueError as error:
        raise SettingsError(f"{path}, line {number}: it is no number: {line[:60]!r}.") from error
