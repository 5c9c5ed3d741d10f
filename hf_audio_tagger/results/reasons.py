"""The commonest reasons why clips failed, each with one of its files."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

MOST_REASONS = 3  # in a summary
NUMBER = re.compile(r"\d[\d,.]*\d|\d")


@dataclass(frozen=True)
class FailureReason:
    """A reason, as the first clip's error gives it, how many clips failed for it, and the first of them."""

    reason: str
    count: int
    example: str


def find_common_reasons(
    failures: Iterable[tuple[object, str]], most: int = MOST_REASONS
) -> tuple[FailureReason, ...]:
    """The commonest reasons of (path, error), by decreasing frequency. They may differ in numbers.

    >>> find_common_reasons([("a.mp4", "a.mp4: 3 bytes."), ("b.mp4", "b.mp4: 5 bytes."), (None, "x: no.")], 1)
    (FailureReason(reason='3 bytes.', count=2, example='a.mp4'),)
    """
    counts: Counter[str] = Counter()
    first: dict[str, tuple[str, str]] = {}
    for path, error in failures:
        name, reason = split_error(error, path if isinstance(path, str) else "")
        kind = NUMBER.sub("0", reason)
        counts[kind] += 1
        first.setdefault(kind, (reason, name))
    return tuple(
        FailureReason(first[kind][0], count, first[kind][1]) for kind, count in counts.most_common(most)
    )


def split_error(error: str, path: str) -> tuple[str, str]:
    """A clip's name and the reason: an error begins with the name, which may end with the cell's path."""
    if path and (place := error.find(f"{path}: ")) >= 0:
        return path, error[place + len(path) + 2 :]
    name, colon, reason = error.partition(": ")
    return (path or name, reason) if colon else (path, error)
