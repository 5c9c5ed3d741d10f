"""What the current process is: forked or not, a worker or not, its share of the cores, its device.

torch's OpenMP threads do not survive a fork: a forked worker whose parent has computed on several
threads hangs in its first parallel region. So a forked worker drops to one thread before its first
torch call, and computes on more only in a fresh thread, which gets threads of its own.
"""

import ctypes
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from numbers import Integral
from pathlib import Path
from typing import TypeVar

from .compat.datasets_calls import called_with_indices
from .compat.multiprocess_internals import worker_identity
from .compat.torch_internals import is_in_bad_fork, library_path
from .errors import ProcessError, SettingsError

Part = TypeVar("Part")
Result = TypeVar("Result")

_forked = False
_starting = threading.Lock()  # while a thread's count is not fixed
_used_openvino: set[int] = set()  # processes that have run it: their forks inherit its dead threads


def _after_fork() -> None:
    global _forked, _starting
    _forked = True
    _starting = threading.Lock()  # another thread of the parent may have held it
    prepare_torch.cache_clear()
    core_share.cache_clear()
    compute_thread.cache_clear()


def is_forked() -> bool:
    """True in a process that was forked after this module was imported."""
    return _forked


def note_openvino() -> None:
    """Remember that this process has run OpenVINO."""
    _used_openvino.add(os.getpid())


def inherits_openvino() -> bool:
    """True in a process that was forked after OpenVINO had run: it would wait for threads that are gone."""
    return is_forked() and bool(_used_openvino - {os.getpid()})


def start_method() -> str:
    """How workers begin: forked on Linux, which needs no guard in the caller's script.

    Spawned where this process has used what no fork can use again, OpenVINO or CUDA.
    """
    torch = sys.modules.get("torch")
    has_used_cuda = torch is not None and torch.cuda.is_initialized()
    return "fork" if sys.platform == "linux" and not _used_openvino and not has_used_cuda else "spawn"


def current_worker() -> tuple[str, tuple[int, ...]]:
    """Name and identity of this process, as `multiprocess` (which datasets uses) or the library knows it."""
    modules = [sys.modules.get("multiprocess"), multiprocessing]
    for module in modules:
        if module is not None:
            process = module.current_process()
            if identity := worker_identity(process):
                return process.name, identity
    return "MainProcess", ()


def is_worker() -> bool:
    return bool(current_worker()[1])


def worker_rank() -> int:
    """This worker's place among its siblings, also where `map` was not asked for ranks."""
    identity = current_worker()[1]
    return identity[-1] - 1 if identity else 0


@cache
def core_share() -> int:
    """Threads that this process may compute on: all cores, or a worker's equal part of them."""
    if asked := os.environ.get("OMP_NUM_THREADS", ""):
        return max(1, int(asked)) if asked.isdigit() else 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // max(1, sibling_count())) if is_worker() else cores


def sibling_count() -> int:
    """Workers of the same pool, this one among them: our parent's children less the pool's manager.

    Where the system does not tell (it is not Linux), every core counts as taken.
    """
    parent = str(os.getppid()).encode()
    stats = [stat for path in Path("/proc").glob("[0-9]*/stat") if (stat := content_of(path))]
    if not stats:
        return os.cpu_count() or 1
    children = sum(stat.rpartition(b")")[2].split()[1] == parent for stat in stats)
    return max(1, children - 1)


def content_of(path: Path) -> bytes:
    """What a file of the system says, undecoded, as names may be cut; nothing where its process has ended."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


@cache
def prepare_torch() -> None:
    """Before a process's first torch call: threads that fit what the process is."""
    import torch

    if is_forked():
        torch.set_num_threads(1)
    elif is_worker():
        torch.set_num_threads(core_share())


@cache
def compute_thread() -> ThreadPoolExecutor | None:
    """The thread that a forked worker computes in, where its share is more than one core."""
    if not is_forked() or core_share() == 1:
        return None
    import torch

    return ThreadPoolExecutor(1, "model", initializer=torch.set_num_threads, initargs=(core_share(),))


def compute(function: Callable[[], Result]) -> Result:
    """Run the model's work where this process may use several threads."""
    thread = compute_thread()
    return function() if thread is None else thread.submit(function).result()


def on_every_core(function: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
    """`function` of each part: a core to a part while every core has one, then all cores to each of the rest.

    Cores that work apart wait for nobody; together they meet at the end of every layer.
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
    """Threads that compute on a core each. All others keep their count, those that begin meanwhile too."""
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

    torch.set_num_threads also sets the count that threads begin with whose first torch call is yet to come.
    So the thread's own count is set where torch's libraries let it be; elsewhere all others wait meanwhile.
    """
    import torch

    with _starting:
        threads = torch.get_num_threads()  # what threads begin with; asking fixes it
        setters = own_count_setters()
        for set_own_count in setters:
            set_own_count(1)
        if not setters:
            torch.set_num_threads(1)
            restorer = threading.Thread(target=torch.set_num_threads, args=(threads,))
            restorer.start()
            restorer.join()


@cache
def own_count_setters() -> tuple[Callable[[int], object], ...]:
    """The functions of OpenMP, and of MKL where torch has it, that set the calling thread's count alone.

    They are looked up in the libraries that torch itself has loaded. None, where they are not found.
    """
    import torch

    names = ["omp_set_num_threads", *["MKL_Set_Num_Threads_Local"] * torch.backends.mkl.is_available()]
    try:
        libraries = ctypes.CDLL(library_path())
        return tuple(getattr(libraries, name) for name in names)
    except (OSError, AttributeError):
        return ()


def check_rank(rank: object) -> None:
    """Refuse what is no rank, such as what `map(with_indices=True)` passes in its place."""
    if rank is None:
        return
    if called_with_indices():
        raise SettingsError(
            "map(with_indices=True) passes an index where the tagger takes a rank. Leave with_indices out; "
            "to use the index too, wrap it: ds.map(lambda row, index: tagger(row), with_indices=True)."
        )
    if isinstance(rank, bool) or not isinstance(rank, Integral) or rank < 0:
        raise SettingsError(f"rank={rank!r} cannot be; it is None or a whole number from 0 on.")


def pick_device(device: str | None, rank: int | None) -> str:
    """The device asked for, else a CUDA device by the worker's rank, else the CPU."""
    import torch

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
        return f"cuda:{(worker_rank() if rank is None else rank) % count}" if count else "cpu"
    if not count:
        raise SettingsError(f"device={device!r}: torch {torch.__version__} sees no CUDA device here.")
    return device


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
