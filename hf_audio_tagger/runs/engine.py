"""The engine of all runs: lock the folder, plan, run the remaining jobs, and finish."""

import errno
import json
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ..checks import invalid
from ..disk import describe_fullest
from ..errors import RunError
from ..executors.contract import Job, JobProgress, Work, Workers
from ..stores import Place
from .files import write_file
from .locks import Check, locked
from .node_probe import NodeProbe, marked
from .progress import Progress, ProgressSum
from .record import Record
from .run_folder import RunFolder

Summary = TypeVar("Summary", covariant=True)
SAMPLE_ROWS = 100  # processed before a share of failures is checked


@dataclass(frozen=True)
class RunPlan:
    """The remaining jobs, and what is already done."""

    folder: RunFolder
    record: Record
    jobs: Sequence[Job]
    work: Work  # runs a job; saves its results so far even if the run is stopped
    total_rows: int | None  # None: a stream of unknown length
    done_rows: int
    failed_rows: int = 0  # of those that are done
    kept_rows: int = 0  # of those that are done: their existing tags were kept
    notes: Sequence[str] = ()  # for the user, a line each
    probe: NodeProbe | None = None  # of the machines of a cluster
    num_proc: int | None = None  # how many workers it is given to


class Watcher:
    """Callbacks for the events of a run. Subclass it to show them; by default nothing is shown.

    `progressed` is called when rows are done, and `moved` a few times a second in between, when windows are
    scored or a stage begins: from any thread, and its errors are dropped.
    """

    def planned(self, plan: RunPlan) -> None: ...
    def noted(self, text: str) -> None: ...
    def progressed(self, progress: Progress) -> None: ...
    def moved(self, progress: Progress) -> None: ...
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


def parse_failure_limit(value: int | str | None) -> FailureLimit:
    """Read `max_failures`.

    >>> parse_failure_limit("5%")
    FailureLimit(rows=None, share=0.05)
    """
    if value is None:
        return FailureLimit()
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


class RunCounter:
    """Passes the progress of all jobs on to the watcher, and checks how many rows failed."""

    def __init__(
        self, plan: RunPlan, failure_limit: FailureLimit, watcher: Watcher, check_lock: Check
    ) -> None:
        self.failure_limit, self.watcher, self.check_lock = failure_limit, watcher, check_lock
        self.sum = ProgressSum(plan.done_rows, plan.failed_rows, plan.total_rows)
        self.started = time.monotonic()

    def add(self, progress: JobProgress) -> None:
        if not self.sum.add(progress):
            with suppress(Exception):
                self.watcher.moved(self.progress)
            return
        self.check_lock()
        now = self.progress
        self.watcher.progressed(now)
        self.failure_limit.check(now.failed_rows, now.done_rows, now.total_rows)

    @property
    def progress(self) -> Progress:
        return self.sum.read()

    @property
    def processed_now(self) -> int:
        return self.progress.processed_now

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started


class Task(Protocol[Summary]):
    """A kind of run. Its methods are called in this order while the folder is locked."""

    folder: RunFolder

    def plan(self) -> RunPlan:
        """Prepare the folder, and find the remaining jobs."""

    def list_failures(self, plan: RunPlan, counter: RunCounter) -> str | None:
        """Write the list of failures when they stop the run; returns the file's path."""

    def finish(self, plan: RunPlan, counter: RunCounter, watcher: Watcher) -> Summary:
        """Write the final files after all jobs are done, and summarize the run."""


def run_task(
    task: Task[Summary],
    workers: Workers,
    watcher: Watcher | None,
    max_failures: int | str | None = None,
) -> Summary:
    """Run a task, or resume it."""
    failure_limit = parse_failure_limit(max_failures)
    watcher = watcher or Watcher()
    folder = task.folder
    with disk_errors(folder) as beginning, locked(folder) as check_lock:
        plan = replace(task.plan(), num_proc=workers.count)
        beginning.is_over = True
        watcher.planned(plan)
        for text in plan.notes:
            watcher.noted(text)
        counter = RunCounter(plan, failure_limit, watcher, check_lock)
        try:
            failure_limit.check(plan.failed_rows, plan.done_rows, plan.total_rows)
            with marked(plan.probe) as probe:
                if probe is not None and plan.jobs:
                    workers.check(probe)
                count = workers.count or 1
                workers.execute(plan.jobs, plan.work, counter.add, watcher.stopping, count, folder.log)
        except TooManyFailuresError as error:
            listed = task.list_failures(plan, counter)
            raise RunError(f"{error} What is done is kept, the failures are listed in {listed}.") from None
        check_lock()
        return task.finish(plan, counter, watcher)


@dataclass
class Beginning:
    """Whether a run is planned, so that there may be results to keep."""

    is_over: bool = False


@contextmanager
def disk_errors(folder: RunFolder) -> Iterator[Beginning]:
    """Turn disk errors into a RunError that explains how to resume."""
    beginning = Beginning()
    try:
        yield beginning
    except OSError as error:
        place = f": {error.filename}" if error.filename else ""
        what = f"Reading or writing failed ({error.strerror or error}{place})."
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            used = [path for path in (folder.state, folder.file or folder.shards) if isinstance(path, Path)]
            places: list[str | Path] = [*used, tempfile.gettempdir()]
            disk = describe_fullest([error.filename] if error.filename else places)
            what = f"The disk is full ({error.strerror or error}): {disk}."
        after = f"What is done is kept in {folder.dest}; the same command resumes the run."
        raise RunError(f"{what} {after if beginning.is_over else 'The run has not begun.'}") from error


def write_failures(path: Place, failures: Iterable[Mapping[str, Any]]) -> str | None:
    """Write a line for each failure, or remove the file if there are none."""
    lines = [json.dumps(one, ensure_ascii=False) + "\n" for one in failures]
    if not lines:
        path.unlink(missing_ok=True)
        return None
    write_file(path, "".join(lines).encode())
    return str(path)
