"""Where nothing can be written: which disk is full (an error of the system seldom names it), devices."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

SYSTEM_FOLDERS, SHARED_MEMORY = ("/dev", "/proc", "/sys"), "/dev/shm"
SHORT_BYTES = 1 << 20  # a disk with less than this counts as full


def find_system_folder(path: str | os.PathLike[str]) -> str | None:
    """The folder of the system's devices and states that a path is in, where no result can be kept.

    >>> find_system_folder("/dev/full"), find_system_folder("/dev/shm/out")
    ('/dev', None)
    """
    place = Path(os.path.realpath(path))
    if place.is_relative_to(SHARED_MEMORY):
        return None
    return next((folder for folder in SYSTEM_FOLDERS if place.is_relative_to(folder)), None)


def describe_fullest(paths: Iterable[str | os.PathLike[str]]) -> str:
    """The disk with the least space left, of those that hold these paths.

    >>> describe_fullest(["/"])  # doctest: +SKIP
    'the disk at / has 12,288 of 24,576 bytes left'
    """
    left = {find_mount(path): shutil.disk_usage(find_mount(path)) for path in paths}
    place, usage = min(left.items(), key=lambda one: one[1].free)
    return f"the disk at {place} has {usage.free:,} of {usage.total:,} bytes left"


def is_full(path: str | os.PathLike[str]) -> bool:
    """Whether hardly anything can be written to the disk of a path."""
    return shutil.disk_usage(find_mount(path)).free < SHORT_BYTES


def find_mount(path: str | os.PathLike[str]) -> Path:
    """The root of the file system that holds a path, or would hold it."""
    place = Path(path).absolute()
    return next(one for one in (place, *place.parents) if os.path.ismount(one))
