"""Jobs on a real Ray cluster: lost workers, poisonous jobs, long ones, errors, what the workers are told."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ray_clusters import Nodes, kill_worker, started, wait_until
from s3_store import find_port

from hf_audio_tagger import RayCluster
from hf_audio_tagger.errors import ProcessError, RunError
from hf_audio_tagger.executors import open_workers
from hf_audio_tagger.executors.contract import IsStopped, Job, JobProgress, Report, StoppedError
from hf_audio_tagger.process import Worker, core_share, current_worker

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(150)]


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """Two nodes of one CPU each."""
    with started("one", "two") as nodes:
        yield nodes


@dataclass(frozen=True)
class Noting:
    """A work that notes each start in a file of its own, lasts a while, and notes what it is told."""

    folder: Path
    seconds: float = 0.0
    poisonous: int | None = None  # the job that ends its process
    failing: int | None = None  # the job that fails
    at_once: int = 0  # the jobs that have to begin before any is done

    def __call__(self, job: Job, worker: Worker, report: Report, is_stopped: IsStopped) -> None:
        (self.folder / f"start-{job.index}-{time.time_ns()}").touch()
        if job.index == self.poisonous:
            os.kill(os.getpid(), signal.SIGSEGV)
            time.sleep(60)  # a stack is printed before the process ends
        if job.index == self.failing:
            wait_until(lambda: self.find("start") - {job.index})  # there is something to keep
            raise ValueError("it went wrong")
        wait_until(lambda: len(self.find("start")) >= self.at_once)
        for step in range(1, 11):
            time.sleep(self.seconds / 10)
            report(JobProgress(job.index, step, 0, worker=worker.rank))
            if is_stopped():
                (self.folder / f"kept-{job.index}").touch()
                raise StoppedError
        told = [worker.rank, worker.world_size, worker.cores, worker.device]
        same = worker == current_worker() and worker.cores == core_share()
        (self.folder / f"done-{job.index}").write_text(json.dumps([*told, same, os.getpid()]))

    def count_starts(self) -> Counter[int]:
        return Counter(int(path.name.split("-")[1]) for path in self.folder.glob("start-*"))

    def find(self, what: str) -> set[int]:
        return {int(path.name.split("-")[1]) for path in self.folder.glob(f"{what}-*")}


def run(
    nodes: Nodes,
    work: Noting,
    count: int,
    on_progress: Report = lambda _: None,
    on_stopping: Callable[[], None] = lambda: None,
    num_proc: int | None = None,
) -> None:
    jobs = [Job(index, f"job {index} (rows from {10 * index} on)") for index in range(count)]
    with open_workers(num_proc, nodes.executor) as workers:
        workers.execute(jobs, work, on_progress, on_stopping, workers.count or 1, work.folder / "log")


def test_workers_are_told_who_they_are_and_take_all_cpus(nodes: Nodes, tmp_path: Path) -> None:
    """The workers hold every CPU of the cluster, and nothing hangs."""
    work, seen = Noting(tmp_path, 0.3), []
    run(nodes, work, 6, seen.append)
    told = [json.loads(path.read_text()) for path in tmp_path.glob("done-*")]
    assert len(told) == 6
    assert {one[0] for one in told} == {0, 1}
    assert all(one[1:5] == [2, 1, "cpu", True] for one in told)
    last = {one.index: one.rows for one in seen}
    assert last == dict.fromkeys(range(6), 10)  # each job's last report has come
    assert set(work.count_starts().values()) == {1}


def test_lost_workers_jobs_are_done_again_and_no_others(nodes: Nodes, tmp_path: Path) -> None:
    work, killed = Noting(tmp_path, 1.0), []

    def kill(progress: JobProgress) -> None:
        if len(killed) < 2 and progress.rows in (3, 4, 5) and len(work.find("done")) >= 2 * len(killed):
            killed.append(kill_worker())

    run(nodes, work, 8, kill)
    assert len(killed) == 2
    assert work.find("done") == set(range(8))
    assert sum(work.count_starts().values()) <= 8 + 2


def test_a_job_that_ends_the_process_ends_the_run_after_three_deaths(nodes: Nodes, tmp_path: Path) -> None:
    work = Noting(tmp_path, poisonous=2)
    with pytest.raises(RunError, match=r"3 workers were lost in job 2 \(rows from 20 on\)") as caught:
        run(nodes, work, 6)
    assert work.count_starts()[2] == 3
    assert work.find("done") == {0, 1, 3, 4, 5}
    assert "5 of 6" in str(caught.value)


def test_jobs_longer_than_rays_limit_of_no_progress(nodes: Nodes, tmp_path: Path) -> None:
    from ray.data import DataContext

    context = DataContext.get_current()
    before = context.execution_no_progress_timeout_s
    context.execution_no_progress_timeout_s = 5
    try:
        run(nodes, Noting(tmp_path, 12.0), 2)
    finally:
        context.execution_no_progress_timeout_s = before
    assert len(list(tmp_path.glob("done-*"))) == 2


def test_an_error_stops_the_others_which_keep_what_they_have(nodes: Nodes, tmp_path: Path) -> None:
    work = Noting(tmp_path, 20.0, failing=0)
    with pytest.raises(RunError, match="ValueError: it went wrong"):
        run(nodes, work, 6)
    assert len(work.find("start")) == 2  # a job begins where a worker is free, not behind another
    assert work.find("kept") == work.find("start") - {0}
    assert not work.find("done")


def test_ctrl_c_keeps_what_workers_have(nodes: Nodes, tmp_path: Path) -> None:
    work, told = Noting(tmp_path, 20.0), []

    def interrupt(progress: JobProgress) -> None:
        if not told:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(nodes, work, 6, interrupt, lambda: told.append("stopping"))
    assert told == ["stopping"]
    assert work.find("kept") == work.find("start")
    assert not work.find("done")


def test_more_workers_than_cpus(nodes: Nodes, tmp_path: Path) -> None:
    """They get fractions of a CPU."""
    run(nodes, Noting(tmp_path, at_once=4), 8, num_proc=4)
    told: list[Any] = [json.loads(path.read_text()) for path in tmp_path.glob("done-*")]
    assert len(told) == 8
    assert {one[1] for one in told} == {4}
    assert len({one[5] for one in told}) == 4


def test_a_worker_that_starts_after_its_run_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray Data would start one that raises an error again, without an end, in a program that goes on."""
    from hf_audio_tagger.executors.ray.worker import RayWorker, WorkerSettings

    monkeypatch.setattr("ray.get_runtime_context", dict)  # else Ray would start a cluster of its own
    settings = WorkerSettings(lambda *_: None, 1, 1, None, ".", None, frozenset())
    worker = RayWorker(settings, board=None)
    assert worker({"task": [7]}) == {"task": [7]}


@pytest.mark.parametrize("is_named", [True, False])
def test_a_cluster_that_is_gone_is_told_at_once(
    is_named: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the environment names it, or its own file: Ray itself tries for two minutes."""
    address = f"127.0.0.1:{find_port()}"
    monkeypatch.setattr("ray._private.services.find_gcs_addresses", list)  # those of other tests
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text(address)
    monkeypatch.setenv("RAY_ADDRESS", address if is_named else "")
    started_seconds = time.monotonic()
    told = pytest.raises(ProcessError, match=f"No Ray cluster answers at {address}")
    with told, open_workers(1, RayCluster()):
        pass
    assert time.monotonic() - started_seconds < 20
