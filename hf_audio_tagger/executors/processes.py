"""Run jobs in worker processes.

Each worker has its own pipe and shares no lock with the others, so a killed worker does not block them: a
new one restarts its job. The run ends when two workers have died in the same job. A worker's output goes to
a log. A worker exits when its parent has ended for any reason.
"""

import faulthandler
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess, parent_process
from pathlib import Path
from pickle import PicklingError
from typing import Any

from ..disk import describe_fullest, is_full
from ..errors import ProcessError, RunError, TaggerError, transportable
from ..process import Worker, set_worker, start_method, usable_cores
from ..text import one_line
from .contract import Job, JobProgress, Report, StoppedError, Work

MOST_DEATHS = 2  # of workers in one job
END_SECONDS = 10.0  # for an idle worker to exit
DONE, STOP = "done", "stop"


@dataclass(eq=False)
class WorkerProcess:
    """A worker's process, and its current job."""

    worker: Worker
    process: BaseProcess
    pipe: Connection
    job: Job

    def send(self, message: Job | str) -> None:
        """Send a message. If the worker has died, `read_messages` reports that."""
        with suppress(OSError):
            self.pipe.send(message)

    def join(self) -> None:
        """Wait for the process to end; kill it if a library's thread keeps it alive."""
        self.process.join(END_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.pipe.close()


def run_in_processes(
    jobs: Sequence[Job],
    work: Work,
    on_progress: Report,
    on_stopping: Callable[[], None],
    count: int,
    log: Path,
) -> None:
    """Run jobs in `count` processes, or fewer if there are fewer jobs."""
    waiting = deque(jobs)
    deaths: Counter[int] = Counter()  # by job
    workers: dict[int, WorkerProcess] = {}  # by rank
    cores = max(1, usable_cores() // count)
    try:
        for rank in range(min(count, len(jobs))):
            workers[rank] = start(Worker(rank, count, cores), waiting.popleft(), work, log)
        while workers:
            for rank, message in read_messages(workers):
                one = workers[rank]
                if isinstance(message, JobProgress):
                    on_progress(message)
                elif message == DONE and waiting:
                    one.job = waiting.popleft()
                    one.send(one.job)
                elif message == DONE:
                    one.send(STOP)
                    workers.pop(rank).join()
                else:
                    workers.pop(rank).join()
                    if isinstance(message, BaseException):
                        raise message
                    deaths[one.job.index] += 1
                    if deaths[one.job.index] >= MOST_DEATHS:
                        raise RunError(describe_death(one, log))
                    workers[rank] = start(one.worker, one.job, work, log)
    except BaseException as error:
        if workers and isinstance(error, KeyboardInterrupt):
            on_stopping()
        stop(workers, on_progress)
        raise
    finally:
        for one in workers.values():
            one.process.kill()
        for one in workers.values():
            one.process.join()


def start(worker: Worker, job: Job, work: Work, log: Path) -> WorkerProcess:
    """Start a worker process with its first job."""
    context: Any = multiprocessing.get_context(start_method())
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, work, worker, log), daemon=True)
    try:
        process.start()
    except (PicklingError, AttributeError, TypeError) as error:  # where processes are spawned
        raise ProcessError(
            f"The source or the model cannot be sent to a worker ({one_line(error)}). "
            "Leave out num_proc=, or define its classes and functions in a module."
        ) from error
    theirs.close()
    started = WorkerProcess(worker, process, ours, job)
    started.send(job)
    return started


def read_messages(workers: dict[int, WorkerProcess]) -> list[tuple[int, Any]]:
    """The next message of each worker that has one: JobProgress, DONE, an exception; None if it has died.

    Messages that a worker sent before it died are read first.
    """
    ready = set(wait([source for one in workers.values() for source in (one.pipe, one.process.sentinel)]))
    found: list[tuple[int, Any]] = []
    for rank, one in workers.items():
        if one.pipe in ready or one.process.sentinel in ready:
            try:
                found.append((rank, one.pipe.recv() if one.pipe.poll() else None))
            except (EOFError, OSError):
                found.append((rank, None))
    return found


def stop(workers: dict[int, WorkerProcess], on_progress: Report) -> None:
    """Let the workers finish and keep their current batch. A second Ctrl-C stops them at once."""
    for one in workers.values():
        one.send(STOP)
    while workers:
        for rank, message in read_messages(workers):
            if isinstance(message, JobProgress):
                with suppress(Exception):  # the first error is the one to raise
                    on_progress(message)
            else:
                workers.pop(rank).join()


def describe_death(lost: WorkerProcess, log: Path) -> str:
    code = lost.process.exitcode or 0
    how = f"gone with exit code {code}"
    if code < 0:
        how = f"killed by signal {-code} ({signal.Signals(-code).name})"
    if -code == signal.SIGKILL:
        how += ". The system may be out of memory: try a smaller num_proc= or batch_size="
    where = f"Their output is in {log}."
    if not log.exists() or not log.stat().st_size:
        where = "They printed nothing."
    if is_full(log):
        where = f"There was no room for what they print: {describe_fullest([log])}. Free some space."
    return f"Two workers were lost in {lost.job.description}, the last one {how}. {where}"


def serve(pipe: Connection, work: Work, worker: Worker, log: Path) -> None:
    """Run jobs from the pipe until STOP."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ.setdefault("OMP_NUM_THREADS", str(worker.cores))
    set_worker(worker)
    redirect_output(log)
    threading.Thread(target=exit_with_parent, daemon=True).start()
    with pipe:  # closed first: the parent sees the end even if a thread keeps the process alive
        while isinstance(job := pipe.recv(), Job):
            try:
                work(job, worker, pipe.send, pipe.poll)  # during a job the only message is STOP
            except StoppedError:
                break
            except Exception as error:
                where = f"The traceback is in {log}."
                try:
                    traceback.print_exc()
                except OSError:
                    where = f"The traceback could not be written to {log}."
                if not isinstance(error, TaggerError | OSError):
                    error = RunError(f"{type(error).__name__}: {one_line(error, 500)} {where}")
                pipe.send(transportable(error))
                return
            pipe.send(DONE)


def redirect_output(log: Path) -> None:
    """Append what this process and its libraries print to a file, so that it does not break progress bars.

    Where the file cannot be opened, the output is lost: the work will meet the reason, and report it.
    """
    try:
        file = open(log, "ab")  # noqa: SIM115
    except OSError:
        file = open(os.devnull, "ab")  # noqa: SIM115
    with file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    faulthandler.enable(sys.stderr)


def exit_with_parent() -> None:
    """Exit when the parent has ended: a worker must not write while the next run works."""
    parent = parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
