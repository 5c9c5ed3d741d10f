"""Child processes with a watchdog: one that crashes, hangs or grows is told, and the next job goes on.

Children are forked from a parent that has imported what they need and computed nothing, so that one is
ready in a fraction of a second.
"""

import ctypes
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from hf_audio_tagger.executors.processes import redirect_output

CHECK_SECONDS = 0.25  # between two looks at the memory of children at work
START_SECONDS = 120.0  # imports and a model on a busy machine
LOG_LINES_SHOWN = 8
PR_SET_PDEATHSIG = 1  # of Linux: the signal that a process gets when its parent has ended

Function = Callable[[Any], Any]


@dataclass(frozen=True)
class JobResult:
    """How a job ended: it "answered", "raised", its process "died", or was killed as it "hung" or "grew"."""

    how: str
    value: Any  # the answer, or why in words
    grown_mb: float = 0.0  # of the process, since it was ready: its memory's peak

    @property
    def is_answer(self) -> bool:
        return self.how == "answered"


@dataclass(frozen=True)
class Limits:
    """What a job may take. A process that takes more is killed."""

    seconds: float
    grown_mb: float


class Worker:
    """A process that does jobs one after the other, and is started afresh when one has ended it."""

    def __init__(self, function: Function, log: Path, prepare: Callable[[], object] | None = None) -> None:
        self.function, self.log, self.prepare = function, log, prepare
        self.process: Any = None
        self.job: Any = None
        self.is_busy = False
        self.most_grown_mb = 0.0  # of all processes that did its jobs

    def start(self) -> None:
        """Fork, and wait until it is ready for jobs."""
        context = multiprocessing.get_context("fork")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(
            target=serve, args=(theirs, self.pipe, self.function, self.prepare, self.log)
        )
        self.process.start()
        theirs.close()
        if not self.pipe.poll(START_SECONDS):
            self.kill()
            raise RuntimeError(f"A child was not ready after {START_SECONDS:g} s; see {self.log}.")
        try:
            self.ready_mb: float = self.pipe.recv()
        except EOFError:
            self.kill()
            raise RuntimeError(f"A child could not begin: {last_lines(self.log)}") from None

    def give(self, job: Any, limits: Limits) -> None:
        if self.process is None:
            self.start()
        self.job, self.limits, self.is_busy = job, limits, True
        self.deadline = time.monotonic() + limits.seconds
        with suppress(OSError):  # one that is just dying is noticed below
            self.pipe.send(job)

    def poll(self) -> JobResult | None:
        """How the job ended; None while it runs."""
        grown_mb = max(0.0, peak_mb(self.process.pid) - self.ready_mb)
        self.most_grown_mb = max(self.most_grown_mb, grown_mb)
        if self.pipe.poll():
            try:
                how, value = self.pipe.recv()
            except (EOFError, OSError):
                return self.lost("died", grown_mb)
            if grown_mb > self.limits.grown_mb:
                return self.lost("grew", grown_mb)
            self.is_busy = False
            return JobResult(how, value, grown_mb)
        if grown_mb > self.limits.grown_mb:
            return self.lost("grew", grown_mb)
        if time.monotonic() > self.deadline:
            return self.lost("hung", grown_mb)
        return None

    def lost(self, how: str, grown_mb: float) -> JobResult:
        """Say what became of a process that does no more jobs, and remove it."""
        if how == "died":
            self.process.join(CHECK_SECONDS)
        code = self.process.exitcode
        self.kill()
        self.is_busy = False
        words = {
            "died": f"the process ended {how_it_ended(code)}: {last_lines(self.log)}",
            "hung": f"no answer after {self.limits.seconds:g} s",
            "grew": f"its memory grew by {grown_mb:.0f} MB; {self.limits.grown_mb:g} are allowed",
        }
        return JobResult(how, words[how], grown_mb)

    def kill(self) -> None:
        if self.process is not None:
            kill_group(self.process.pid)
            self.process.join()
            self.pipe.close()
            self.process = None

    def close(self) -> None:
        """End it, in peace where it is at no work."""
        if self.process is not None and not self.is_busy:
            with suppress(OSError):
                self.pipe.send(None)
            self.process.join(CHECK_SECONDS)
        self.kill()


def ask_all(
    workers: Sequence[Worker], jobs: Iterable[Any], limits: Limits
) -> Iterator[tuple[Any, JobResult]]:
    """Jobs done by workers side by side, each with its ending, as they end."""
    waiting = iter(jobs)
    try:
        while True:
            for worker in workers:
                if not worker.is_busy and (job := next(waiting, None)) is not None:
                    worker.give(job, limits)
            busy = [worker for worker in workers if worker.is_busy]
            if not busy:
                return
            wait([worker.pipe for worker in busy], CHECK_SECONDS)
            for worker in busy:
                if (result := worker.poll()) is not None:
                    yield worker.job, result
    finally:
        for worker in workers:
            worker.close()


def run_alone(function: Function, job: Any, limits: Limits, log: Path) -> JobResult:
    """One job in a process of its own."""
    return next(result for _, result in ask_all([Worker(function, log)], [job], limits))


def how_it_ended(code: int | None) -> str:
    """
    >>> how_it_ended(-11)
    'by SIGSEGV'
    """
    if code is not None and code < 0:
        return f"by {signal.Signals(-code).name}"
    return "without an exit code" if code is None else f"with exit code {code}"


def last_lines(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return " / ".join(lines[-LOG_LINES_SHOWN:]) or "nothing was printed"


def kill_group(pid: int) -> None:
    """A process and its children, which it was started to lead."""
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def peak_mb(pid: int | str = "self") -> float:
    """The most memory that a process has had since `forget_peak`; 0 for one that is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    lines = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(lines[0].split()[1]) / 1024 if lines else 0.0


def forget_peak() -> None:
    """Linux counts the peak from now on. Where that is refused, it stays that of the beginning."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


# In the child


def serve(
    pipe: Connection, theirs: Connection, function: Function, prepare: Callable[[], object] | None, log: Path
) -> None:
    theirs.close()
    lead_group()
    print_to(log)
    if prepare is not None:
        prepare()
    forget_peak()
    pipe.send(peak_mb())
    while (job := pipe.recv()) is not None:
        try:
            answer = "answered", function(job)
        except Exception as error:
            traceback.print_exc()
            answer = "raised", f"{type(error).__name__}: {error}"
        pipe.send(answer)
    os._exit(0)  # what the parent has registered for its own end is none of a child's business


def lead_group() -> None:
    """Begin a group of one's own, which ends with the process that began it."""
    os.setpgid(0, 0)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def print_to(log: Path) -> None:
    """What this process and its libraries print goes to a new file, and so does where it crashed."""
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    redirect_output(log)
