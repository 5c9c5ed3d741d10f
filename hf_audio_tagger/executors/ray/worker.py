"""A worker on a Ray cluster: an actor that Ray Data gives a task, in which it does jobs until none is left.

Its own errors never reach Ray Data, which would end the other workers within their batch: they go to the
board, and the run ends in order. Ray Data sees only that a task has come to its end.
"""

import os
import pickle
import sys
import threading
import traceback
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import ray

from ...errors import RunError, TaggerError, transportable
from ...process import Worker, set_worker
from ...text import one_line
from ..contract import Job, JobProgress, Probe, StoppedError, Work

SIGN_SECONDS = 0.25  # between two reports
ANSWER_SECONDS = 60.0  # for the board to answer


@dataclass(frozen=True)
class WorkerSettings:
    """What all workers of a run are told."""

    work: Work
    world_size: int
    cores: int
    device: str | None
    folder: str  # in which the command was started: relative paths are relative to it
    probe: Probe | None
    probed_nodes: frozenset[str]  # others have joined later


class RayWorker:
    """Does jobs. `board` is the handle of a `Board` actor."""

    def __init__(self, settings: WorkerSettings, board: Any) -> None:
        self.settings, self.board = settings, board
        self.worker: Worker | None = None
        try:
            self.join()
        except Exception as error:  # Ray Data would start the worker anew, without an end
            with suppress(Exception):  # the board is gone, as the run is: nobody is left to tell
                self.call("fail", pickle_error(error))

    def join(self) -> None:
        """Get a rank, and be set up as that worker."""
        settings, context = self.settings, ray.get_runtime_context()
        enter_folder(settings.folder)
        rank = self.call("join", context.get_actor_id())
        set_worker(Worker(rank, settings.world_size, settings.cores, settings.device))
        if settings.probe is not None and context.get_node_id() not in settings.probed_nodes:
            problems = settings.probe()
            if problems:
                raise RunError(f"The node {os.uname().nodename}, which has joined now: {' '.join(problems)}")
        self.worker = Worker(rank, settings.world_size, settings.cores, settings.device)

    def call(self, method: str, *values: Any) -> Any:
        """Call a method of the board."""
        return ray.get(getattr(self.board, method).remote(*values), timeout=ANSWER_SECONDS)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        task = int(batch["task"][0])
        if self.worker is not None:
            with Telling(self) as telling:
                taken = self.call("begin", task, telling.attempt)
                while taken is not None:
                    job = pickle.loads(taken)
                    taken = telling.end(task, job.index, *self.do(job, self.worker, telling))
        return {"task": [task]}

    def do(self, job: Job, worker: Worker, telling: "Telling") -> tuple[bool, bytes | None]:
        """Do a job; tells whether it is done, and why not."""
        try:
            self.settings.work(job, worker, telling.note, lambda: telling.is_stopped)
        except StoppedError:
            return False, None
        except Exception as error:
            traceback.print_exc()  # to Ray's log
            return False, pickle_error(error)
        return True, None


class Telling:
    """Sends the latest report of a job to the board a few times a second, while a task lasts."""

    def __init__(self, worker: RayWorker) -> None:
        self.worker = worker
        self.attempt = uuid4().hex  # a task has another one after its worker was lost
        self.latest: dict[int, JobProgress] = {}
        self.is_stopped = False
        self.noting, self.sending = threading.Lock(), threading.Lock()  # reports stay in order
        self.has_ended = threading.Event()
        self.thread = threading.Thread(target=self.tell_on, daemon=True)

    def __enter__(self) -> "Telling":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.has_ended.set()
        self.thread.join()

    def note(self, progress: JobProgress) -> None:
        with self.noting:
            self.latest[progress.index] = progress

    def take(self) -> list[JobProgress]:
        with self.noting:
            reports, self.latest = [*self.latest.values()], {}
        return reports

    def tell_on(self) -> None:
        while not self.has_ended.wait(SIGN_SECONDS):
            try:
                with self.sending:
                    self.is_stopped |= bool(self.worker.call("report", self.take()))
            except Exception:
                self.is_stopped = True  # nobody waits for the result any more: keep it and end
                return

    def end(self, task: int, job: int, is_done: bool, error: bytes | None) -> bytes | None:
        """Tell of the end of a task's job; returns its next one, pickled."""
        with self.sending:
            values = task, self.attempt, job, self.take(), is_done, error
            following: bytes | None = self.worker.call("end", *values)
        return following


def enter_folder(folder: str) -> None:
    """Be in the folder of the command; a node that has no such folder is told when it reads the source."""
    with suppress(OSError):
        os.chdir(folder)


def pickle_error(error: Exception) -> bytes:
    if not isinstance(error, TaggerError | OSError):
        where = "The traceback is in Ray's log of the worker."
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        error = RunError(f"{type(error).__name__}: {one_line(error, 500)} {where}")
    return pickle.dumps(transportable(error))
