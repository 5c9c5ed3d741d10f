"""What the current process is: forked or not, which worker, with how many cores and which device.

torch's OpenMP threads do not survive a fork: a forked worker whose parent has computed on several
threads hangs in its first parallel region. So a forked worker drops to one thread before its first
torch call, and computes on more only in a new thread, which gets OpenMP threads of its own.
"""

import ctypes
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from numbers import Integral
from pathlib import Path
from typing import TypeVar

from .checks import invalid
from .compat.datasets_calls import called_with_indices
from .compat.other_libraries import is_in_bad_fork, torch_library_path, worker_identity
from .errors import ProcessError, SettingsError

Part = TypeVar("Part")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Worker:
    """One of the processes that share the work: which one it is, and what it may use."""

    rank: int = 0
    world_size: int = 1
    cores: int = 1
    device: str | None = None  # None: a CUDA device by its rank, or the CPU


_worker: Worker | None = None  # as the executor set it
_forked = False
_starting = threading.Lock()  # while a thread's count is not fixed
_used_openvino: set[int] = set()  # processes that have run it: their forks inherit its dead threads


def _after_fork() -> None:
    global _worker, _forked, _starting
    _worker = None
    _forked = True
    _starting = threading.Lock()  # another thread of the parent may have held it
    prepare_torch.cache_clear()
    find_worker.cache_clear()
    compute_thread.cache_clear()


def is_forked() -> bool:
    """True in a process that was forked after this module was imported."""
    return _forked


def note_openvino() -> None:
    _used_openvino.add(os.getpid())


def inherits_openvino() -> bool:
    """True in a process that was forked after OpenVINO had run: it would wait for threads that are gone."""
    return is_forked() and bool(_used_openvino - {os.getpid()})


def start_method() -> str:
    """How to start workers: by a fork on Linux, which needs no guard in the caller's script.

    Spawned where this process has used OpenVINO or CUDA, which do not work after a fork.
    """
    torch = sys.modules.get("torch")
    has_used_cuda = torch is not None and torch.cuda.is_initialized()
    return "fork" if sys.platform == "linux" and not _used_openvino and not has_used_cuda else "spawn"


def set_worker(worker: Worker) -> None:
    """Set which worker this process is; for executors, before the first job."""
    global _worker
    _worker = worker


def current_worker() -> Worker:
    """Which worker this process is: as its executor set it, else as found out."""
    return find_worker() if _worker is None else _worker


