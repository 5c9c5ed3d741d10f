"""What a run has to do, how far it is, who shows that, and how many rows may fail before it stops."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..checks import invalid
from ..errors import RunError
from ..executors.contract import Job, JobProgress
from .record import Record
from .run_folder import RunFolder

SAMPLE_ROWS = 100  # a share of failures is checked from so many rows on


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
    """Gets what happens in a run. Subclass it to show that; this one shows nothing."""

    def planned(self, plan: RunPlan) -> None: ...
    def noted(self, text: str) -> None: ...
    def progressed(self, progress: Progress) -> None: ...
    def stopping(self) -> None: ...
    def finishing(self, what: str) -> None: ...


class TooManyFailuresError(RunError):
    """More rows failed than were allowed."""


@dataclass(frozen=True)
class FailureLimit:
    """A number of rows, a share of them, or neither."""

    rows: int | None = None
    share: float | None = None

    def check(self, failed: int, done: int, total: int | None) -> None:
        if self.rows is not None and failed > self.rows:
            raise TooManyFailuresError(
                f"Stopped: {failed:,} rows failed, more than the {self.rows:,} allowed."
            )
        is_sample = done >= min(SAMPLE_ROWS, total or SAMPLE_ROWS)
        if self.share is not None and is_sample and failed > self.share * done:
            raise TooManyFailuresError(
                f"Stopped: {failed:,} of {done:,} rows failed; {self.share:.3%} are allowed."
            )


ANY_NUMBER = FailureLimit()


def parse_failure_limit(value: int | str | None) -> FailureLimit:
    """Read `max_failures`.

    >>> parse_failure_limit("5%")
    FailureLimit(rows=None, share=0.05)
    """
    if value is None:
        return ANY_NUMBER
    text = str(value).strip()
    try:
        if text.endswith("%"):
            share = float(text[:-1]) / 100
            if 0 <= share <= 1:
                return FailureLimit(share=share)
        elif int(text) >= 0:
            return FailureLimit(rows=int(text))
    except ValueError:
        pass
    raise invalid("max_failures", value, "a number of rows or a share such as '5%'")


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
