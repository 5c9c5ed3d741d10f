"""What a run came to: rows, tags and failures, counted from its shards."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..columns import error_column
from ..rows import pick_column
from ..runs.run_folder import RunFolder, fingerprint_of
from ..runs.shards import (
    column_names,
    read_columns,
    read_footer,
    read_texts,
    shard_index,
    shard_paths,
    write_file,
)
from ..scores import EMPTY
from ..tagger import Tagger

MOST_TAGS = 10


@dataclass(frozen=True)
class Summary:
    """Counts of rows. Each is tagged, EMPTY (nothing but clips without sound), without videos, or failed."""

    dest: str
    rows: int
    tagged: int
    empty: int
    without_videos: int
    failed: int
    processed_now: int  # rows of this run; the others were there
    seconds: float  # of this run
    clips_per_second: float  # in this run, from its first row to its last
    most_frequent: tuple[tuple[str, int], ...]  # tags of videos, without EMPTY
    failures: str | None  # the file that lists them
    kept: int = 0  # rows, counted above too, that came with their tags and keep them
    notes: tuple[str, ...] = ()  # what a person should know, a line each

    def as_dict(self) -> dict[str, Any]:
        """For `json.dumps`."""
        return {**asdict(self), "most_frequent": dict(self.most_frequent)}


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
        failures=list_failures(folder.failures, [asdict(one) for one in failures]),
        kept=came_tagged(folder, fingerprint_of(tagger)),
    )


def came_tagged(folder: RunFolder, fingerprint: str) -> int:
    """The rows of the shards that there are which came with their tags."""
    footers = (read_footer(path, fingerprint) for path in shard_paths(folder.shards))
    return sum(footer.came_tagged for footer in footers if footer is not None)


def kind_of(tags: list[str | None], errors: list[str | None]) -> str:
    if any(error is not None for error in errors):
        return "failed"
    if not tags:
        return "without_videos"
    return "empty" if all(tag == EMPTY for tag in tags) else "tagged"


def failures_in(path: Path, tagger: Tagger, errors: str, first_row: int) -> Iterator[Failure]:
    """Each video of a shard that failed, by what its row calls it; the media's bytes are not read."""
    column = pick_column(column_names(path), tagger.column)
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


def list_failures(path: Path, failures: Sequence[Mapping[str, Any]]) -> str | None:
    """Write a line for each, or no file where there are none."""
    if not failures:
        path.unlink(missing_ok=True)
        return None
    lines = [json.dumps(one, ensure_ascii=False) + "\n" for one in failures]
    write_file(path, "".join(lines).encode())
    return str(path)
