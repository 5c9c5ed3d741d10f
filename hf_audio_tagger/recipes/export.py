"""The files that a recipe's run leaves, as Data-Juicer lays them out.

`res.jsonl` has the samples, without meta and stats unless they are to be kept; `res_stats.jsonl`
beside it has meta and stats alone, line for line the same samples. What could not be read is listed
in `res_failed.jsonl`, a file that Data-Juicer does not know, so that the others keep their format.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, time
from pathlib import Path
from typing import Any

from datasets import Dataset

from ..atomic_files import replace_file, sync
from ..errors import SettingsError
from .contract import META, STATS, Failure

ROWS_AT_A_TIME = 1000


def export(samples: Dataset, path: Path, keep_stats: bool, failures: Sequence[Failure]) -> list[Path]:
    """Write the files beside their places, then put all in place: a disk that fills up leaves none there.

    The samples' own comes last, so that where it is new, all are.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _, stats_path, failed_path = outputs_of(path)
    extras = [name for name in (STATS, META) if name in samples.column_names]
    result = samples if keep_stats else samples.remove_columns(extras)
    writers: dict[Path, Callable[[Path], Any]] = {}
    if extras:
        writers[stats_path] = lambda file: write_lines(rows_of(samples.select_columns(extras)), file)
    if failures:
        writers[failed_path] = lambda file: write_lines(map(vars, failures), file)
    writers[path] = lambda file: WRITERS[path.suffix.lower()](result, file)
    partials = {place: place.with_name(f".{place.name}.{os.getpid()}.partial") for place in writers}
    try:
        for place, write in writers.items():
            write(partials[place])
            with open(partials[place], "rb+") as file:
                sync(file)
        failed_path.unlink(missing_ok=True)  # of a run before this one
        for place, partial in partials.items():
            replace_file(partial, place)
    finally:
        for partial in partials.values():
            partial.unlink(missing_ok=True)
    return list(writers)


def outputs_of(path: Path) -> tuple[Path, Path, Path]:
    """The files that an export writes or removes: samples, stats, failures."""
    return path, path.with_name(path.stem + "_stats.jsonl"), path.with_name(path.stem + "_failed.jsonl")


def check_export(path: Path, inputs: Sequence[Path], overwrite: bool) -> None:
    """Refuse an export that would write over what is read, and, unless asked for, over anything.

    `inputs` are the files that the run reads, and folders of which it reads all files.
    """
    read = {(info.st_dev, info.st_ino) for file in inputs if file.exists() for info in [file.stat()]}
    folders = [Path(os.path.realpath(file)) for file in inputs if file.is_dir()]
    for output in outputs_of(path):
        if output.is_dir():
            raise SettingsError(f"export_path: {output} is a folder; name a file.")
        if output.exists() and (output.stat().st_dev, output.stat().st_ino) in read:
            raise SettingsError(
                f"export_path: {output} is a file that this recipe reads; name another place."
            )
        inside = next((one for one in folders if one in Path(os.path.realpath(output)).parents), None)
        if inside is not None:
            raise SettingsError(
                f"export_path: {output} lies in {inside}, whose files are the samples: the next run would "
                "take it for some. Name a place outside."
            )
        if os.path.lexists(output) and not overwrite:
            raise SettingsError(
                f"export_path: {output} is there already. --overwrite (overwrite=True) replaces it with what "
                "belongs to it, another export_path keeps both."
            )


def rows_of(samples: Dataset) -> Iterator[dict[str, Any]]:
    for start in range(0, len(samples), ROWS_AT_A_TIME):
        columns = samples[start : start + ROWS_AT_A_TIME]
        for values in zip(*columns.values(), strict=True):
            yield dict(zip(columns, values, strict=True))


def write_lines(rows: Iterable[dict[str, Any]], path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json_of(row) + "\n" for row in rows)


def write_array(rows: Iterable[dict[str, Any]], path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write("[")
        file.writelines(("" if place == 0 else ",\n") + json_of(row) for place, row in enumerate(rows))
        file.write("]")


def json_of(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, default=plain)


def plain(value: Any) -> str:
    if isinstance(value, (date, time)):
        return value.isoformat()
    raise SettingsError(f"JSON cannot hold a value of type {type(value).__name__}; export to .parquet.")


WRITERS: dict[str, Callable[[Dataset, Path], Any]] = {
    ".jsonl": lambda samples, path: write_lines(rows_of(samples), path),
    ".json": lambda samples, path: write_array(rows_of(samples), path),
    ".parquet": lambda samples, path: samples.to_parquet(path),
}
