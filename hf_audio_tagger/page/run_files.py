"""The files that a run left in its folder or beside its file: rows, settings, and when they were written."""

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

STATE = ".hf_audio_tagger"


@dataclass(frozen=True)
class RunFiles:
    """A run's Parquet files in the order of the rows, its record, and the folder of relative paths."""

    files: tuple[Path, ...]
    settings: dict[str, Any]
    package_version: str | None
    base: str | None
    times: str | None  # when it was written, as a text


def find_run_files(dest: Path) -> RunFiles | None:
    """What a run has written to DEST, a folder or a .parquet file; None for anything else."""
    if dest.suffix == ".parquet" and dest.is_file():
        files, state = [dest], dest.with_name(f".{dest.name}{STATE}")
    elif (dest / STATE).is_dir():
        shards = (dest / "data").glob("shard-*.parquet")
        files, state = sorted(shards, key=lambda path: (len(path.name), path.name)), dest / STATE
    else:
        return None
    record: dict[str, Any] = {}
    with suppress(OSError, ValueError, RecursionError):
        loaded = json.loads((state / "run.json").read_bytes())
        record = loaded if isinstance(loaded, dict) else {}
    files = files[: count_shards(record)] if state.parent == dest else files
    settings, version = record.get("settings"), record.get("package_version")
    return RunFiles(
        tuple(files),
        settings if isinstance(settings, dict) else {},
        version if isinstance(version, str) else None,
        find_base(record.get("source")),
        describe_times(files),
    )


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
    path = Path(source).expanduser()
    with suppress(OSError, ValueError):
        if path.is_dir():
            return str(path.absolute())
        if path.is_file():
            return str(path.absolute().parent)
    return None


def describe_times(files: list[Path]) -> str | None:
    times = sorted(path.stat().st_mtime for path in files)
    if not times:
        return None
    first, last = (format_time(datetime.fromtimestamp(time)) for time in (times[0], times[-1]))
    return first if first == last else f"{first} to {last}"


def format_time(time: datetime) -> str:
    return time.astimezone().strftime("%Y-%m-%d %H:%M %z")
