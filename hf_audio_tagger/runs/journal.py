"""What was said of each clip of a collection, a line each, written while a run goes on."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from ..cells import BytesMedia, FileMedia, Media, SamplesMedia, is_url
from .typed_json import read_as

FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9 ._-]{0,199}")  # as `safe_names` makes them


@dataclass(frozen=True)
class Entry:
    """A line of the journal: what was said of one clip."""

    name: str  # of its file, without extension
    id: str | int
    content: str | None  # by which a file that has changed is told
    patches: int = 0  # 0: it has no sound
    step_seconds: float = 0.0  # from one patch's start to the next one's
    patch_seconds: float = 0.0
    end_seconds: float = 0.0  # of its last patch
    error: str | None = None
    origin: str | None = None  # the row of a dataset that holds the content; None: it is a file of its own


def append_line(path: Path, values: Mapping[str, Any] | None = None) -> None:
    """One write, which workers that append to the same file do not tear."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, b"\n" if values is None else json.dumps(values).encode() + b"\n")
    finally:
        os.close(handle)


def read_journal(path: Path) -> tuple[dict[str, Entry], int]:
    """The last that was said of each file, by its name in lower case: some file systems know no other.

    Beside it, how many lines hold what no run writes.
    """
    entries = {}
    damaged = 0
    if path.exists():
        with open(path, "rb") as file:
            for line in file:
                try:
                    entry = read_entry(line)
                except json.JSONDecodeError:
                    continue  # empty, or torn by the end of a run
                except ValueError:
                    damaged += 1
                else:
                    entries[entry.name.lower()] = entry
    return entries, damaged


def read_entry(line: bytes) -> Entry:
    """An entry whose name is that of one file, in the folder of arrays and nowhere else."""
    entry = read_as(Entry, line)
    if FILE_NAME.fullmatch(entry.name) is None or entry.patches < 0:
        raise ValueError(f"{entry} is nothing that a run writes")
    return entry


def is_local_file(media: Media) -> TypeGuard[FileMedia]:
    """True for media that may change while the row that names them stays as it is."""
    return isinstance(media, FileMedia) and not is_url(media.path)


def content_of(media: Media) -> str | None:
    """What tells a clip's content from another's: a file's size and time of change, or a digest.

    Of a URL it is a digest of the address, which may hold a secret: another address, another clip.
    """
    if is_local_file(media):
        try:
            info = os.stat(media.path)
        except (OSError, ValueError):
            return None
        return f"{info.st_size} bytes of {info.st_mtime_ns}"
    if isinstance(media, FileMedia):
        return hashlib.blake2b(media.path.encode(), digest_size=16).hexdigest()
    if isinstance(media, BytesMedia):
        return hashlib.blake2b(media.data, digest_size=16).hexdigest()
    if isinstance(media, SamplesMedia):
        return hashlib.blake2b(media.samples.tobytes(), digest_size=16).hexdigest()
    return None
