"""What fsspec has no public name for."""

from typing import Any


def find_cached_copy(system: Any, path: str) -> Any:
    """What a caching file system keeps of a file: the copy's path, or details of it, or something false.

    Publicly it is found out only by opening the file, which downloads it.
    """
    return system._check_file(path)
