"""The facts of a run's shards as a summary, and its failures as a file."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..atomic_files import write_file
from ..columns import error_column
from ..results.summary import Summary
from ..rows import pick_column
from ..scores import EMPTY
from ..tagger import Tagger
from .record import make_fingerprint
from .run_folder import RunFolder
from .shards import read_column_names, read_columns, read_footer, read_texts, shard_index, shard_paths

MOST_TAGS = 10


@dataclass(frozen=True)
class Failure:
    row: int
    video: int  # its place in the row
    path: str | None
    error: str


def summarize(
    folder: RunFolder,
    tagger: Tagger,
    shard_rows: int,
    processed_now: int = 0,
    seconds: float = 0.0,
    rate: float = 0.0,
) -> Summary:
    """Count the shards' rows and list the failures in their file."""
    errors = error_column(tagger.tag_column).name
    kinds: Counter[str] = Counter()
    tags: Counter[str] = Counter()
    failures: list[Failure] = []
    row_count = 0
    for path in shard_paths(folder.shards):
        table = read_columns(path, [tagger.tag_column, errors])
        tag_cells = table[tagger.tag_column].to_pylist()
        error_cells = table[errors].to_pylist() if errors in table.column_names else [None] * len(table)
        for row_tags, row_errors in zip(tag_cells, error_cells, strict=True):
            kinds[kind_of(row_tags or [], row_errors or [])] += 1
            tags.update(tag for tag in row_tags or [] if tag not in (None, EMPTY))
        if any(one is not None for cell in error_cells for one in cell or []):
            index = shard_index(path)
            assert index is not None
            first_row = index * shard_rows  # shards before it may be short or lacking still
            failures.extend(failures_in(path, tagger, errors, first_row))
        row_count += len(table)
    return Summary(
        dest=folder.dest,
        rows=row_count,
        tagged=kinds["tagged"],
        empty=kinds["empty"],
        without_videos=kinds["without_videos"],
        failed=kinds["failed"],
        processed_now=processed_now,
        seconds=round(seconds, 3),
        clips_per_second=round(rate, 3),
        most_frequent=tuple(sorted(tags.items(), key=lambda one: (-one[1], one[0]))[:MOST_TAGS]),
        failures=write_failures(folder.failures, [asdict(one) for one in failures]),
        kept=count_kept(folder, make_fingerprint(tagger)),
    )


def count_kept(folder: RunFolder, fingerprint: str) -> int:
    """The rows of existing shards that came with their tags."""
    footers = (read_footer(path, fingerprint) for path in shard_paths(folder.shards))
    return sum(footer.kept_rows for footer in footers if footer is not None)


def kind_of(tags: list[str | None], errors: list[str | None]) -> str:
    if any(error is not None for error in errors):
        return "failed"
    if not tags:
        return "without_videos"
    return "empty" if all(tag == EMPTY for tag in tags) else "tagged"


def failures_in(path: Path, tagger: Tagger, errors: str, first_row: int) -> Iterator[Failure]:
    """Each video of a shard that failed, by what its row calls it; the media's bytes are not read."""
    column = pick_column(read_column_names(path), tagger.column)
    table = read_texts(path, column, [errors])
    cells = table[column] if column in table.column_names else [None] * len(table)
    for place, row_errors in enumerate(table[errors].to_pylist()):
        for number, error in enumerate(row_errors or []):
            if error is not None:
                yield Failure(first_row + place, number, name_of(cells[place], number), error)


def name_of(cell: pa.Scalar | None, number: int) -> str | None:
    """What a cell calls one of its videos, or None."""
    value = None if cell is None else cell.as_py()
    video = value[number] if isinstance(value, list) else value
    return video["path"] if isinstance(video, dict) else video


def write_failures(path: Path, failures: Sequence[Mapping[str, Any]]) -> str | None:
    """Write a line for each, or no file where there are none."""
    if not failures:
        path.unlink(missing_ok=True)
        return None
    lines = [json.dumps(one, ensure_ascii=False) + "\n" for one in failures]
    write_file(path, "".join(lines).encode())
    return str(path)
