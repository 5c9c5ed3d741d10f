"""Which shards are known to be whole: a line of name, size and time of change for each.

A shard is taken to be whole while these are the same. Digests of hundreds of gigabytes at each start would
take longer than many a run.
"""

import json
from pathlib import Path

from ..atomic_files import append_line
from .shards import read_groups

Identity = tuple[str, int, int]  # a file's name, size and time of change


def identify_file(path: Path) -> Identity:
    info = path.stat()
    return path.name, info.st_size, info.st_mtime_ns


def add_to_ledger(ledger: Path, shard: Path) -> None:
    append_line(ledger, {"shard": identify_file(shard)})


def read_ledger(ledger: Path) -> set[Identity]:
    """The shards that were whole when they were written or last read."""
    found = set()
    for line in ledger.read_bytes().splitlines() if ledger.exists() else []:
        try:
            name, size, time_ns = json.loads(line)["shard"]
            found.add((name, size, time_ns))
        except (ValueError, TypeError, KeyError, RecursionError):
            continue  # cut off when a run was killed, or damaged: its shard is read again
    return found


def check_shard(path: Path, ledger: Path, known: set[Identity]) -> None:
    """Read a shard from end to end unless it is in the ledger: a good footer does not mean good pages."""
    if identify_file(path) not in known:
        for _ in read_groups(path):
            pass
        add_to_ledger(ledger, path)
