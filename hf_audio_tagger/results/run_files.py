"""The files that a run left in its folder or beside its file: where they are, which hold its rows.

`runs/run_folder.py` says more of them.
"""

import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SettingsError
from ..stores import Place, StorePath, is_store

STATE = ".hf_audio_tagger"
FILES = (".jsonl", ".parquet")  # that DEST may be instead of a folder
BESIDE = ".tags.parquet"  # after a tar's name: its results, beside it
NAME = "shard-{:05d}.parquet"
NAME_PATTERN = re.compile(r"shard-(\d{5,})\.parquet")


@dataclass(frozen=True)
class RunFiles:
    """A run's Parquet files in the order of the rows, and the folder of relative paths."""

    files: tuple[Place, ...]
    base: str | None


def find_run_files(dest: str | os.PathLike[str], split: str | None = None) -> RunFiles | None:
    """What a run has written to DEST, a folder or a file; None for anything else."""
    name = os.fspath(dest)
    place: Place = StorePath(name) if is_store(name) else Path(name).expanduser()
    record = read_record(find_state(place))
    base = find_base(record.get("source"))
    files: tuple[Place, ...] = ()
    if place.suffix == ".parquet" and place.is_file():
        files = (place,)
    elif record:  # lines of JSON hold paths alone: the run's shards have more
        files = tuple(find_shards(find_shard_folder(place), count_shards(record)).values())
    if not files and isinstance(place, Path) and (place / STATE).is_dir():
        files = tuple(sorted(place.rglob(f"*{BESIDE}")))
    if files and split is not None:
        raise SettingsError(f"{name} has no splits; leave split={split!r} out.")
    return RunFiles(files, base) if files else None


def find_state(dest: Place) -> Place:
    """The folder of a run's state: in DEST, or beside it."""
    return dest.with_name(f".{dest.name}{STATE}") if dest.suffix in FILES else dest / STATE


def find_shard_folder(dest: Place) -> Place:
    return (find_state(dest) if dest.suffix in FILES else dest) / "data"


def shard_path(folder: Place, index: int) -> Place:
    return folder / NAME.format(index)


def shard_index(path: Place) -> int | None:
    """The number in a shard's name; None for any other name.

    >>> shard_index(Path("data/shard-00012.parquet")), shard_index(Path("data/shard-00012 (copy).parquet"))
    (12, None)
    """
    match = NAME_PATTERN.fullmatch(path.name)
    index = int(match[1]) if match else None
    return index if index is not None and NAME.format(index) == path.name else None


def find_shards(folder: Place, count: int | None = None) -> dict[int, Place]:
    """The shards in a folder by index, in the order of the rows; the first `count` of them at most."""
    found = {index: path for path in folder.glob("shard-*") if (index := shard_index(path)) is not None}
    return {index: found[index] for index in sorted(found) if count is None or index < count}


def read_record(state: Place) -> dict[str, Any]:
    """The record of a run; empty where it cannot be read."""
    with suppress(OSError, ValueError, RecursionError):
        loaded = json.loads((state / "run.json").read_bytes())
        return loaded if isinstance(loaded, dict) else {}
    return {}


def count_shards(record: dict[str, Any]) -> int | None:
    """The shards of the whole run: a smaller limit leaves others behind. None where it is not known."""
    rows, limit, size = record.get("source_rows"), record.get("limit"), record.get("shard_rows")
    counts = [count for count in (rows, limit) if isinstance(count, int) and count > 0]
    if not counts or not isinstance(rows, int) or not isinstance(size, int) or size < 1:
        return None
    return -(-min(counts) // size)


def find_base(source: Any) -> str | None:
    """The folder where relative paths of a source start."""
    if not isinstance(source, str):
        return None
    with suppress(OSError, ValueError):
        path = Path(source).expanduser()
        if path.is_dir():
            return str(path.absolute())
        if path.is_file():
            return str(path.absolute().parent)
    return None
