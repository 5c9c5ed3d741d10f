"""Reads files of a disk or a store."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from .store_path import Place, StorePath

READS_AT_ONCE = 32  # of a store, where each waits for an answer

Item = TypeVar("Item")
Result = TypeVar("Result")


def open_to_read(path: Place) -> Any:
    """What pyarrow reads a file from."""
    return path.open() if isinstance(path, StorePath) else path


def read_each(function: Callable[[Item], Result], items: Iterable[Item], folder: Place) -> Iterator[Result]:
    """Apply a function that reads files of a folder to each item; side by side if it is in a store."""
    if isinstance(folder, Path):
        yield from map(function, items)
        return
    with ThreadPoolExecutor(READS_AT_ONCE, "store") as pool:
        yield from pool.map(function, items)
