"""Processes that take jobs until there are none, and what happens when one of them dies.

Each worker has a pipe of its own and shares no lock with the others, so one that is killed holds up
nobody: a fresh one takes its job again. A job that has cost two workers ends the run. The workers write
what libraries print to a log, and end when their parent is gone, however it went.
"""

import faulthandler
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess, parent_process
from pathlib import Path
from pickle import PicklingError
from typing import Any

from ..errors import ProcessError, RunError, TaggerError, transportable
from ..process import start_method
from .job import Job, JobProgress, Report, StoppedError

MOST_DEATHS = 2  # of workers over one job
END_SECONDS = 10.0  # for a worker that has nothing left to do
STOP = "stop"


@dataclass(frozen=True, eq=False)
class Worker:
    """A process at work, and the job that it has."""

    process: BaseProcess
    pipe: Connection
    rank: int
    job: Job


OnHeard = Callable[[JobProgress], None]
Work = Callable[[Job, int | None, Report, Callable[[], bool]], None]  # goes to the workers as it is


def default_num_proc(device: str | None) -> int:
    """One process for each GPU that torch sees, or one."""
    if device is not None:
        return 1
    import torch

    return max(1, torch.cuda.device_count())


def run_here(jobs: Sequence[Job], work: Work, on_heard: OnHeard) -> None:
    """Jobs one after the other in this process."""
    for job in jobs:
        work(job, None, on_heard, lambda: False)


def run_in_processes(
    jobs: Sequence[Job],
    work: Work,
    count: int,
    log: Path,
    on_heard: OnHeard,
    on_stopping: Callable[[], None],
) -> None:
    """Jobs in `count` processes. Whatever ends this early lets the workers keep what they have heard."""
    waiting = deque(jobs)
    deaths: dict[int, int] = {}
    workers: dict[int, Worker] = {}  # by rank
    threads = max(1, usable_cores() // count)
    try:
        for rank in range(min(count, len(jobs))):
            workers[rank] = start(waiting.popleft(), work, rank, threads, log)
        while workers:
            for worker, message in messages(workers):
                if isinstance(message, JobProgress):
                    on_heard(message)
                elif isinstance(message, BaseException):
                    del workers[worker.rank]
                    end(worker)
                    raise message
                elif message == "done" and waiting:
                    workers[worker.rank] = give(worker, waiting.popleft())
                elif message == "done":
                    dismiss(workers.pop(worker.rank))
                else:
                    end(worker)
                    del workers[worker.rank]
                    job = worker.job
                    deaths[job.index] = deaths.get(job.index, 0) + 1
                    if deaths[job.index] >= MOST_DEATHS:
                        raise RunError(describe_death(worker, log))
                    workers[worker.rank] = start(job, work, worker.rank, threads, log)
    except BaseException:
        if workers:
            on_stopping()
        wind_down(workers, on_heard)
        raise
    finally:
        for worker in workers.values():
            worker.process.kill()
        for worker in workers.values():
            worker.process.join()


def usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def start(job: Job, work: Work, rank: int, threads: int, log: Path) -> Worker:
    """A process with its first job."""
    context: Any = multiprocessing.get_context(start_method())
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, work, rank, threads, log), daemon=True)
    try:
        process.start()
    except (PicklingError, AttributeError, TypeError) as error:  # in a process that starts afresh
        raise ProcessError(
            f"The source or the model cannot be handed to a worker ({' '.join(str(error).split())[:300]}). "
            "Leave out num_proc=, or define what the source is made of in a module."
        ) from error
    theirs.close()
    return give(Worker(process, ours, rank, job), job)


def give(worker: Worker, job: Job) -> Worker:
    """Hand a job over. A worker that is just dying is noticed where messages are read."""
    with suppress(OSError):
        worker.pipe.send(job)
    return Worker(worker.process, worker.pipe, worker.rank, job)


def dismiss(worker: Worker) -> None:
    with suppress(OSError):
        worker.pipe.send(None)
    end(worker)


def end(worker: Worker) -> None:
    """Wait for a worker's end, and not for a thread of a library that it cannot end."""
    worker.process.join(END_SECONDS)
    if worker.process.is_alive():
        worker.process.kill()
        worker.process.join()
    worker.pipe.close()


def messages(workers: dict[int, Worker]) -> list[tuple[Worker, Any]]:
    """The next word of each worker that has one: JobProgress, "done", an exception; None if it has died.

    A worker's last words are read before its death is.
    """
    ready = set(
        wait([*[one.pipe for one in workers.values()], *[one.process.sentinel for one in workers.values()]])
    )
    found: list[tuple[Worker, Any]] = []
    for worker in list(workers.values()):
        if worker.pipe in ready or worker.process.sentinel in ready:
            try:
                found.append((worker, worker.pipe.recv() if worker.pipe.poll() else None))
            except (EOFError, OSError):
                found.append((worker, None))
    return found


def wind_down(workers: dict[int, Worker], on_heard: OnHeard) -> None:
    """Let the workers finish the batch at hand and keep it. Ctrl-C again ends this at once."""
    for worker in workers.values():
        with suppress(OSError):
            worker.pipe.send(STOP)
    while workers:
        for worker, message in messages(workers):
            if isinstance(message, JobProgress):
                with suppress(Exception):  # the first reason to stop is the one to tell
                    on_heard(message)
            else:
                end(workers.pop(worker.rank))


def describe_death(worker: Worker, log: Path) -> str:
    code = worker.process.exitcode or 0
    how = (
        f"killed by signal {-code} ({signal.Signals(-code).name})"
        if code < 0
        else f"gone with exit code {code}"
    )
    reason = (
        " The system may have run out of memory: try a smaller --num-proc or --batch-size."
        if -code == signal.SIGKILL
        else ""
    )
    return (
        f"Two workers were lost over shard {worker.job.index} (rows from {worker.job.start:,} on), "
        f"the last one {how}.{reason} What they printed is in {log}."
    )


# In the worker


def serve(pipe: Connection, work: Work, rank: int, threads: int, log: Path) -> None:
    """A worker's life: jobs as they come, until None or STOP."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    print_to(log)
    threading.Thread(target=end_with_parent, daemon=True).start()
    with pipe:  # closed at the end, so that the parent sees the end even where a thread holds it up
        while isinstance(job := pipe.recv(), Job):
            try:
                work(job, rank, pipe.send, pipe.poll)  # a word that comes during a job can only be STOP
            except StoppedError:
                break
            except Exception as error:
                with suppress(OSError):  # the log may lie on the disk that is full; the parent must know why
                    traceback.print_exc()
                pipe.send(explained(error, log))
                return
            pipe.send("done")


def print_to(log: Path) -> None:
    """What this process and its libraries print goes to a file: a bar on the terminal stays whole."""
    with open(log, "ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    faulthandler.enable(sys.stderr)


def end_with_parent() -> None:
    """A worker without a parent would write on while the next run begins."""
    parent = parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def explained(error: Exception, log: Path) -> Exception:
    """An error as the parent can tell it: ours as it is, others with their kind and the log's place."""
    if isinstance(error, TaggerError | OSError):
        return transportable(error)
    text = " ".join(str(error).split())[:500]
    return RunError(f"{type(error).__name__}: {text} The traceback is in {log}.")
