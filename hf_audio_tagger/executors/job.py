"""What an executor runs, and what it is told of it."""

from collections.abc import Callable
from dataclasses import dataclass


class StoppedError(Exception):
    """A job was asked to end early; what it has heard is kept."""


@dataclass(frozen=True)
class Job:
    """A shard to write, or a stream's shards from one on."""

    index: int
    start: int
    stop: int | None  # None: until the stream ends
    again: tuple[int, ...] = ()  # rows of the shard that were heard, and are to be heard again


@dataclass(frozen=True)
class JobProgress:
    """How far a job is: its rows that were heard until now, and those of them that failed."""

    index: int
    rows: int
    failed: int


Report = Callable[[JobProgress], None]
