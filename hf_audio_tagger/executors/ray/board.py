"""What workers tell and what the driver tells them, in an actor of its own on the driver's node.

Workers join and get a rank, begin and end jobs, and report a few times a second; the driver takes what is
new. So many workers cost the driver one call, and none of them keeps it waiting. Nothing here imports Ray.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ..contract import JobProgress

MOST_DEATHS = 3  # of workers in one job
GO, SKIP, LOST = "go", "skip", "lost"  # how a job begins


@dataclass(frozen=True)
class News:
    """What has happened since the driver last asked."""

    reports: tuple[JobProgress, ...]
    errors: tuple[bytes, ...]  # pickled
    done_jobs: int
    lost_jobs: tuple[int, ...]  # in which too many workers were lost, by index
    has_workers: bool  # one has joined
    silent_seconds: float  # since any worker has told anything


class Board:
    """The state of a run on a cluster."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.ranks: dict[str, int] = {}  # by worker
        self.starts: Counter[int] = Counter()  # by job
        self.done: set[int] = set()
        self.lost: set[int] = set()
        self.reports: dict[int, JobProgress] = {}  # the latest of each job, until it is taken
        self.errors: list[bytes] = []
        self.is_stopping = False
        self.last_seconds = time.monotonic()

    # called by workers

    def join(self, worker: str) -> int:
        """The rank of a worker: that which it had, if it has been restarted."""
        self.note_sign()
        if worker not in self.ranks:
            free = sorted(set(range(self.count)) - set(self.ranks.values()))
            self.ranks[worker] = free[0] if free else len(self.ranks) % self.count
        return self.ranks[worker]

    def begin(self, job: int) -> str:
        """Whether to do a job. It may come again after its worker was lost, even if it had been done."""
        self.note_sign()
        if self.is_stopping or job in self.done or job in self.lost:
            return SKIP
        if self.starts[job] >= MOST_DEATHS:
            self.lost.add(job)
            return LOST
        self.starts[job] += 1
        return GO

    def report(self, reports: Sequence[JobProgress]) -> bool:
        """Take a worker's reports, or none as a sign of life; tells whether to stop."""
        self.note_sign()
        self.reports |= {one.index: one for one in reports if one.index not in self.done}
        return self.is_stopping

    def end(self, job: int, is_done: bool, error: bytes | None) -> None:
        """A worker has come to the end of a job, done or stopped or failed: it is not lost."""
        self.note_sign()
        self.starts[job] = 0
        if is_done:
            self.done.add(job)
        if error is not None:
            self.fail(error)

    def fail(self, error: bytes) -> None:
        """Stop the run because of an error."""
        self.errors.append(error)
        self.is_stopping = True

    def note_sign(self) -> None:
        self.last_seconds = time.monotonic()

    # called by the driver

    def take(self) -> News:
        """What is new."""
        reports, self.reports = tuple(self.reports.values()), {}
        errors, self.errors = tuple(self.errors), []
        silent = time.monotonic() - self.last_seconds
        return News(reports, errors, len(self.done), tuple(sorted(self.lost)), bool(self.ranks), silent)

    def stop(self) -> None:
        """Let the workers keep what they have, and begin no other job."""
        self.is_stopping = True
