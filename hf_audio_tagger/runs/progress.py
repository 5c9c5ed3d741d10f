"""The progress of a run: the sum of its jobs' reports, its speed, and the time that is left."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ..activity import NOTHING, STAGES, WORKING, Activity
from ..executors.contract import JobProgress

STARTING = "Loading the libraries"
NEXT_JOB_SECONDS = 5.0  # at most from the end of a job to the first report of the next one


@dataclass(frozen=True)
class Progress:
    """The progress of the whole run."""

    done_rows: int
    failed_rows: int
    processed_now: int  # rows of this run
    total_rows: int | None
    rows_in_work: float = 0.0  # beyond `done_rows`: the share of the next ones that is done
    activity: Activity = NOTHING  # the stage, and clips, windows and sound of this run
    rows_per_second: float = 0.0  # of this run, without loading and compiling
    clips_per_second: float = 0.0
    times_realtime: float = 0.0  # seconds of sound that are scored in a second

    @property
    def seconds_left(self) -> float | None:
        """How long the other rows take if they are like those of this run; None if that is not known."""
        if self.total_rows is None or not self.rows_per_second:
            return None
        return (self.total_rows - self.done_rows - self.rows_in_work) / self.rows_per_second


@dataclass(frozen=True)
class Amount:
    """Work that is done, in several measures."""

    rows: float = 0.0
    clips: float = 0.0
    sound_seconds: float = 0.0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(
            self.rows + other.rows, self.clips + other.clips, self.sound_seconds + other.sound_seconds
        )

    def grow_from(self, before: "Amount") -> "Amount":
        """What was added; nothing of a job that counts from zero again."""
        return Amount(
            max(0.0, self.rows - before.rows),
            max(0.0, self.clips - before.clips),
            max(0.0, self.sound_seconds - before.sound_seconds),
        )


def find_amount(progress: JobProgress) -> Amount:
    activity = progress.activity
    return Amount(progress.rows + progress.rows_in_work, activity.clips, activity.sound_seconds)


@dataclass
class WorkerPace:
    """When a worker last reported, and whether it was processing clips then."""

    last_seconds: float
    has_results: bool = False
    is_working: bool = True


class Pace:
    """How fast the workers are. Times are arguments.

    A worker is timed from its first result on: what it does before, such as to load libraries, happens once.
    Its pace is multiplied by the number of workers that have a job, also of those that are still loading.
    """

    def __init__(self, started: float) -> None:
        self.started = self.last_seconds = started
        self.workers: dict[int, WorkerPace] = {}
        self.ended: dict[int, float | None] = {}  # when each worker's job ended; None: it has one
        self.most_running = 1
        self.timed, self.timed_seconds = Amount(), 0.0  # of all workers together
        self.done = Amount()

    def note(self, now: float, progress: JobProgress, before: JobProgress) -> None:
        """A worker's report, and the one before of the same job."""
        worker = self.workers.setdefault(progress.worker, WorkerPace(now))
        grown = find_amount(progress).grow_from(find_amount(before))
        if worker.has_results:
            self.timed += grown
            self.timed_seconds += now - worker.last_seconds if worker.is_working else 0.0
        worker.has_results |= grown.rows + grown.clips > 0
        worker.last_seconds, worker.is_working = now, progress.activity.stage == WORKING
        self.ended[progress.worker] = now if progress.has_ended else None
        self.most_running = max(self.most_running, self.count_running(now))
        self.done += grown
        self.last_seconds = now

    def count_running(self, now: float) -> int:
        """The workers that have a job, or may get the next one."""
        return sum(end is None or now - end < NEXT_JOB_SECONDS for end in self.ended.values())

    def read(self) -> Amount:
        """What is done in a second. Where each worker has had one result only, all of the time counts."""
        if self.timed.rows > 0 and self.timed_seconds > 0:
            factor, amount = (
                (self.count_running(self.last_seconds) or self.most_running) / self.timed_seconds,
                self.timed,
            )
        elif self.last_seconds > self.started:
            factor, amount = 1 / (self.last_seconds - self.started), self.done
        else:
            factor, amount = 0.0, self.done
        return Amount(factor * amount.rows, factor * amount.clips, factor * amount.sound_seconds)


@dataclass
class ProgressSum:
    """Sums the progress of all jobs; a restarted job counts from zero. Any thread may add to it."""

    done_before: int
    failed_before: int
    total_rows: int | None
    clock: Callable[[], float] = time.monotonic
    by_job: dict[int, JobProgress] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.processed_now = self.failed_now = 0
        self.rows_in_work = 0.0
        self.activity = Activity(STARTING)
        self.stages: dict[int, str] = {}  # of the jobs that run
        self.pace = Pace(self.clock())
        self.lock = threading.Lock()

    def add(self, progress: JobProgress) -> bool:
        """Add a report; returns whether it changed the rows."""
        with self.lock:
            before = self.by_job.get(progress.index, JobProgress(progress.index, 0, 0))
            self.by_job[progress.index] = progress
            self.processed_now += progress.rows - before.rows
            self.failed_now += progress.failed - before.failed
            self.rows_in_work += progress.rows_in_work - before.rows_in_work
            self.stages[progress.index] = progress.activity.stage
            if progress.has_ended:
                del self.stages[progress.index]
            self.activity = self.add_activity(progress.activity, before.activity)
            self.pace.note(self.clock(), progress, before)
            return (progress.rows, progress.failed) != (before.rows, before.failed)

    def add_activity(self, now: Activity, before: Activity) -> Activity:
        """What all jobs have done, and the stage of the worker that is furthest. Between jobs it stays."""
        stage = max(self.stages.values(), key=STAGES.index, default=self.activity.stage)
        return Activity(
            stage,
            self.activity.clips + now.clips - before.clips,
            self.activity.windows + now.windows - before.windows,
            self.activity.sound_seconds + now.sound_seconds - before.sound_seconds,
        )

    def read(self) -> Progress:
        with self.lock:
            pace = self.pace.read()
            return Progress(
                self.done_before + self.processed_now,
                self.failed_before + self.failed_now,
                self.processed_now,
                self.total_rows,
                max(0.0, self.rows_in_work),
                self.activity,
                pace.rows,
                pace.clips,
                pace.sound_seconds,
            )


def count_down(progress: Progress, passed_seconds: float) -> float | None:
    """The time left, some time after the last report; None where that has taken longer than expected."""
    left = progress.seconds_left
    return None if left is None or left < passed_seconds else left - passed_seconds
