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
from hf_audio_tagger.executors import processes as workers
from hf_audio_tagger.executors.job import Job, JobProgress, Report, StoppedError
from hf_audio_tagger.executors.processes import run_in_processes

pytestmark = pytest.mark.timeout(60)

NEVER_SECONDS = 300.0


@pytest.fixture(autouse=True)
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ran in this process before: after OpenVINO, workers would be spawned."""
    monkeypatch.setattr(process, "_used_openvino", set())


class Lingering:
    """Does its job, and leaves a thread behind for which Python waits before the process ends."""

    def __init__(self, ending: Exception | None) -> None:
        self.ending = ending

    def __call__(self, job: Job, rank: int | None, report: Report, is_stopped: Callable[[], bool]) -> None:
        threading.Thread(target=time.sleep, args=(NEVER_SECONDS,)).start()
        report(JobProgress(job.index, 1, 0))
        if self.ending is not None:
            raise self.ending


class Reporting:
    """Reports a row, then ends well or as it is told."""

    def __init__(self, ending: Exception | None) -> None:
        self.ending = ending

    def __call__(self, job: Job, rank: int | None, report: Report, is_stopped: Callable[[], bool]) -> None:
        report(JobProgress(job.index, 1, 0))
        if self.ending is not None:
            raise self.ending


@pytest.mark.parametrize("ending", [None, RunError("it went wrong"), StoppedError()])
def test_a_worker_that_does_not_end_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: Exception | None
) -> None:
    monkeypatch.setattr(workers, "END_SECONDS", 0.2, raising=False)
    seen: list[JobProgress] = []

    def run() -> None:
        run_in_processes([Job(0, 0, 1)], Lingering(ending), 1, tmp_path / "log", seen.append, lambda: None)

    if ending is None:
        run()
    else:
        reason = "it went wrong" if isinstance(ending, RunError) else "Two workers were lost over shard 0"
        with pytest.raises(RunError, match=reason):
            run()
    assert JobProgress(0, 1, 0) in seen
    assert not multiprocessing.active_children()


def test_what_no_fresh_process_can_take_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "start_method", lambda: "spawn")
    with pytest.raises(ProcessError, match="Leave out num_proc="):
        run_in_processes([Job(0, 0, 1)], lambda *_: None, 1, tmp_path / "log", lambda _: None, lambda: None)
    assert not multiprocessing.active_children()


def test_ctrl_c_ends_a_worker_that_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "END_SECONDS", 0.2, raising=False)

    def interrupt(_: JobProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_in_processes([Job(0, 0, 1)], Lingering(None), 1, tmp_path / "log", interrupt, lambda: None)
    assert not multiprocessing.active_children()


def test_a_worker_that_leaves_within_a_job_is_told(tmp_path: Path) -> None:
    def leave(job: Job, rank: int | None, report: Report, is_stopped: Callable[[], bool]) -> None:
        os._exit(7)

    with pytest.raises(RunError, match="gone with exit code 7"):
        run_in_processes([Job(0, 0, 1)], leave, 1, tmp_path / "log", lambda _: None, lambda: None)


def test_rows_at_hand_are_spoken_of_where_a_worker_has_some(tmp_path: Path) -> None:
    told: list[str] = []

    def run(on_heard: Callable[[JobProgress], None], ending: Exception | None) -> None:
        run_in_processes(
            [Job(0, 0, 1)], Reporting(ending), 1, tmp_path / "log", on_heard, lambda: told.append("stopping")
        )

    def interrupt(_: JobProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(RunError, match="no such model"):
        run(lambda _: None, RunError("no such model"))
    assert not told
    with pytest.raises(KeyboardInterrupt):
        run(interrupt, None)
    assert told == ["stopping"]
