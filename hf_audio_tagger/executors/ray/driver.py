"""The driver of a run on a cluster: a task of Ray Data for each worker, and jobs from the board.

Ray Data starts the workers, and starts again those that are lost. Between two jobs it would take 0.2 s, with
four nodes: so a worker takes its next job from the board, in a few milliseconds, until none is left.
"""

import logging
import os
import pickle
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray
import ray.data
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ...errors import RunError
from ...text import one_line
from ..cluster import Node, WorkerSize, find_hosts
from ..contract import Job, Probe, Report, Work
from .board import MOST_DEATHS, Board, News
from .nodes import check_nodes
from .worker import RayWorker, WorkerSettings

POLL_SECONDS = 0.25
ANSWER_SECONDS = 60.0  # for the board to answer
SILENCE_SECONDS = 900.0  # without a sign of any worker: the cluster has no room, or has lost its nodes
STOP_SECONDS = 900.0  # for the workers to finish and keep their current batch
MOST_LOST_JOBS = 3  # beyond these it is not the clips


class ClusterRun:
    """Runs jobs on the nodes of a cluster."""

    def __init__(self, size: WorkerSize, nodes: Sequence[Node], device: str | None) -> None:
        self.size, self.device = size, device
        self.hosts = find_hosts(nodes, device)
        self.probe: Probe | None = None

    def check(self, probe: Probe) -> None:
        check_nodes(self.hosts, probe, os.getcwd())
        self.probe = probe

    def execute(
        self,
        jobs: Sequence[Job],
        work: Work,
        on_progress: Report,
        on_stopping: Callable[[], None],
        count: int,
        log: Path,
    ) -> None:
        """Run jobs on `count` workers; Ray keeps what they print."""
        if not jobs:
            return
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        actor: Any = ray.remote(Board)
        waiting = {job.index: pickle.dumps(job) for job in jobs}
        board = actor.options(num_cpus=0, scheduling_strategy=here).remote(count, waiting)
        try:
            tasks = min(count, len(jobs))
            scheduling = Scheduling(tasks, self.make_settings(work, count), board, self.size)
            follow(scheduling, jobs, board, on_progress, on_stopping)
        finally:
            ray.kill(board)  # workers that are still there end at its loss

    def make_settings(self, work: Work, count: int) -> WorkerSettings:
        device = self.device
        if device is None or device == "cuda":  # Ray shows a worker its own GPU alone
            device = "cuda:0" if self.size.gpus else "cpu"
        known = frozenset(node.id for node in self.hosts)
        cores = max(1, int(self.size.cpus))
        return WorkerSettings(work, count, cores, device, os.getcwd(), self.probe, known)


class Scheduling(threading.Thread):
    """Ray Data at work, in a thread: a Ctrl-C in the main thread must not end its workers."""

    def __init__(self, tasks: int, settings: WorkerSettings, board: Any, size: WorkerSize) -> None:
        super().__init__(name="ray-data", daemon=True)
        self.tasks, self.settings, self.board, self.size = tasks, settings, board, size
        self.error: Exception | None = None
        # Not join() and is_alive(): a Ctrl-C within join() lets Python 3.11 take a thread for ended.
        self.has_ended = threading.Event()
        self.start()

    def run(self) -> None:
        try:
            for _ in self.make_rows().iter_rows():
                pass
        except Exception as error:
            self.error = error
        finally:
            self.has_ended.set()

    def make_rows(self) -> Any:
        """A dataset of the tasks, a block each, that the workers map."""
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        rows = ray.data.from_items(
            [{"task": task} for task in range(self.tasks)], override_num_blocks=self.tasks
        )
        done = rows.map_batches(
            RayWorker,
            batch_size=1,
            fn_constructor_args=(self.settings, self.board),
            # One task at a time: a second one would wait behind it while another worker is free.
            compute=ray.data.ActorPoolStrategy(
                min_size=self.tasks, max_size=self.tasks, max_tasks_in_flight_per_actor=1
            ),
            num_cpus=self.size.cpus,
            num_gpus=self.size.gpus or None,
        )
        done.context.execution_no_progress_timeout_s = -1  # a task lasts as long as the run
        done.context.enable_progress_bars = False
        return done


