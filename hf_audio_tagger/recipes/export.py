"""Writes the output files of a recipe in Data-Juicer's layout.

`res.jsonl` has the samples, without META and STATS unless the recipe keeps them. `res_stats.jsonl` has only
these two, in the same order. `res_failed.jsonl`, which Data-Juicer does not write, lists unreadable media.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import Any, BinaryIO

from datasets import Dataset

from ..atomic_files import open_atomic, sync
from ..disk import find_system_folder
from ..errors import SettingsError
from .operator import META, STATS

ROWS_AT_A_TIME = 1000


@dataclass(frozen=True)
class Failure:
    """A medium that could not be read. Its sample is kept."""

    sample: int  # index from 0; the line in the export if no filter drops samples
    media: str
    reason: str


def export(samples: Dataset, path: Path, keep_stats: bool, failures: Sequence[Failure]) -> list[Path]:
    """Write temporary files, then rename all: a full disk leaves no partial export.

    The samples file is renamed last, so if it is new, the others are too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _, stats_path, failed_path = output_paths(path)
    extras = [name for name in (STATS, META) if name in samples.column_names]
    result = samples if keep_stats else samples.remove_columns(extras)
    writers: dict[Path, Callable[[BinaryIO], Any]] = {}
    if extras:
        writers[stats_path] = lambda file: write_lines(iterate_rows(samples.select_columns(extras)), file)
    if failures:
        writers[failed_path] = lambda file: write_lines(map(vars, failures), file)
    writers[path] = lambda file: WRITERS[path.suffix.lower()](result, file)
    with ExitStack() as stack:  # files are renamed in reverse order
        files = {output: stack.enter_context(open_atomic(output)) for output in reversed(writers)}
        for output, write in writers.items():
            write(files[output])
            sync(files[output])
        failed_path.unlink(missing_ok=True)  # of an earlier run
    return list(writers)


def export_samples(samples: Dataset, path: Path, suffix: str) -> None:
    """Write all columns of the samples to a file, in the format of a suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_atomic(path) as file:
        WRITERS[suffix.lower()](samples, file)
        sync(file)


def output_paths(path: Path) -> tuple[Path, Path, Path]:
    """The files that an export writes or removes: samples, stats, failures."""
    return path, path.with_name(path.stem + "_stats.jsonl"), path.with_name(path.stem + "_failed.jsonl")


def check_outputs(outputs: Sequence[tuple[str, Path]], inputs: Sequence[Path], overwrite: bool) -> None:
    """Refuse an output that would overwrite an input or another one, or without `overwrite` one that exists.

    `outputs` are files with the option that names them. `inputs` are the files that the run reads, and
    folders of which it reads all files.
    """
    folders = [Path(os.path.realpath(file)) for file in inputs if file.is_dir()]
    seen: set[str] = set()
    for option, output in outputs:
        problem = None
        inside = [folder for folder in folders if folder in Path(os.path.realpath(output)).parents]
        if system := find_system_folder(output):
            problem = f"is in {system}, where the system shows its devices and states; name another file."
        elif output.is_dir():
            problem = "is a folder; name a file."
        elif output.exists() and any(file.exists() and file.samefile(output) for file in inputs):
            problem = "is an input of this recipe; name another file."
        elif inside:
            problem = f"is in {inside[0]}, and the next run would read it as samples; name a file outside."
        elif os.path.lexists(output) and not overwrite:
            problem = f"exists. To replace it: overwrite=True. To keep it: another {option}."
        elif os.path.realpath(output) in seen:
            problem = "is written twice by this recipe; name another file."
        if problem:
            raise SettingsError(f"{option}: {output} {problem}")
        seen.add(os.path.realpath(output))


def iterate_rows(samples: Dataset) -> Iterator[dict[str, Any]]:
    for columns in samples.iter(ROWS_AT_A_TIME):
        for values in zip(*columns.values(), strict=True):
            yield dict(zip(columns, values, strict=True))


def write_lines(rows: Iterable[dict[str, Any]], file: BinaryIO) -> None:
    file.writelines(encode_json(row) + b"\n" for row in rows)


def write_array(rows: Iterable[dict[str, Any]], file: BinaryIO) -> None:
    file.write(b"[")
    file.writelines((b",\n" if number else b"") + encode_json(row) for number, row in enumerate(rows))
    file.write(b"]")


def encode_json(row: dict[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False, default=encode_date).encode()


def encode_date(value: Any) -> str:
    if isinstance(value, (date, time)):
        return value.isoformat()
    raise SettingsError(f"JSON cannot hold a value of type {type(value).__name__}; export to .parquet.")


WRITERS: dict[str, Callable[[Dataset, BinaryIO], Any]] = {
    ".jsonl": lambda samples, file: write_lines(iterate_rows(samples), file),
    ".json": lambda samples, file: write_array(iterate_rows(samples), file),
    ".parquet": lambda samples, file: samples.to_parquet(file),
}
