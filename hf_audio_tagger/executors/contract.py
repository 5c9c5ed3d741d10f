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
Work = Callable[[Job, Worker, Report, IsStopped], None]  # picklable: workers may be other processes


class Executor(Protocol):
    """Does jobs. A job whose worker is lost may be done again from its beginning."""

    def run(
        self, jobs: Sequence[Job], work: Work, on_progress: Report, on_stopping: Callable[[], None]
    ) -> None:
        """Return when all jobs are done. An exception of a job or of `on_progress` stops the others.

        Args:
            jobs: in the order in which they are started.
            work: called in a worker with the job, the worker, and functions to report progress and to ask
                whether to stop, which it answers by raising a StoppedError.
            on_progress: called in this process with what `work` reports.
            on_stopping: called before jobs at work are stopped, which may take a while.
        """
