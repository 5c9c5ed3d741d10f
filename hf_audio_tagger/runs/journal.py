"""The journal of a labelling run: a line for each clip, from which the run is resumed.

Each of several commands that share a run has a journal of its own, and notes when it has done its share. When
one starts alone, it adds the journals of the others to the one of all.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..atomic_files import write_file
from ..checks import read_as
from ..digests import digest_values
from .share import Share

FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9 ._-]{0,199}")  # as `make_file_names` makes them
JOURNALS, JOINED = "label*.jsonl", "label.jsonl"
WORKER = "-worker-"  # in the name of a worker's journal, before its rank


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


def worker_journal_path(journal: Path, rank: int) -> Path:
    """The journal of a cluster's worker. The next run adds it to that of its command, or of all."""
    return journal.with_name(f"{journal.stem}{WORKER}{rank}.jsonl")


def find_journals(state: Path) -> list[Path]:
    """All journals, those with the newest lines last: that of all commands, those of shares, of workers.

    When a command begins, what its workers wrote before is in its own journal.
    """

    def rank(path: Path) -> tuple[bool, bool, str]:
        return path.name != JOINED, WORKER in path.name, path.name

    return sorted(state.glob(JOURNALS), key=rank)


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
    join_into(state / JOINED, find_journals(state))


def join_own_journals(journal: Path) -> None:
    """Add the journals of a command's workers to its own, while none of them works."""
    found = find_journals(journal.parent)
    join_into(journal, [one for one in found if one == journal or one.name.startswith(journal.stem + WORKER)])


def join_into(target: Path, journals: Sequence[Path]) -> None:
    others = [path for path in journals if path != target]
    if others:
        write_file(target, b"\n".join(path.read_bytes() for path in journals))
        for path in others:
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
