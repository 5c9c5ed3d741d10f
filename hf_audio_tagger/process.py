"""The current process: whether it is forked, which worker it is, and its cores, threads and device.

A worker is told its rank and the number of workers, by its executor or by `datasets.map`.

torch's OpenMP threads do not survive a fork: a forked worker whose parent has computed on several
threads hangs in its first parallel region. So a forked worker drops to one thread before its first
torch call, and computes on more only in a new thread, which gets OpenMP threads of its own.
"""

import ctypes
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from functools import cache
from numbers import Integral
from typing import TypeVar

from .checks import invalid
from .compat.datasets_calls import called_with_indices, read_map_worker
from .compat.other_libraries import is_in_bad_fork, torch_library_path, worker_identity
from .errors import ProcessError, ResourceError, SettingsError
from .text import one_line

OUT_OF_MEMORY = ("out of memory", "can't allocate memory")  # in torch's errors: of a GPU, of this machine

Part = TypeVar("Part")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Worker:
    """A worker process: its rank among so many, and the cores (threads) and device that it may use."""

    rank: int = 0
    world_size: int | None = 1  # None: not told, so that it computes on one core
    cores: int = 1
    device: str | None = None  # None: a CUDA device by its rank, or the CPU


_worker: Worker | None = None  # as the executor set it
_mapping: Worker | None = None  # as `datasets.map` told it
_forked = False
_starting = threading.Lock()  # while a thread's count is not fixed
_used_openvino: set[int] = set()  # ids of processes that have run it: its threads do not survive a fork


def _after_fork() -> None:
    global _worker, _mapping, _forked, _starting
    _worker = _mapping = None
    _forked = True
    _starting = threading.Lock()  # another thread of the parent may have held it
    prepare_torch.cache_clear()
    compute_thread.cache_clear()


def is_forked() -> bool:
    """True in a process that was forked after this module was imported."""
    return _forked


def note_openvino() -> None:
    _used_openvino.add(os.getpid())


def inherits_openvino() -> bool:
    """True in a process that was forked after OpenVINO ran: OpenVINO's threads do not survive a fork."""
    return is_forked() and bool(_used_openvino - {os.getpid()})


def start_method() -> str:
    """How to start workers: "fork" on Linux, which needs no `__main__` guard in the caller's script.

    "spawn" if this process has used OpenVINO, CUDA or Ray, which do not work after a fork: a worker that is
    forked after Ray ran may die of SIGSEGV.
    """
    torch = sys.modules.get("torch")
    has_used_cuda = torch is not None and torch.cuda.is_initialized()
    cannot_fork = bool(_used_openvino) or has_used_cuda or "ray" in sys.modules
    return "fork" if sys.platform == "linux" and not cannot_fork else "spawn"


def set_worker(worker: Worker) -> None:
    """Set which worker this process is; for executors, before the first job."""
    global _worker
    _worker = worker


def current_worker() -> Worker:
    """This process's worker: as its executor set it, else as a map tells it."""
    return find_worker() if _worker is None else _worker


