"""The interface of executors: jobs, progress reports, and the executor itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..activity import NOTHING, Activity
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
    """A job's progress: the rows processed so far, how many of them failed, and what is being done."""

    index: int
    rows: int
    failed: int
    rows_in_work: float = 0.0  # beyond `rows`: the share of the next ones that is done
    activity: Activity = NOTHING
    has_ended: bool = False
    worker: int = 0  # its rank


Report = Callable[[JobProgress], None]
IsStopped = Callable[[], bool]
Work = Callable[[Job, Worker, Report, IsStopped], None]  # picklable; raises a StoppedError if it is stopped

# Runs jobs in order on a number of workers, which log to a path, and returns when all jobs are done; an
# exception stops the others. The first callback gets the work's reports, in this process; between two reports
# of rows, where only `activity` has changed, they may come from another thread. The second callback is called
# after Ctrl-C, before workers are stopped, which may take a while. The job of a lost worker may be restarted.
Executor = Callable[[Sequence[Job], Work, Report, Callable[[], None], int, Path], None]

# What is wrong on the machine where it is called, a sentence each; picklable.
Probe = Callable[[], Sequence[str]]


@dataclass(frozen=True)
class Workers:
    """Where jobs run.

    `check` raises an error if a machine cannot do the jobs; it is called before the first one, with a probe
    that is called on each machine but this one.
    """

    count: int | None  # of worker processes; None: this process alone
    execute: Executor
    check: Callable[[Probe], None] = lambda probe: None
