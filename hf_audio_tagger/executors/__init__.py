"""Running jobs: in this process, or in processes of its own. Knows neither tags nor folders.

To add an executor, write a file with a class of the shape of `contract.Executor`, made with the number of
workers and the path of a log, and give it a line in `EXECUTORS`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from .contract import Executor
from .here import HereExecutor
from .processes import ProcessExecutor

EXECUTORS: Mapping[str, Callable[[int, Path], Executor]] = {
    "here": HereExecutor,
    "processes": ProcessExecutor,
}


def pick_executor(num_proc: int | None, log: Path) -> Executor:
    """This process for None, else so many processes, whose output goes to a log."""
    return EXECUTORS["here" if num_proc is None else "processes"](num_proc or 1, log)


def default_num_proc(device: str | None) -> int:
    """One process for each GPU that torch finds, or one."""
    if device is not None:
        return 1
    import torch

    return max(1, torch.cuda.device_count())
