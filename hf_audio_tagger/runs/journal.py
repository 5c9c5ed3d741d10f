"""The results of a labelled collection's clips: a line for each, written when the clip is done."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from .typed_json import read_as

FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9 ._-]{0,199}")  # as `make_file_names` makes them


@dataclass(frozen=True)
class Entry:
    """A line of the journal: the result of one clip."""

    name: str  # of its file, without extension
    id: str | int
    content: str | None  # by which a changed clip is noticed
    patches: int = 0  # 0: it has no sound
    step_seconds: float = 0.0  # from one patch's start to the next one's
    patch_seconds: float = 0.0
    end_seconds: float = 0.0  # of its last patch
    error: str | None = None
    origin: str | None = None  # the row of a dataset that holds the content; None: a file of its own

    @property
    def is_silent(self) -> bool:
        return self.error is None and not self.patches


def read_journal(path: Path) -> tuple[dict[str, Entry], int]:
    """The last entry of each file, by its name in lower case, and the number of invalid lines."""
    entries: dict[str, Entry] = {}
    invalid_lines = 0
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            entry = read_entry(line)
        except json.JSONDecodeError:
            continue  # empty, or cut off when a run was killed
        except ValueError:
            invalid_lines += 1
        else:
            entries[entry.name.lower()] = entry  # some file systems ignore case
    return entries, invalid_lines


def read_entry(line: bytes) -> Entry:
    """An entry whose name is that of a file within the folder of arrays."""
    entry = read_as(Entry, line)
    if FILE_NAME.fullmatch(entry.name) is None or entry.patches < 0:
        raise ValueError(f"{entry} is not a result of a clip")
    return entry
