"""AudioSet's own files: an index of two million rows, and which of a folder's files are there."""

import shutil
from pathlib import Path

from ..child import Answer, Subject, ask_once
from ..outcome import Figure, Outcome, Row
from ..scale import FULL
from .bench import Bench

FILES = 35_000  # of one chunk of the published downloader
# What is measured, and the most that two million rows may take: CPU seconds, MB
WAYS: dict[str, tuple[str, float, float | None]] = {
    "read": ("read", 8, 500),
    "again": ("open again", 1, None),
    "write": ("write", 20, 300),
    "weights": ("weights", 1, None),
}


def index(bench: Bench) -> Outcome:
    """Each in a process of its own. Memory is without pages of the mapped cache, which the system drops."""
    folder = bench.materials.cache / "index"
    folder.mkdir(parents=True, exist_ok=True)
    rows = bench.scale.index_rows
    is_full = rows == FULL.index_rows
    cache = folder / "datasets"
    shutil.rmtree(cache, ignore_errors=True)
    subject = Subject(
        "index_rows",
        {
            "path": str(folder / f"src_{rows}.csv"),
            "folder": str(folder / "clips"),
            "cache": str(cache),
            "rows": rows,
            "files": FILES,
        },
    )
    table: list[Row] = []
    figures = []
    for way, (words, most_seconds, most_mb) in WAYS.items():
        answer = measure(subject, "read" if way == "again" else way, bench.materials.logs)
        name = f"{words}, {rows:,} rows"
        table.append(make_row(name, answer))
        figures.append(Figure(name, answer.cpu_seconds, "CPU s", at_most=most_seconds if is_full else None))
        if most_mb is not None:
            grown = answer.values["grown_mb"]
            figures.append(Figure(f"{name}: memory", grown, "MB", at_most=most_mb if is_full else None))
    answer = measure(subject, "list", bench.materials.logs)
    name = f"which of {FILES:,} files in a folder are there"
    table.append(make_row(name, answer))
    figures.append(Figure(name, answer.cpu_seconds, "CPU s", at_most=0.2))
    return Outcome(table, figures)


def measure(subject: Subject, way: str, logs: Path) -> Answer:
    return ask_once(subject, {"way": way}, logs)


def make_row(name: str, answer: Answer) -> Row:
    return {
        "what": name,
        "CPU s": answer.cpu_seconds,
        "s": answer.seconds,
        "MB over the start": round(answer.values["grown_mb"]),
    }
