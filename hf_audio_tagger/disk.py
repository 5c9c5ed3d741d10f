"""Which disk is full: an error of the system names the reason, and seldom the place."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

SHORT_BYTES = 1 << 20  # a disk with less than this counts as full


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
