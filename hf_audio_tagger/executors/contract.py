"""What an executor runs, what a worker reports, and what an executor must do."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..process import Worker


class StoppedError(Exception):
    """Raised by a job that was asked to stop, when it has kept what is done."""


@dataclass(frozen=True)
class Job:
    """A part of the work. What it is made of is up to a subclass, and to the function that does it."""

    index: int
    description: str  # for errors


@dataclass(frozen=True)
class JobProgress:
    """How far a job is: the rows that it has processed so far, and how many of them failed."""

    index: int
    rows: int
    failed: int


Report = Callable[[JobProgress], None]
IsStopped = Callable[[], bool]
Work = Callable[[Job, Worker, Report, IsStopped], None]  # picklable; raises a StoppedError if it is stopped

# Starts jobs in order, by a number of workers with a path for their log, and returns when all are done; an
# exception stops the others. The first function is called in this process with what the work reports, the
# second before workers are asked to stop, which may take a while. The job of a lost worker may be done again
# from its beginning.
Executor = Callable[[Sequence[Job], Work, Report, Callable[[], None], int, Path], None]
