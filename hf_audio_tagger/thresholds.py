"""Thresholds: for each class the least score that counts, as a file of JSON, `{"Speech": 0.41, "Dog": 0.2}`.

null is a class that no score suffices for. A file may be written by hand.
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from .atomic_files import write_file
from .checks import invalid, is_number
from .errors import SettingsError

NEVER = math.inf  # no score suffices
EXPECTED = 'a file of JSON, {"CLASS": score, ...}, with scores between 0 and 1, or null for never'


def write_thresholds(thresholds: Mapping[str, float], path: str | os.PathLike[str]) -> None:
    """Write the least score of each class that counts; infinity is never.

    >>> write_thresholds({"Speech": 0.41, "Dog": 0.2}, "thresholds.json")
    >>> print(open("thresholds.json").read(), end="")
    {
     "Speech": 0.41,
     "Dog": 0.2
    }
    """
    values = {label: None if score == NEVER else float(score) for label, score in thresholds.items()}
    text = json.dumps(values, ensure_ascii=False, indent=1, allow_nan=False)
    write_file(Path(path).expanduser(), f"{text}\n".encode())


def read_thresholds(path: str | os.PathLike[str]) -> dict[str, float]:
    """Read a file of thresholds; null becomes infinity.

    >>> write_thresholds({"Speech": 0.41, "Dog": NEVER}, "thresholds.json")
    >>> read_thresholds("thresholds.json")
    {'Speech': 0.41, 'Dog': inf}
    """
    try:
        values = json.loads(Path(path).expanduser().read_bytes())
    except OSError as error:
        raise SettingsError(f"thresholds: {path} cannot be read ({error.strerror or error}).") from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"thresholds: {path} must be {EXPECTED} ({error}).") from error
    if not isinstance(values, dict) or not values:
        raise SettingsError(f"thresholds: {path} must be {EXPECTED}; got {str(values)[:80]!r}.")
    for label, score in values.items():
        if score is not None and not (is_number(score) and 0 <= score <= 1):
            raise invalid(
                f"thresholds: {path}: the score of {label!r}", score, "between 0 and 1, or null for never"
            )
    return {label: NEVER if score is None else float(score) for label, score in values.items()}


def pick_thresholds(thresholds: Mapping[str, float], labels: Sequence[str], name: str) -> np.ndarray:
    """The thresholds of labels, in their order. `name` is the file's, for errors.

    >>> pick_thresholds({"Speech": 0.4, "Dog": 0.2}, ["Dog", "Speech"], "t.json").tolist()
    [0.2, 0.4]
    """
    missing = [label for label in labels if label not in thresholds]
    if missing:
        others = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise SettingsError(
            f"{name} has no threshold for {missing[0]!r}{others}; it needs one for each of the {len(labels)} "
            "classes."
        )
    return np.array([thresholds[label] for label in labels])
