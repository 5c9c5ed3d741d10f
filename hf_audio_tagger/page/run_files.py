"""The files that a run left in its folder or beside its file: rows, settings, and when they were written."""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ..stores import Place, StorePath, is_store

STATE = ".hf_audio_tagger"
BESIDE = "*.tags.parquet"  # results of tars, each beside its tar


@dataclass(frozen=True)
class RunFiles:
    """A run's Parquet files in the order of the rows, and the folder of relative paths."""

    files: tuple[Place, ...]
    base: str | None
    times: str | None  # when it was written, as a text


def find_run_files(dest: str | os.PathLike[str]) -> RunFiles | None:
    """What a run has written to DEST, a folder or a file; None for anything else."""
    name = os.fspath(dest)
    place: Place = StorePath(name) if is_store(name) else Path(name).expanduser()
    if place.suffix == ".parquet" and place.is_file():
        record = read_record(place.with_name(f".{place.name}{STATE}"))
        return RunFiles((place,), find_base(record.get("source")), describe_times([place]))
    is_lines = place.suffix == ".jsonl"  # which hold paths alone: the run's shards have more
    state = place.with_name(f".{place.name}{STATE}") if is_lines else place / STATE
    record = read_record(state)
    shards: list[Place] = list(((state if is_lines else place) / "data").glob("shard-*.parquet"))
    shards.sort(key=lambda path: (len(path.name), path.name))
    files: tuple[Place, ...] = tuple(shards[: count_shards(record)]) if record else ()
    if not files and isinstance(place, Path) and (place / STATE).is_dir():
        files = tuple(sorted(place.rglob(BESIDE)))
    if not files:
        return None
    return RunFiles(files, find_base(record.get("source")), describe_times(files))


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


def describe_times(files: Sequence[Place]) -> str:
    """When the first and the last of some files were written."""
    times = sorted(path.stat().st_mtime_ns / 1e9 for path in files)
    first, last = (format_time(datetime.fromtimestamp(time)) for time in (times[0], times[-1]))
    return first if first == last else f"{first} to {last}"


def format_time(time: datetime) -> str:
    return time.astimezone().strftime("%Y-%m-%d %H:%M %z")
