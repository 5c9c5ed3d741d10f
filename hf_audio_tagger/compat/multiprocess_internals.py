"""What `multiprocess` (which `datasets` uses) and Python's `multiprocessing` have no public name for."""

from typing import Any


def worker_identity(process: Any) -> tuple[int, ...]:
    """A worker's number among its parent's children, and its parent's before it; () in a main process.

    Publicly a process has only a name, which its parent may choose.
    """
    return tuple(process._identity)
