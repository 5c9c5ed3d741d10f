"""What workers tell and what the driver tells them, in an actor of its own on the driver's node.

Workers join and get a rank, take jobs and end them, and report a few times a second; the driver takes what is
new. So many workers cost the driver one call, and none of them keeps it waiting. Nothing here imports Ray.
"""

import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..contract import JobProgress

MOST_DEATHS = 3  # of workers in one job


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
    """The state of a run on a cluster. `jobs` are pickled, by their index."""

    def __init__(self, count: int, jobs: Mapping[int, bytes]) -> None:
        self.count, self.jobs = count, jobs
        self.waiting = deque(jobs)
        self.in_work: dict[int, tuple[str, int]] = {}  # of each task of Ray its last attempt, and its job
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

    def begin(self, task: int, attempt: str) -> bytes | None:
        """The first job of a task. A task that begins again has lost its worker, in the job that it had."""
        _, job = self.in_work.pop(task, (None, None))
        if job is not None and self.starts[job] < MOST_DEATHS:
            self.waiting.appendleft(job)
        elif job is not None:
            self.lost.add(job)
        return self.take_job(task, attempt)

    def take_job(self, task: int, attempt: str) -> bytes | None:
        """The next job; None if none is left."""
        self.note_sign()
        if self.is_stopping or not self.waiting:
            return None
        job = self.waiting.popleft()
        self.in_work[task] = attempt, job
        self.starts[job] += 1
        return self.jobs[job]

    def report(self, reports: Sequence[JobProgress]) -> bool:
        """Take a worker's reports, or none as a sign of life; tells whether to stop."""
        self.note_sign()
        self.reports |= {one.index: one for one in reports if one.index not in self.done}
        return self.is_stopping

    def end(
        self,
        task: int,
        attempt: str,
        job: int,
        reports: Sequence[JobProgress],
        is_done: bool,
        error: bytes | None,
    ) -> bytes | None:
        """A task's job has come to its end, done or stopped or failed; returns the task's next job."""
        self.report(reports)
        if is_done:
            self.done.add(job)
        if error is not None:
            self.fail(error)
        if self.in_work.get(task) != (attempt, job):
            return None  # this worker was taken for lost, and another does its task
        del self.in_work[task]
        if is_done or self.is_stopping:
            return self.take_job(task, attempt)
        self.waiting.appendleft(job)  # this worker has missed an answer: others go on
        self.starts[job] -= 1
        return None

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
