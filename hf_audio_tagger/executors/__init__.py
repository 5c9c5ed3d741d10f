"""Run jobs, in this process or in worker processes. Independent of tags and folders.

To add an executor, write a file with a function of the type `contract.Executor`, list it in `EXECUTORS`, and
extend `pick_executor`, which selects one by the number of workers.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..process import current_worker
from .contract import Executor, Job, Report, Work
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


def default_num_proc(device: str | None) -> int:
    """One process for each GPU that torch finds, or one."""
    if device is not None:
        return 1
    import torch

    return max(1, torch.cuda.device_count())