@cache
def find_worker() -> Worker:
    """Which worker this process is where no executor has set it, as under `datasets.map(num_proc=...)`.

    The rank is found in the process's name for its pool, the number of workers in the parent's children.
    """
    identity = read_pool_identity()
    cores = usable_cores()
    if not identity:
        return Worker(cores=cores)
    siblings = max(1, count_siblings())
    return Worker(identity[-1] - 1, siblings, max(1, cores // siblings))


def usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read_pool_identity() -> tuple[int, ...]:
    """This process's place in its pool, of `multiprocess` (which datasets uses) or `multiprocessing`."""
    modules = filter(None, (sys.modules.get("multiprocess"), multiprocessing))
    return next(filter(None, (worker_identity(module.current_process()) for module in modules)), ())


def count_siblings() -> int:
    """Workers of the same pool, this one among them: our parent's children less the pool's manager.

    Without /proc (not on Linux), a worker for each core is assumed.
    """
    parents = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # the process has ended
            stat = path.read_bytes()  # the system may cut a name within a letter
            parents.append(int(stat.rpartition(b")")[2].split()[1]))
    return parents.count(os.getppid()) - 1 if parents else os.cpu_count() or 1


def is_worker() -> bool:
    return _worker is not None or bool(read_pool_identity())


def core_share() -> int:
    """Threads that this process may compute on: as OMP_NUM_THREADS says, else its worker's cores."""
    if asked := os.environ.get("OMP_NUM_THREADS", ""):
        return max(1, int(asked)) if asked.isdigit() else 1
    return current_worker().cores


@cache
def prepare_torch() -> None:
    """Set torch's threads, before a process's first torch call."""
    import torch

    if is_forked():
        torch.set_num_threads(1)
    elif is_worker():
        torch.set_num_threads(core_share())


@cache
def compute_thread() -> ThreadPoolExecutor | None:
    """The thread that a forked worker computes in, where it has more than one core."""
    if not is_forked() or core_share() == 1:
        return None
    import torch

    return ThreadPoolExecutor(1, "model", initializer=torch.set_num_threads, initargs=(core_share(),))


def compute(function: Callable[[], Result]) -> Result:
    """Run the model's work where this process may use several threads."""
    thread = compute_thread()
    return function() if thread is None else thread.submit(function).result()


def on_every_core(function: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
    """`function` of each part: one core for each part while every core has one, then all cores for each.

    Cores that share a part wait for each other at the end of every layer.
    """
    import torch

    threads = torch.get_num_threads()
    apart = len(parts) // threads * threads if threads > 1 else 0
    done: list[Result] = []
    if apart:
        with one_thread_each(threads, "model") as pool:
            done = list(pool.map(function, parts[:apart]))
    return done + [function(part) for part in parts[apart:]]


@contextmanager
def one_thread_each(count: int, name: str) -> Iterator[ThreadPoolExecutor]:
    """Threads that compute on one core each. Other threads keep their count, new ones too."""
    import torch

    with _starting:
        torch.get_num_threads()  # asking fixes it: this thread's count is its own from now on
    pool = ThreadPoolExecutor(count, name, initializer=compute_on_one_core)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def compute_on_one_core() -> None:
    """For a new thread, before its first torch call.

    torch.set_num_threads also changes the count of threads that have made no torch call yet. So the thread's
    own count is set in torch's libraries where they export it; elsewhere no other thread starts meanwhile.
    """
    import torch

    with _starting:
        threads = torch.get_num_threads()  # what threads begin with; asking fixes it
        for set_own_count in own_count_setters():
            set_own_count(1)
        if not own_count_setters():
            torch.set_num_threads(1)
            restorer = threading.Thread(target=torch.set_num_threads, args=(threads,))
            restorer.start()
            restorer.join()


@cache
def own_count_setters() -> tuple[Callable[[int], object], ...]:
    """The functions of OpenMP, and of MKL where torch has it, that set the calling thread's count alone.

    They are looked up in the libraries that torch has loaded; empty where they are not found.
    """
    import torch

    names = ["omp_set_num_threads", *["MKL_Set_Num_Threads_Local"] * torch.backends.mkl.is_available()]
    try:
        libraries = ctypes.CDLL(torch_library_path())
        return tuple(getattr(libraries, name) for name in names)
    except (OSError, AttributeError):
        return ()


def check_rank(rank: object) -> None:
    """Refuse a rank of another type, such as the index that `map(with_indices=True)` passes in its place."""
    if rank is None:
        return
    if called_with_indices():
        raise SettingsError(
            "map(with_indices=True) passes an index where the tagger takes a rank. Leave with_indices out; "
            "to use the index too, wrap it: ds.map(lambda row, index: tagger(row), with_indices=True)."
        )
    if isinstance(rank, bool) or not isinstance(rank, Integral) or rank < 0:
        raise invalid("rank", rank, "None or a whole number of at least 0")


def pick_device(device: str | None, rank: int | None = None) -> str:
    """The device asked for, else the one of this worker, else a CUDA device by its rank, else the CPU."""
    import torch

    if device is None and rank is None:
        device = current_worker().device
    if device is not None and not device.startswith("cuda"):
        return device
    # Not is_available(): it opens a CUDA context, and no process forked after that could use CUDA.
    count = torch.cuda.device_count()
    if count and is_in_bad_fork():
        raise ProcessError(
            "CUDA was used in the parent process, and forked workers cannot use it after that. Tag only in "
            "the workers, or start them afresh: import multiprocess; multiprocess.set_start_method('spawn')."
        )
    if device is None:
        return f"cuda:{(current_worker().rank if rank is None else rank) % count}" if count else "cpu"
    if not count:
        raise SettingsError(f"device={device!r}: torch {torch.__version__} finds no CUDA device.")
    return device


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
