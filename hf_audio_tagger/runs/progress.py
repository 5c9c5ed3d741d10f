"""The progress of a run: the sum of its jobs' reports, its speed, and the time that is left."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ..activity import NOTHING, STAGES, WORKING, Activity
from ..executors.contract import JobProgress

STARTING = "Loading the libraries"


@dataclass(frozen=True)
class Progress:
    """The progress of the whole run."""

    done_rows: int
    failed_rows: int
    processed_now: int  # rows of this run
    total_rows: int | None
    rows_in_work: float = 0.0  # beyond `done_rows`: the share of the next ones that is done
    activity: Activity = NOTHING  # the stage, and clips, windows and sound of this run
    working_seconds: float = 0.0  # of this run, without loading and compiling

    @property
    def rows_per_second(self) -> float:
        return divide(self.processed_now + self.rows_in_work, self.working_seconds)

    @property
    def clips_per_second(self) -> float:
        return divide(self.activity.clips, self.working_seconds)

    @property
    def times_realtime(self) -> float:
        """Seconds of sound that are scored in a second."""
        return divide(self.activity.sound_seconds, self.working_seconds)

    @property
    def seconds_left(self) -> float | None:
        """How long the other rows take if they are like those of this run; None if that is not known."""
        if self.total_rows is None or not self.rows_per_second:
            return None
        return (self.total_rows - self.done_rows - self.rows_in_work) / self.rows_per_second


def divide(amount: float, seconds: float) -> float:
    return amount / seconds if seconds > 0 else 0.0


class WorkTime:
    """The seconds in which at least one worker was processing clips."""

    def __init__(self, started: float) -> None:
        self.seconds, self.last = 0.0, started
        self.is_working: bool | None = None  # not known before the first report

    def note(self, now: float, is_working: bool, has_results: bool) -> None:
        """A report: whether clips are being processed from now on, and whether some have been."""
        if self.is_working or (self.is_working is None and has_results):
            self.seconds += max(0.0, now - self.last)
        self.last, self.is_working = now, is_working


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
        self.work_time = WorkTime(self.clock())
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
            self.work_time.note(self.clock(), self.activity.stage == WORKING, self.processed_now > 0)
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
            return Progress(
                self.done_before + self.processed_now,
                self.failed_before + self.failed_now,
                self.processed_now,
                self.total_rows,
                max(0.0, self.rows_in_work),
                self.activity,
                self.work_time.seconds,
            )


def count_down(progress: Progress, passed_seconds: float) -> float | None:
    """The time left, some time after the last report; None where that has taken longer than expected."""
    left = progress.seconds_left
    return None if left is None or left < passed_seconds else left - passed_seconds