def find_worker() -> Worker:
    """This process's worker where no executor has set it, as in `datasets.map(num_proc=...)`.

    In a pool of another library, and in threads of a map's function before its first call, the number of
    workers is not known: then one core is taken, so that however many there are, they share the cores.
    """
    global _mapping
    identity, cores = read_pool_identity(), usable_cores()
    if not identity:
        return Worker(cores=cores)
    told = read_map_worker()
    if told is not None:
        rank, world_size = told
        _mapping = Worker(rank, world_size, max(1, cores // world_size))
    return _mapping or Worker(identity[-1] - 1, None, 1)


def usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read_pool_identity() -> tuple[int, ...]:
    """This process's identity in its pool, of `multiprocess` (which datasets uses) or `multiprocessing`."""
    modules = filter(None, (sys.modules.get("multiprocess"), multiprocessing))
    return next(filter(None, (worker_identity(module.current_process()) for module in modules)), ())


def is_worker() -> bool:
    return _worker is not None or bool(read_pool_identity())


def core_share() -> int:
    """The number of compute threads of this process: OMP_NUM_THREADS, else its worker's cores."""
    if threads := os.environ.get("OMP_NUM_THREADS", ""):
        return max(1, int(threads)) if threads.isdigit() else 1
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
    """The thread in which a forked worker computes, if it has more than one core."""
    if not is_forked() or core_share() == 1:
        return None
    import torch

    return ThreadPoolExecutor(1, "model", initializer=torch.set_num_threads, initargs=(core_share(),))


def compute(function: Callable[[], Result]) -> Result:
    """Run a model's computation in the thread that may use several cores."""
    thread = compute_thread()
    with convert_memory_errors():
        return function() if thread is None else thread.submit(copy_context().run, function).result()


@contextmanager
def convert_memory_errors() -> Iterator[None]:
    """Convert torch's error that memory has run out, of a GPU or here, to a `ResourceError` with a remedy."""
    try:
        yield
    except RuntimeError as error:  # the base of torch.OutOfMemoryError; other devices have texts alone
        if not any(text in str(error) for text in OUT_OF_MEMORY):
            raise
        raise ResourceError(
            f"The model needs more memory than there is ({one_line(error, 200)}). Use a smaller batch_size= "
            "or, where processes share a GPU, a smaller num_proc=."
        ) from error


def on_every_core(function: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
    """Apply `function` to each part: one core per part while all cores are busy, then all cores per part.

    Cores that share a part have to wait for each other after every layer.
    """
    import torch

    threads = torch.get_num_threads()
    apart = len(parts) // threads * threads if threads > 1 else 0
    done: list[Result] = []
    if apart:
        with one_thread_each(threads, "model") as pool:
            running = [pool.submit(copy_context().run, function, part) for part in parts[:apart]]
            done = [one.result() for one in running]
    return done + [function(part) for part in parts[apart:]]


def one_ahead(function: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
    """`function` of each part, in order. The next result is made, in a thread, while the caller uses one."""
    with one_thread_each(1, "ahead") as pool:
        ahead = None
        for part in parts:
            current, ahead = ahead, pool.submit(copy_context().run, function, part)
            if current is not None:
                yield current.result()
        if ahead is not None:
            yield ahead.result()


@contextmanager
def one_thread_each(count: int, name: str) -> Iterator[ThreadPoolExecutor]:
    """A pool of threads that compute on one core each. Other threads, also new ones, keep their count."""
    import torch

    with _starting:
        torch.get_num_threads()  # a first read makes the count this thread's own
    pool = ThreadPoolExecutor(count, name, initializer=compute_on_one_core)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def compute_on_one_core() -> None:
    """Initialize a new thread, before its first torch call.

    torch.set_num_threads also changes the count of threads that have made no torch call yet. So the thread's
    own count is set in torch's libraries where they export it; elsewhere no other thread starts meanwhile.
    """
    import torch

    with _starting:
        threads = torch.get_num_threads()  # the default of new threads; a first read fixes it
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
    """The requested device, else the worker's, else a CUDA device by its rank, else the CPU."""
    import torch

    if device is not None:
        check_device(device)
    elif rank is None:
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
    refuse_index(device, count)
    return device


def check_device(device: str) -> None:
    """Raise an error if torch finds no such device. `pick_device` checks CUDA's."""
    import torch

    if device == "mps" and not torch.backends.mps.is_available():
        raise SettingsError(f"device='mps': torch {torch.__version__} finds no such device.")
    if device.startswith("xpu"):
        refuse_index(device, torch.xpu.device_count())


def refuse_index(device: str, count: int) -> None:
    """Raise an error if a device such as "cuda:1" is not one of `count`."""
    kind, _, index = device.partition(":")
    if int(index or 0) >= count:
        there = ", ".join(f"{kind}:{number}" for number in range(count)) or "none"
        raise SettingsError(f"device={device!r} is not there; of {kind} devices torch finds {there}.")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
