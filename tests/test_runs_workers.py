"""Processes that take jobs: none is waited for without an end."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hf_audio_tagger import process
from hf_audio_tagger.errors import ProcessError, RunError
from hf_audio_tagger.executors import pick_executor, processes
from hf_audio_tagger.executors.contract import IsStopped, Job, JobProgress, Report, StoppedError, Work
from hf_audio_tagger.process import Worker, core_share, current_worker

pytestmark = pytest.mark.timeout(60)

NEVER_SECONDS = 300.0


@pytest.fixture(autouse=True)
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ran in this process before: after OpenVINO, workers would be spawned."""
    monkeypatch.setattr(process, "_used_openvino", set())


def run_job(
    work: Work,
    folder: Path,
    on_progress: Report = lambda _: None,
    on_stopping: Callable[[], None] = lambda: None,
) -> None:
    pick_executor(1)([Job(0, "the one job")], work, on_progress, on_stopping, 1, folder / "log")


class Lingering:
    """Does its job, and leaves a thread behind for which Python waits before the process ends."""

    def __init__(self, ending: Exception | None) -> None:
        self.ending = ending

    def __call__(self, job: Job, worker: Worker, report: Report, is_stopped: IsStopped) -> None:
        threading.Thread(target=time.sleep, args=(NEVER_SECONDS,)).start()
        report(JobProgress(job.index, 1, 0))
        if self.ending is not None:
            raise self.ending


class Reporting:
    """Reports a row, then ends well or as it is told."""

    def __init__(self, ending: Exception | None) -> None:
        self.ending = ending

    def __call__(self, job: Job, worker: Worker, report: Report, is_stopped: IsStopped) -> None:
        report(JobProgress(job.index, 1, 0))
        if self.ending is not None:
            raise self.ending


@pytest.mark.parametrize("ending", [None, RunError("it went wrong"), StoppedError()])
def test_a_worker_that_does_not_end_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: Exception | None
) -> None:
    monkeypatch.setattr(processes, "END_SECONDS", 0.2, raising=False)
    seen: list[JobProgress] = []

    def run() -> None:
        run_job(Lingering(ending), tmp_path, seen.append)

    if ending is None:
        run()
    else:
        reason = "it went wrong" if isinstance(ending, RunError) else "Two workers were lost in the one job"
        with pytest.raises(RunError, match=reason):
            run()
    assert JobProgress(0, 1, 0) in seen
    assert not multiprocessing.active_children()


def test_what_no_fresh_process_can_take_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "start_method", lambda: "spawn")
    with pytest.raises(ProcessError, match="Leave out num_proc="):
        run_job(lambda *_: None, tmp_path)
    assert not multiprocessing.active_children()


def test_ctrl_c_ends_a_worker_that_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "END_SECONDS", 0.2, raising=False)

    def interrupt(_: JobProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_job(Lingering(None), tmp_path, interrupt)
    assert not multiprocessing.active_children()


def leave(job: Job, worker: Worker, report: Report, is_stopped: IsStopped) -> None:
    os._exit(7)


def test_a_worker_that_leaves_within_a_job_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="gone with exit code 7"):
        run_job(leave, tmp_path)


def test_rows_at_hand_are_spoken_of_where_a_worker_has_some(tmp_path: Path) -> None:
    told: list[str] = []

    def run(on_progress: Callable[[JobProgress], None], ending: Exception | None) -> None:
        run_job(Reporting(ending), tmp_path, on_progress, lambda: told.append("stopping"))

    def interrupt(_: JobProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(RunError, match="no such model"):
        run(lambda _: None, RunError("no such model"))
    assert not told
    with pytest.raises(KeyboardInterrupt):
        run(interrupt, None)
    assert told == ["stopping"]


def tell(job: Job, worker: Worker, report: Report, is_stopped: IsStopped) -> None:
    """Report who this worker is, and whether it has its share of the cores, as one of three."""
    cores = max(1, process.usable_cores() // 3)
    is_current = worker == current_worker() and worker.cores == core_share() == cores
    report(JobProgress(job.index, 10 * (worker.world_size or 0) + worker.rank, 0 if is_current else 1))
    while not is_stopped():
        time.sleep(0.01)  # so that each worker gets one job
    raise StoppedError


def test_workers_are_told_who_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    seen: list[JobProgress] = []

    def note(progress: JobProgress) -> None:
        seen.append(progress)
        if len(seen) == 3:
            raise KeyboardInterrupt

    jobs = [Job(number, f"job {number}") for number in range(3)]
    with pytest.raises(KeyboardInterrupt):
        pick_executor(3)(jobs, tell, note, lambda: None, 3, tmp_path / "log")
    assert sorted(seen, key=lambda one: one.index) == [JobProgress(n, 30 + n, 0) for n in range(3)]


def test_this_process_is_the_worker_where_there_are_no_others(tmp_path: Path) -> None:
    seen: list[Worker] = []
    pick_executor(None)(
        [Job(0, "first"), Job(1, "second")],
        lambda job, worker, report, is_stopped: seen.append(worker),
        lambda _: None,
        lambda: None,
        1,
        tmp_path / "log",
    )
    assert seen == 2 * [current_worker()]
    assert not (tmp_path / "log").exists()


def test_a_worker_uses_the_device_that_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_worker", None)
    process.set_worker(Worker(rank=1, world_size=2, cores=3, device="mps"))
    assert process.pick_device(None) == "mps"
    assert process.pick_device("cpu") == "cpu"
    assert process.is_worker()
