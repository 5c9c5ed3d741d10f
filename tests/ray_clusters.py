"""Ray clusters of processes on this machine, on the loopback address alone; all of them are ended."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hf_audio_tagger import RayCluster

# Nodes listen on the loopback address alone. Ray reads it when it is imported, here and in every process.
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"

WAIT_SECONDS = 70.0
# Lost nodes are noticed in three seconds instead of fifteen.
QUICK = {"health_check_period_ms": 1000, "health_check_failure_threshold": 3, "health_check_timeout_ms": 1000}
NODE = {
    "object_store_memory": 100 << 20,
    "include_dashboard": False,
}
TESTS = Path(__file__).parent


class Nodes:
    """A cluster: a head and nodes that come and go."""

    def __init__(self, cluster: Any) -> None:
        self.cluster = cluster
        self.executor = RayCluster(cluster.address)

    def add(self, name: str, cpus: float = 1) -> Any:
        return self.cluster.add_node(num_cpus=cpus, node_name=name, **NODE)

    def count_alive(self) -> int:
        return sum(one["Alive"] for one in self.cluster.global_state.node_table())

    def kill(self, node: Any) -> None:
        """kill -9 of a node's processes; its workers lose their node."""
        self.cluster.remove_node(node, allow_graceful=False)


@contextmanager
def started(*names: str, cpus: float = 1) -> Iterator[Nodes]:
    """A cluster with a node of so many CPUs for each name; the first one is the head."""
    pytest.importorskip("ray.data", reason='Ray is missing: pip install "hf-audio-tagger[ray]"')
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        # The workers import the works that tests define.
        patch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), str(TESTS.parent)]))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        head = {"num_cpus": cpus, "node_name": names[0], **NODE, "_system_config": QUICK}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            nodes = Nodes(cluster)
            for name in names[1:]:
                nodes.add(name, cpus)
            cluster.wait_for_nodes(WAIT_SECONDS)
            yield nodes
        finally:
            cluster.shutdown()


def find_workers() -> list[int]:
    """The processes that do jobs of this program's run, by their number."""
    import ray

    actors = ray._private.state.actors().values()
    return [one["Pid"] for one in actors if "RayWorker" in one["ActorClassName"] and one["State"] == "ALIVE"]


def kill_worker() -> int:
    """kill -9 of one worker."""
    pid = find_workers()[0]
    os.kill(pid, signal.SIGKILL)
    return pid


def wait_until(is_true: Callable[[], object], seconds: float = WAIT_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)