def follow(
    scheduling: Scheduling,
    jobs: Sequence[Job],
    board: Any,
    on_progress: Report,
    on_stopping: Callable[[], None],
) -> None:
    """Pass on the workers' reports until all jobs are done; an error stops the workers."""
    try:
        has_ended = False
        while not has_ended:
            has_ended = scheduling.has_ended.wait(POLL_SECONDS)
            news = call(board, "take")
            for progress in news.reports:
                on_progress(progress)
            check_news(news, jobs)
        check_end(scheduling, news, jobs)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            on_stopping()
        stop(scheduling, board, on_progress)
        raise


def stop(scheduling: Scheduling, board: Any, on_progress: Report) -> None:
    """Let the workers finish and keep their current batch. A second Ctrl-C leaves at once."""
    deadline = time.monotonic() + STOP_SECONDS
    with suppress(RunError):
        call(board, "stop")
        has_ended = False
        while not has_ended and time.monotonic() < deadline:
            has_ended = scheduling.has_ended.wait(POLL_SECONDS)
            news = call(board, "take")
            for progress in news.reports:
                with suppress(Exception):  # the first error is the one to raise
                    on_progress(progress)
            if not news.has_workers or news.silent_seconds > SILENCE_SECONDS:
                return


def call(board: Any, method: str) -> Any:
    """Call a method of the board."""
    try:
        return ray.get(getattr(board, method).remote(), timeout=ANSWER_SECONDS)
    except (ray.exceptions.RayError, TimeoutError) as error:
        raise RunError(
            f"The connection to the Ray cluster is lost ({type(error).__name__}: {one_line(error, 200)}). "
            "What is done is kept; the same command resumes the run."
        ) from error


def check_news(news: News, jobs: Sequence[Job]) -> None:
    """Raise a worker's error, or one for workers that are all silent or are lost too often."""
    if news.errors:
        raise pickle.loads(news.errors[0])
    if len(news.lost_jobs) > MOST_LOST_JOBS:
        raise RunError(describe_lost(news, jobs))
    if news.silent_seconds > SILENCE_SECONDS:
        what = "been heard of" if news.has_workers else "started"
        free = {name: ray.available_resources().get(name, 0.0) for name in ("CPU", "GPU")}
        raise RunError(
            f"No worker has {what} for {SILENCE_SECONDS / 60:.0f} min. Free in the cluster: "
            f"{free['CPU']:g} CPUs, {free['GPU']:g} GPUs; `ray status` says what it waits for."
        )


def check_end(scheduling: Scheduling, news: News, jobs: Sequence[Job]) -> None:
    """Raise an error unless every job is done."""
    if news.lost_jobs:
        raise RunError(describe_lost(news, jobs))
    if scheduling.error is not None:
        reason = f"{type(scheduling.error).__name__}: {one_line(scheduling.error, 500)}"
        raise RunError(f"Ray has ended the run ({reason}). The same command resumes it.")
    if news.done_jobs < len(jobs):
        raise RunError(
            f"Ray has ended with {news.done_jobs:,} of {len(jobs):,} jobs done. "
            "The same command resumes the run."
        )


def describe_lost(news: News, jobs: Sequence[Job]) -> str:
    lost = [job.description for job in jobs if job.index in news.lost_jobs]
    return (
        f"{MOST_DEATHS} workers were lost in {' and in '.join(lost)}: a clip may end the process, or "
        "memory may be short (a smaller num_proc= or batch_size= needs less). Ray's logs have what the "
        f"workers printed. The other jobs are kept ({news.done_jobs:,} of {len(jobs):,}); the same command "
        "tries these again."
    )
