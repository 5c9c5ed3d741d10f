"""Ray clusters as users name them, and how large a worker is on the nodes of one. Imports no Ray."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..checks import invalid
from ..errors import SettingsError

PARTS = 10_000  # into which Ray divides a CPU or a GPU


@dataclass(frozen=True)
class RayCluster:
    """A Ray cluster that runs the shards of `tag_dataset`, or the clips of `export_predictions`.

    Args:
        address: "auto" for the cluster that this machine belongs to (or `RAY_ADDRESS` names), "host:port", or
            "local" for one that lasts as long as the run, on this machine alone.
        cpus_per_worker: default: as many as fit, so that the workers share their nodes.
        gpus_per_worker: default: one, or a fraction where `num_proc=` asks for more workers than GPUs.

    >>> RayCluster()
    RayCluster(address='auto', cpus_per_worker=None, gpus_per_worker=None)
    >>> tag_dataset("clips/", "tagged/", executor=RayCluster())  # doctest: +SKIP
    """

    address: str = "auto"
    cpus_per_worker: float | None = None
    gpus_per_worker: float | None = None

    def __post_init__(self) -> None:
        if self.address.startswith("ray://"):
            raise SettingsError(
                f"address={self.address!r} is that of a Ray client, whose files the cluster cannot see. "
                "Start the command on a machine of the cluster, or as a job: `ray job submit -- ...`."
            )
        host, _, port = self.address.rpartition(":")
        if self.address not in ("auto", "local") and not (host and port.isdigit()):
            raise invalid("address", self.address, "'auto', 'local' or the address of a cluster, host:port")
        for name in ("cpus_per_worker", "gpus_per_worker"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or value < 1 / PARTS):
                raise invalid(name, value, "a number above 0, or None")


@dataclass(frozen=True)
class Node:
    """A machine of a cluster, with all its CPUs and GPUs, also those in use."""

    id: str
    name: str
    cpus: float
    gpus: float = 0.0


@dataclass(frozen=True)
class WorkerSize:
    """How many workers there are, and what each of them gets."""

    count: int
    cpus: float
    gpus: float = 0.0


def find_hosts(nodes: Sequence[Node], device: str | None) -> list[Node]:
    """The nodes on which workers can run."""
    with_gpus = [node for node in nodes if node.gpus >= 1 and node.cpus > 0]
    if device is not None and device.startswith("cuda"):
        if ":" in device:
            raise SettingsError(
                f"device={device!r} names a GPU of one machine. On a cluster each worker gets its own: pass "
                "device='cuda', or leave it out."
            )
        if not with_gpus:
            raise SettingsError(f"device={device!r}: no node of the cluster has a GPU.")
    if with_gpus and (device is None or device.startswith("cuda")):
        return with_gpus
    with_cpus = [node for node in nodes if node.cpus > 0]
    if not with_cpus:
        raise SettingsError("No node of the cluster has a CPU for tasks.")
    return with_cpus


def size_workers(
    nodes: Sequence[Node], count: int | None, device: str | None, cluster: RayCluster
) -> WorkerSize:
    """Divide the nodes among workers: by default one a GPU, or one a CPU node with all its cores.

    Nodes that differ get workers of one size: that of the smallest node, and several of them where they fit.
    """
    hosts = find_hosts(nodes, device)
    if device not in (None, "cuda") or hosts[0].gpus < 1:
        return size_cpu_workers([node.cpus for node in hosts], count, cluster.cpus_per_worker)
    total = sum(math.floor(node.gpus) for node in hosts)
    gpus = cluster.gpus_per_worker or divide(1, math.ceil(max(1, (count or 1) / total)))
    on_nodes = [max(1, math.floor(node.gpus / gpus)) for node in hosts]
    shares = [divide(node.cpus, workers) for node, workers in zip(hosts, on_nodes, strict=True)]
    cpus = cluster.cpus_per_worker or min(share if share < 1 else math.floor(share) for share in shares)
    return WorkerSize(count or sum(on_nodes), cpus, gpus)


def size_cpu_workers(cpus: Sequence[float], count: int | None, each: float | None) -> WorkerSize:
    """As many cores for each as there can be with so many workers."""
    if each is None and count is None:
        each = min(cpus)
    if each is not None:
        return WorkerSize(count or max(1, sum(math.floor(one / each) for one in cpus)), each)
    assert count is not None
    for size in range(math.floor(max(cpus)), 0, -1):
        if sum(one // size for one in cpus) >= count:
            return WorkerSize(count, float(size))
    return WorkerSize(count, divide(1, math.ceil(count / max(1, sum(map(math.floor, cpus))))))


def divide(amount: float, parts: int) -> float:
    """A part, rounded down as Ray divides, so that all parts fit."""
    return math.floor(amount * PARTS / parts) / PARTS
