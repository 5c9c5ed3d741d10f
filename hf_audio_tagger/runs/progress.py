"""What a run has to do, how far it is, and who is told."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..executors.contract import Job, JobProgress
from .failure_limit import FailureLimit
from .record import Record
from .run_folder import RunFolder


@dataclass(frozen=True)
class RunPlan:
    """What is left to do, and what is done."""

    folder: RunFolder
    record: Record
    jobs: Sequence[Job]
    total_rows: int | None  # None: a stream of unknown length
    done_rows: int
    failed_rows: int = 0  # of those that are done
    kept_rows: int = 0  # of those that are done: they came with their tags
    notes: Sequence[str] = ()  # for the user, a line each


@dataclass(frozen=True)
class Progress:
    """How far the whole run is."""

    done_rows: int
    failed_rows: int
    processed_now: int
    total_rows: int | None
    rows_per_second: float  # of this run


class Watcher:
    """Is told what a run does. Subclass it to show that; this one is silent."""

    def planned(self, plan: RunPlan) -> None: ...
    def noted(self, text: str) -> None: ...
    def progressed(self, progress: Progress) -> None: ...
    def stopping(self) -> None: ...
    def finishing(self, what: str) -> None: ...


@dataclass
class RunCounter:
    """Adds up what the jobs report, in the same time for any number of jobs.

    A job that is started again counts from zero again.
    """

    plan: RunPlan
    failure_limit: FailureLimit
    watcher: Watcher
    by_job: dict[int, JobProgress] = field(default_factory=dict)
    processed_now: int = 0
    failed_now: int = 0
    first: tuple[float, int] | None = None  # when the first batch was done, and its rows
    last_seconds: float = 0.0
    started: float = field(default_factory=time.monotonic)

    def add(self, progress: JobProgress) -> None:
        before = self.by_job.get(progress.index, JobProgress(progress.index, 0, 0))
        self.by_job[progress.index] = progress
        self.processed_now += progress.rows - before.rows
        self.failed_now += progress.failed - before.failed
        self.last_seconds = time.monotonic()
        self.first = self.first or (self.last_seconds, self.processed_now)
        failed = self.plan.failed_rows + self.failed_now
        done = self.plan.done_rows + self.processed_now
        total = self.plan.total_rows
        self.watcher.progressed(Progress(done, failed, self.processed_now, total, self.rate))
        self.failure_limit.check(failed, done, total)

    @property
    def rate(self) -> float:
        """Rows a second; without the first batch, which waits for the model to load, if there are others."""
        if self.first is None:
            return 0.0
        seconds, rows = self.last_seconds - self.first[0], self.processed_now - self.first[1]
        if rows <= 0 or seconds <= 0:
            seconds, rows = self.last_seconds - self.started, self.processed_now
        return rows / seconds if seconds > 0 else 0.0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started
