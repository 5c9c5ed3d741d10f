"""Runs on a Ray cluster of processes of this machine, and the same in worker processes of its own."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.child import ROOT
from benchmarks.subjects import serving
from hf_audio_tagger import RayCluster, build_tagger, tag_dataset
from hf_audio_tagger.executors import open_workers
from hf_audio_tagger.executors.contract import IsStopped, Job, JobProgress, Report
from hf_audio_tagger.process import Worker
from hf_audio_tagger.runs import Progress, Watcher

STARTED_SHARE = 0.25  # of the rows: by then both workers have loaded the model
STEPS = 20  # of a job that sleeps
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}


@contextmanager
def started(cpus: list[int]) -> Iterator[RayCluster]:
    """A cluster with a node for each number of CPUs."""
    os.environ.update({**LOOPBACK, "PYTHONPATH": str(ROOT)})  # Ray reads it when it is imported
    from ray.cluster_utils import Cluster

    options: dict[str, Any] = {"object_store_memory": 100 << 20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": cpus[0], **options})
    try:
        for count in cpus[1:]:
            cluster.add_node(num_cpus=count, **options)
        cluster.wait_for_nodes(60)
        yield RayCluster(cluster.address)
    finally:
        cluster.shutdown()


@dataclass
class Pace(Watcher):
    """Notes how many rows are done, and when."""

    seen: list[tuple[float, int]] = field(default_factory=list)

    def progressed(self, progress: Progress) -> None:
        self.seen.append((time.perf_counter(), progress.done_rows))

    def rows_a_second(self) -> float:
        """From the first rows on."""
        end, total = self.seen[-1]
        start, before = next(one for one in self.seen if one[1] >= STARTED_SHARE * total)
        return (total - before) / max(end - start, 1e-9)


@dataclass(frozen=True)
class Sleeping:
    """A work that sleeps."""

    seconds: float

    def __call__(self, job: Job, worker: Worker, report: Report, is_stopped: IsStopped) -> None:
        for step in range(1, STEPS + 1):
            time.sleep(self.seconds / STEPS)
            report(JobProgress(job.index, step, 0, worker=worker.rank))


def measure_tagging(job: serving.Job) -> serving.Job:
    """Clips tagged by two workers, of a cluster or processes."""
    pace, tagger = Pace(), build_tagger(**job["tagger"])

    def tag(cluster: RayCluster | None) -> None:
        with tempfile.TemporaryDirectory() as folder:
            tag_dataset(
                job["videos"],
                Path(folder) / "out",
                tagger,
                num_proc=2,
                executor=cluster,
                shard_rows=job["shard_rows"],
                watcher=pace,
            )

    if job["is_on_ray"]:
        with started([2]) as cluster:
            tag(cluster)
    else:
        tag(None)
    return {"rows_a_second": pace.rows_a_second()}


def measure_sleeping(job: serving.Job) -> serving.Job:
    """Jobs that sleep, on nodes of one CPU each, from when every node has begun."""
    steps: dict[int, int] = {}
    workers: set[int] = set()
    begun: list[tuple[float, int]] = []

    def note(progress: JobProgress) -> None:
        steps[progress.index] = progress.rows
        workers.add(progress.worker)
        if len(workers) == job["nodes"] and not begun:
            begun.append((time.perf_counter(), sum(steps.values())))

    jobs = [Job(index, f"job {index}") for index in range(job["jobs"] * job["nodes"])]
    with started([1] * job["nodes"]) as cluster, open_workers(None, cluster) as crew:
        crew.execute(jobs, Sleeping(job["sleep_seconds"]), note, lambda: None, crew.count or 1, Path())
        end = time.perf_counter()
    (start, before), done = begun[0], sum(steps.values())
    assert done == len(jobs) * STEPS
    return {"jobs_a_second": (done - before) / STEPS / (end - start)}


def prepare(settings: serving.Job) -> serving.Run:
    """`part`: "tagging" or "sleeping"."""
    parts: dict[str, Callable[[serving.Job], serving.Job]] = {
        "tagging": measure_tagging,
        "sleeping": measure_sleeping,
    }
    return lambda job: parts[job["part"]](job)


if __name__ == "__main__":
    serving.serve(prepare)
