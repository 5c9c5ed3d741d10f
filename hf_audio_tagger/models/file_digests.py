"""Digests of a model's files by their whole content."""

import hashlib
import os
from functools import lru_cache
from pathlib import Path

SUFFIXES = (".json", ".safetensors", ".bin", ".py", ".pt", ".pth", ".h5")  # what loading may read


def digest_folder(path: str) -> str | None:
    """The digest of a local checkpoint's files; None for what is no folder, such as a Hub id."""
    folder = Path(path)
    if not folder.is_dir():
        return None
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(folder.iterdir()):
        if file.suffix in SUFFIXES and file.is_file():
            digest.update(f"{file.name}\0{digest_file(str(file))}\0".encode())
    return digest.hexdigest()


def digest_file(path: str) -> str:
    """The digest of a file, which is read once for each size and modification time."""
    info = os.stat(path)
    return _digest_content(path, info.st_size, info.st_mtime_ns, info.st_ino)


@lru_cache(maxsize=64)
def _digest_content(path: str, size: int, mtime_ns: int, inode: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
