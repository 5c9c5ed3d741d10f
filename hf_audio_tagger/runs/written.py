"""What a run remembers of the files that it wrote, by which damage is seen without reading them.

A file is taken for what was written while its size and its time of change are the same (and, for DEST, its
inode: another file in its place is another file). A digest of a hundred gigabytes at each start would take
longer than many a run.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..digests import digest_values
from .journal import append_line
from .shards import read_groups, write_file

Identity = tuple[str, int, int]  # a file's name, size and time of change


def identity_of(path: Path) -> Identity:
    info = path.stat()
    return path.name, info.st_size, info.st_mtime_ns


def remember_shard(ledger: Path, shard: Path) -> None:
    """A line for a shard that is whole."""
    append_line(ledger, {"shard": identity_of(shard)})


def remembered_shards(ledger: Path) -> set[Identity]:
    """The shards that were whole when they were written, or last read."""
    found = set()
    for line in ledger.read_bytes().splitlines() if ledger.exists() else []:
        try:
            name, size, time_ns = json.loads(line)["shard"]
            found.add((name, size, time_ns))
        except (ValueError, TypeError, KeyError, RecursionError):
            continue  # torn by the end of a run, or damaged: its shard is read again
    return found


def check_shard(path: Path, ledger: Path, remembered: set[Identity]) -> None:
    """Read a shard once from end to end unless it is remembered: a good footer tells little."""
    if identity_of(path) not in remembered:
        for _ in read_groups(path):
            pass
        remember_shard(ledger, path)


def result_state(file: Path, shards: Sequence[Path]) -> dict[str, Any]:
    """What a joined file and the shards that it was made of are like now."""
    info = file.stat()
    return {
        "file": [info.st_size, info.st_mtime_ns, info.st_ino],
        "shards": digest_values(*map(identity_of, shards)),
    }


def is_result_of(file: Path, shards: Sequence[Path], memory: Path) -> bool:
    """True for a file that stands as it was made of just these shards."""
    try:
        said = json.loads(memory.read_bytes())
        return bool(said == result_state(file, shards))
    except (FileNotFoundError, ValueError, RecursionError):
        return False


def remember_result(file: Path, shards: Sequence[Path], memory: Path) -> None:
    write_file(memory, json.dumps(result_state(file, shards)).encode())
