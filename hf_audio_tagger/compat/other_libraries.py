"""Private names of torch, fsspec, multiprocess, typer and Ray. Importing this module imports none of them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any


def torch_library_path() -> str:
    """The file of torch's extension module, in which symbols of its OpenMP and MKL are found."""
    import torch

    return str(torch._C.__file__)


def is_in_bad_fork() -> bool:
    """True in a process that was forked after its parent had used CUDA: using CUDA raises here."""
    import torch

    return bool(torch.cuda._is_in_bad_fork())


def find_bfloat16_units() -> list[str]:
    """The units of the CPU that compute bfloat16 products."""
    import torch

    units = {"amx": torch.cpu._is_amx_tile_supported(), "avx512_bf16": torch.cpu._is_avx512_bf16_supported()}
    return [name for name, is_supported in units.items() if is_supported]


def find_cached_copy(system: Any, path: str) -> Any:
    """The cached copy of a file in a caching fsspec file system: its path or details, or a falsy value."""
    return system._check_file(path)


def called_by_pool() -> bool:
    """True in the thread in which a pool of multiprocess or multiprocessing pickles tasks for its workers."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "_handle_tasks" and frame.f_globals["__name__"].endswith(".pool"):
            return True
        frame = frame.f_back
    return False


@contextmanager
def without_ray_messages() -> Iterator[None]:
    """Keep Ray from printing on standard output what happens to its workers and nodes."""
    from ray._private import worker

    shown = worker.print_to_stdstream
    worker.print_to_stdstream = lambda *values, **options: None
    try:
        yield
    finally:
        worker.print_to_stdstream = shown


def find_ray_address() -> str:
    """The cluster that Ray takes for "auto": that of `RAY_ADDRESS`, or one of this machine; "" for none."""
    from ray._private.services import get_ray_address_from_environment

    with suppress(ConnectionError):
        return str(get_ray_address_from_environment("auto", None) or "")
    return ""


def worker_identity(process: Any) -> tuple[int, ...]:
    """The worker's number, after those of its parent processes; () in a main process."""
    return tuple(process._identity)


def set_usage_error_exit_code(code: int) -> None:
    """Set the exit code of wrong usage. The class, click's UsageError, has no name in typer."""
    import typer

    usage_error = typer.BadParameter.__base__
    assert usage_error is not None
    assert usage_error.__name__ == "UsageError"
    usage_error.exit_code = code  # type: ignore[attr-defined]
