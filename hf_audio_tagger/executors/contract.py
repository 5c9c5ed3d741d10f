"""The interface of executors: jobs, progress reports, and the executor itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..process import Worker


class StoppedError(Exception):
    """Raised by a job after a request to stop, when its results so far are saved."""


@dataclass(frozen=True)
class Job:
    """A unit of work. A subclass adds the fields that its work function needs."""

    index: int
    description: str  # for errors


@dataclass(frozen=True)
class JobProgress:
    """A job's progress: the rows processed so far, and how many of them failed."""

    index: int
    rows: int
    failed: int


Report = Callable[[JobProgress], None]
IsStopped = Callable[[], bool]
Work = Callable[[Job, Worker, Report, IsStopped], None]  # picklable; raises a StoppedError if it is stopped

# Runs jobs in order on a number of workers, which log to a path, and returns when all jobs are done; an
# exception stops the others. The first callback gets the work's reports, in this process. The second one is
# called before workers are stopped, which may take a while. The job of a lost worker may be restarted.
Executor = Callable[[Sequence[Job], Work, Report, Callable[[], None], int, Path], None]
