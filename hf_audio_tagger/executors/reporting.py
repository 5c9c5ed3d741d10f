"""A job's reports, a few a second: rows, and between them what the process is doing."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from ..activity import Meter, measured_by
from .contract import JobProgress, Report

REPORT_SECONDS = 0.25  # between two reports of windows; rows and stages are reported at once


class JobReporter:
    """Reports the progress of one job; windows from the model's threads, which no error may reach."""

    def __init__(
        self, index: int, worker: int, report: Report, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.index, self.worker, self.report, self.clock = index, worker, report, clock
        self.meter = Meter(self.note_change)
        self.lock = threading.RLock()  # one report at a time
        self.rows = self.failed = 0
        self.first_row, self.batch_rows = 0, 0  # of the rows in hand
        self.last_seconds = clock()

    def expect_rows(self, count: int) -> None:
        """The rows in hand: the share of their clips that is done counts as so many rows."""
        self.meter.expect_clips(0)
        self.first_row, self.batch_rows = self.rows, count

    def finish_rows(self, count: int, failed: int) -> None:
        """Report rows that are done."""
        with self.lock:
            self.rows, self.failed = self.rows + count, self.failed + failed
            self.send()

    def note_change(self, is_new_stage: bool) -> None:
        with self.lock, suppress(Exception):
            if is_new_stage or self.clock() - self.last_seconds >= REPORT_SECONDS:
                self.send()

    def send(self, has_ended: bool = False) -> None:
        self.last_seconds = self.clock()
        rows_in_work = self.batch_rows * self.meter.read_share() - (self.rows - self.first_row)
        activity = self.meter.read()
        rows = (self.rows, self.failed, max(0.0, rows_in_work))
        self.report(JobProgress(self.index, *rows, activity, has_ended, self.worker))


@contextmanager
def reporting(index: int, worker: int, report: Report) -> Iterator[JobReporter]:
    """Report what this process, a worker of some rank, does for a job."""
    reporter = JobReporter(index, worker, report)
    with measured_by(reporter.meter):
        yield reporter
    reporter.send(has_ended=True)
