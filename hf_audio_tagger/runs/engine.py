"""The engine of all runs: lock the folder, plan, do the jobs that are left, and finish."""

import errno
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ..atomic_files import write_file
from ..errors import RunError, SettingsError
from ..executors import run_jobs
from ..executors.contract import Work
from .progress import ANY_NUMBER, FailureLimit, RunCounter, RunPlan, TooManyFailuresError, Watcher
from .run_folder import RunFolder, locked

Summary = TypeVar("Summary", covariant=True)


class Task(Protocol[Summary]):
    """What a run does. All methods are called while the folder is locked, in this order."""

    @property
    def folder(self) -> RunFolder: ...

    def plan(self) -> RunPlan:
        """Prepare the folder, and list the jobs that are left."""

    def make_work(self, plan: RunPlan) -> Work:
        """The function that does a job. It keeps what is done even if the run ends before the job does."""

    def list_failures(self, plan: RunPlan) -> str | None:
        """Write the list of failures, where the run stops because of them; the file's path."""

    def finish(self, plan: RunPlan, counter: RunCounter, watcher: Watcher) -> Summary:
        """Write what can be written only when all jobs are done, and count."""


def run_task(
    task: Task[Summary],
    num_proc: int | None,
    watcher: Watcher | None,
    failure_limit: FailureLimit = ANY_NUMBER,
) -> Summary:
    """Run a task, or resume it."""
    watcher = watcher or Watcher()
    folder = task.folder
    with disk_errors(folder), locked(folder):
        plan = task.plan()
        watcher.planned(plan)
        for text in plan.notes:
            watcher.noted(text)
        counter = RunCounter(plan, failure_limit, watcher)
        try:
            failure_limit.check(plan.failed_rows, plan.done_rows, plan.total_rows)
            work = task.make_work(plan)
            run_jobs(plan.jobs, work, counter.add, watcher.stopping, num_proc, folder.log)
        except TooManyFailuresError as error:
            listed = task.list_failures(plan)
            raise RunError(f"{error} What is done is kept, the failures are listed in {listed}.") from None
        return task.finish(plan, counter, watcher)


@contextmanager
def disk_errors(folder: RunFolder) -> Iterator[None]:
    """Turn errors of the disk into a RunError that says how to go on."""
    try:
        yield
    except OSError as error:
        if isinstance(error, SettingsError | RunError):
            raise
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        place = f": {error.filename}" if error.filename else ""
        raise RunError(
            f"{'The disk is full' if is_full else 'Reading or writing failed'} "
            f"({error.strerror or error}{place}). What is done is kept in {folder.dest}; the same command "
            "resumes the run."
        ) from error


def write_failures(path: Path, failures: Iterable[Mapping[str, Any]]) -> str | None:
    """Write a line for each, or no file where there are none."""
    lines = [json.dumps(one, ensure_ascii=False) + "\n" for one in failures]
    if not lines:
        path.unlink(missing_ok=True)
        return None
    write_file(path, "".join(lines).encode())
    return str(path)
