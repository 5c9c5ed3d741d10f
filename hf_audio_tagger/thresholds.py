"""Thresholds: for each class the least score that counts, as a file of JSON, `{"Speech": 0.41, "Dog": 0.2}`.

null is a class that no score suffices for, and so is a class that is left out. A file may be written by hand.
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .checks import invalid, is_number, open_output
from .errors import SettingsError

if TYPE_CHECKING:
    import numpy as np

NEVER = math.inf  # no score suffices
Thresholds = (
    float | tuple[tuple[str, float], ...]
)  # of all labels, or by label; labels without one never count
SCORES = (
    "a score from 0 to 1, or one for each label that is wanted, such as {'Speech': 0.2}, or a file of these"
)
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
    for label, score in thresholds.items():
        if not is_least(score):
            raise invalid(f"The threshold of {label!r}", score, "between 0 and 1, or infinity for never")
    values = {label: None if score == NEVER else float(score) for label, score in thresholds.items()}
    text = json.dumps(values, ensure_ascii=False, indent=1, allow_nan=False)
    with open_output(path) as file:
        file.write(f"{text}\n".encode())


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
        if score is not None and not is_score(score):
            raise invalid(
                f"thresholds: {path}: the score of {label!r}", score, "between 0 and 1, or null for never"
            )
    return {label: NEVER if score is None else float(score) for label, score in values.items()}


def freeze_thresholds(min_score: Any, name: str = "min_score") -> Thresholds:
    """Check a score, a mapping or a file of them, and give it a form that hashes. `name` is the argument's.

    >>> freeze_thresholds(1), freeze_thresholds({"Speech": 0.2, "Dog": 1})
    (1.0, (('Dog', 1.0), ('Speech', 0.2)))
    """
    if isinstance(min_score, os.PathLike) or (isinstance(min_score, str) and os.path.exists(min_score)):
        min_score = read_thresholds(min_score)
    if isinstance(min_score, Mapping):
        if not min_score or not all(
            isinstance(label, str) and is_least(one) for label, one in min_score.items()
        ):
            raise invalid(name, dict(min_score), SCORES)
        return tuple(sorted((label, float(one)) for label, one in min_score.items()))
    if not is_score(min_score):
        raise invalid(name, min_score, SCORES)
    return float(min_score)


def is_score(value: Any) -> bool:
    return is_number(value) and 0 <= value <= 1


def is_least(value: Any) -> bool:
    return is_score(value) or value == NEVER


def pick_thresholds(thresholds: Mapping[str, float], labels: Sequence[str], name: str) -> "np.ndarray":
    """The thresholds of labels, in their order; `NEVER` for those without. `name` is the file's, for errors.

    >>> pick_thresholds({"Speech": 0.4}, ["Dog", "Speech"], "t.json").tolist()
    [inf, 0.4]
    """
    import numpy as np  # here, since the shell's --help reads this module

    unknown = [label for label in thresholds if label not in labels]
    if unknown:
        near = get_close_matches(unknown[0], labels, 1)
        hint = f": did you mean {near[0]!r}?" if near else ". It was written for another model."
        raise SettingsError(f"thresholds: {name} has {unknown[0]!r}, which is no class of the model{hint}")
    return np.array([thresholds.get(label, NEVER) for label in labels])
