"""What an executor runs, what a worker reports, and what an executor must do."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

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


class Executor(Protocol):
    """Does jobs. A job whose worker is lost may be done again from its beginning."""

    def run(
        self, jobs: Sequence[Job], work: Work, on_progress: Report, on_stopping: Callable[[], None]
    ) -> None:
        """Start the jobs in order and return when all are done; an exception stops the others.

        `on_progress` is called in this process with what `work` reports, `on_stopping` before workers are
        asked to stop, which may take a while.
        """
