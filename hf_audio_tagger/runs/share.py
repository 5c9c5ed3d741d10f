"""A command's share of a run that several commands do together, each for itself, on one shared DEST."""

import re
from dataclasses import dataclass

from ..checks import invalid
from ..errors import SettingsError

PATTERN = re.compile(r"(\d{1,6})/(\d{1,6})")
SUFFIX = re.compile(r".*-(\d+)-of-(\d+)")


@dataclass(frozen=True)
class Share:
    """One of `count` commands; `number` counts from 1."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def has(self, index: int) -> bool:
        """Whether a shard or row is this command's: every `count`th one, so that all have the same work.

        >>> [index for index in range(10) if Share(2, 4).has(index)]
        [1, 5, 9]
        """
        return index % self.count == self.number - 1

    @property
    def suffix(self) -> str:
        """Of the files that belong to this command alone."""
        return f"-{self.number}-of-{self.count}"


def parse_share(value: str | None) -> Share | None:
    """Read `shard=`.

    >>> parse_share("2/8")
    Share(number=2, count=8)
    """
    if value is None:
        return None
    match = PATTERN.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise invalid("shard", value, "I/N, such as '2/8' for the second of eight commands")
    share = Share(int(match[1]), int(match[2]))
    if 1 <= share.number <= share.count:
        return share
    error = invalid("shard", value, f"I/N with I from 1 to N, such as '1/{share.count or 8}'")
    if share.number or not share.count:
        raise error
    ranks = f"for ranks that count from 0 write $((SLURM_ARRAY_TASK_ID + 1))/{share.count}"
    raise SettingsError(f"{error} I counts from 1: {ranks}.")


def read_suffix(name: str) -> Share | None:
    """The share that a file belongs to, by its name without extension; None for those of all.

    >>> read_suffix("lock-2-of-8"), read_suffix("lock")
    (Share(number=2, count=8), None)
    """
    match = SUFFIX.fullmatch(name)
    return Share(int(match[1]), int(match[2])) if match else None
