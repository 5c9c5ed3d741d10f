"""Files of a run, written whole or not at all: on a disk by renaming, in a store by putting."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from .. import atomic_files
from ..stores import Place, StorePath
from ..stores.store_path import open_scratch


class WholeFile:
    """A file to write, which appears at its path by `publish`; `discard` leaves nothing of it."""

    def __init__(self, path: Place) -> None:
        self.path = path
        self.temporary = None if isinstance(path, StorePath) else atomic_files.temporary_path(path)
        self.file: BinaryIO = open_scratch() if self.temporary is None else self.temporary.open("wb")

    def publish(self) -> None:
        if isinstance(self.path, StorePath):
            self.path.put(self.file)
        elif self.temporary is not None:
            atomic_files.sync(self.file)
            self.file.close()
            atomic_files.replace_file(self.temporary, self.path)
        self.file.close()

    def discard(self) -> None:
        """Also after `publish`, where it does nothing."""
        with suppress(Exception):  # what is still buffered may not be written
            self.file.close()
        if self.temporary is not None:
            self.temporary.unlink(missing_ok=True)


@contextmanager
def open_whole(path: Place, folder: Place) -> Iterator[BinaryIO]:
    """A file to write, published when the block ends.

    Args:
        folder: of the temporary file, if there is one.
    """
    if isinstance(path, StorePath):
        with open_scratch() as file:
            yield file
            path.put(file)
        return
    assert isinstance(folder, Path)
    with atomic_files.open_atomic(path, folder) as file:
        yield file


def write_file(path: Place, data: bytes) -> None:
    if isinstance(path, StorePath):
        path.write_bytes(data)
    else:
        atomic_files.write_file(path, data)


def rename_file(path: Place, name: str) -> Place:
    """Give a file another name in its folder."""
    target = path.with_name(name)
    if isinstance(path, StorePath) and isinstance(target, StorePath):
        path.rename(target)
    else:
        os.replace(str(path), str(target))
    return target


def remove_leftovers(folder: Place, is_ours: Callable[[str], bool] = lambda name: True) -> None:
    """Remove the temporary files of processes that were killed."""
    if isinstance(folder, Path):
        atomic_files.remove_leftovers(folder, is_ours)
        return
    for path in folder.glob(".*.tmp"):  # shards have none there, but a mark for a cluster's nodes
        match = atomic_files.TEMPORARY.fullmatch(path.name)
        if match and is_ours(match["name"]):
            path.unlink(missing_ok=True)
