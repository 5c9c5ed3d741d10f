"""The journal of a labelling run: a line for each clip, from which the run is resumed.

Each of several commands that share a run has a journal of its own, and notes when it has done its share. When
one starts alone, it adds the journals of the others to the one of all.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from ..atomic_files import write_file
from ..checks import read_as
from ..digests import digest_values
from .share import Share

FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9 ._-]{0,199}")  # as `make_file_names` makes them
JOURNALS, JOINED = "label*.jsonl", "label.jsonl"


@dataclass(frozen=True)
class Entry:
    """A line of the journal: the result of one clip."""

    name: str  # of its file, without extension
    id: str | int
    content: str | None  # to detect a changed clip
    patches: int = 0  # 0: it has no sound
    step_seconds: float = 0.0  # between the starts of two patches
    patch_seconds: float = 0.0
    end_seconds: float = 0.0  # of its last patch
    error: str | None = None
    origin: str | None = None  # the dataset's row that holds the content; None: a local file

    @property
    def is_silent(self) -> bool:
        return self.error is None and not self.patches


def journal_path(state: Path, share: Share | None) -> Path:
    return state / (JOINED if share is None else f"label{share.suffix}.jsonl")


def find_journals(state: Path) -> list[Path]:
    """All journals, that of all commands first: a share's own lines are newer."""
    return sorted(state.glob(JOURNALS), key=lambda path: (path.name != JOINED, path.name))


def read_journals(state: Path) -> tuple[dict[str, Entry], int]:
    """The last entry of each file, by its name in lower case, and the number of invalid lines."""
    entries: dict[str, Entry] = {}
    invalid_lines = 0
    for line in (line for path in find_journals(state) for line in path.read_bytes().splitlines()):
        try:
            entry = read_as(Entry, line)
            if FILE_NAME.fullmatch(entry.name) is None or entry.patches < 0:
                raise ValueError("not a result of a clip")
            entries[entry.name.lower()] = entry  # some file systems ignore case
        except json.JSONDecodeError:
            continue  # empty, or cut off when a run was killed
        except ValueError:
            invalid_lines += 1
    return entries, invalid_lines


def join_journals(state: Path) -> None:
    """Make all journals one, while no other command writes to any."""
    journals = find_journals(state)
    if any(path.name != JOINED for path in journals):
        write_file(state / JOINED, b"\n".join(path.read_bytes() for path in journals))
        for path in journals:
            if path.name != JOINED:
                path.unlink()


def digest_journals(state: Path) -> str:
    """A digest that changes with every line."""
    return digest_values(*((path.name, path.stat().st_size) for path in find_journals(state)))


def mark_path(state: Path, share: Share) -> Path:
    return state / f"ended{share.suffix}.json"


def note_end(state: Path, share: Share, source: str) -> None:
    """Note that a share is done: rows without a clip have no line in a journal."""
    write_file(mark_path(state, share), json.dumps({"source": source}).encode())


def has_ended(state: Path, share: Share, source: str) -> bool:
    """Whether a share of a source, as it is now, was done."""
    try:
        noted = json.loads(mark_path(state, share).read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return False
    return isinstance(noted, dict) and noted.get("source") == source
