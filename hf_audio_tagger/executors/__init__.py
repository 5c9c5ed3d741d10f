"""Run jobs, in this process, in worker processes, or on a cluster. Independent of tags and folders.

To add an executor, write a file with a function of the type `contract.Executor`, list it in `EXECUTORS`, and
extend `pick_executor`, which selects one by the number of workers. A cluster is a value such as `RayCluster`,
which `open_workers` connects to.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..process import current_worker
from .cluster import RayCluster
from .contract import Executor, Job, Report, Work, Workers
from .processes import run_in_processes


def run_here(
    jobs: Sequence[Job],
    work: Work,
    on_progress: Report,
    on_stopping: Callable[[], None],
    count: int,
    log: Path,
) -> None:
    """Run jobs one after the other in this process."""
    for job in jobs:
        work(job, current_worker(), on_progress, lambda: False)


EXECUTORS: Mapping[str, Executor] = {"here": run_here, "processes": run_in_processes}


def pick_executor(num_proc: int | None) -> Executor:
    """The executor for a number of worker processes; None runs jobs in this process."""
    return EXECUTORS["here" if num_proc is None else "processes"]


@contextmanager
def open_workers(
    num_proc: int | None, cluster: RayCluster | None = None, device: str | None = None
) -> Iterator[Workers]:
    """The workers of a run: those of a cluster while the block lasts, else processes of this machine.

    Args:
        num_proc: how many. None: on a cluster one a GPU or a CPU node, else this process alone.
        device: that the work is to use; None: GPUs where a cluster has some.
    """
    if cluster is None:
        yield Workers(num_proc, pick_executor(num_proc))
        return
    from .ray import connect

    with connect(cluster, num_proc, device) as workers:
        yield workers


def default_num_proc(device: str | None) -> int:
    """One process for each GPU that torch finds, or one."""
    if device is not None:
        return 1
    import torch

    return max(1, torch.cuda.device_count())
