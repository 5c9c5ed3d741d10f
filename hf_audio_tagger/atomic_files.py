"""Atomic writes: a file is written under a temporary name, synced and renamed in one step."""

import json
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

TEMPORARY = re.compile(r"\.(?P<name>.+?)(\.[0-9a-f]{8})?\.\d+\.tmp", re.DOTALL)


def temporary_path(path: Path) -> Path:
    """A hidden path, so that `load_dataset` skips it; each process has its own, also on other hosts."""
    return path.with_name(f".{path.name}.{draw_token(os.getpid())}.{os.getpid()}.tmp")


@cache
def draw_token(pid: int) -> str:
    """A random text for a process: on a shared disk, processes of several hosts may have the same number."""
    return secrets.token_hex(4)


def sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def replace_file(temporary: Path, path: Path) -> None:
    """Rename a synced file to its final name, and sync its folder."""
    os.replace(temporary, path)
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def open_atomic(path: Path, folder: Path | None = None) -> Iterator[BinaryIO]:
    """A file to write, renamed to `path` when the block ends; removed if the block raises.

    Args:
        folder: of the temporary file. Default: that of `path`.
    """
    temporary = temporary_path((folder or path.parent) / path.name)
    try:
        with open(temporary, "wb") as file:
            yield file
            sync(file)
        replace_file(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_file(path: Path, data: bytes) -> None:
    with open_atomic(path) as file:
        file.write(data)


def append_line(path: Path, values: Mapping[str, Any] | None = None) -> None:
    """Append a line of JSON, or an empty one, in one write: lines of several processes do not mix."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, b"\n" if values is None else json.dumps(values).encode() + b"\n")
    finally:
        os.close(handle)


def remove_leftovers(folder: Path, is_ours: Callable[[str], bool] = lambda name: True) -> None:
    """Remove the temporary files of processes that were killed.

    Args:
        is_ours: tells of a file's final name whether no other process may be writing it now.
    """
    for path in folder.glob(".*.tmp"):
        match = TEMPORARY.fullmatch(path.name)
        if match and is_ours(match["name"]) and not path.is_dir():
            path.unlink(missing_ok=True)
