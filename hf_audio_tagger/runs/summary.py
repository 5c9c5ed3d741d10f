"""The facts of a run's shards as a summary, and its failures as a file."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..atomic_files import write_file
from ..columns import error_column
from ..results.facts import Summary, TagFacts, count_table, find_failures
from ..rows import pick_column
from ..tagger import Tagger
from .record import make_fingerprint
from .run_folder import RunFolder
from .shards import read_column_names, read_columns, read_footer, read_texts, shard_index, shard_paths

MOST_TAGS = 10


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
    fingerprint = make_fingerprint(tagger)
    facts, kept = TagFacts(), 0
    failures: list[dict[str, Any]] = []
    for path in shard_paths(folder.shards):
        counted = count_table(read_columns(path, [tagger.tag_column, errors]), tagger.tag_column)
        facts += counted
        if counted.failed_rows:
            media = pick_column(read_column_names(path), tagger.column)
            index = shard_index(path)
            assert index is not None
            # Shards before it may be short or missing: its name tells its first row.
            failures += find_failures(read_texts(path, media, [errors]), errors, media, index * shard_rows)
        footer = read_footer(path, fingerprint)
        kept += footer.kept_rows if footer else 0
    return Summary(
        dest=folder.dest,
        rows=facts.rows,
        tagged=facts.tagged_rows,
        empty=facts.empty_rows,
        without_videos=facts.rows_without_videos,
        failed=facts.failed_rows,
        processed_now=processed_now,
        seconds=round(seconds, 3),
        clips_per_second=round(rate, 3),
        most_frequent=tuple(facts.most_frequent(MOST_TAGS)),
        failures=write_failures(folder.failures, failures),
        kept=kept,
    )


def write_failures(path: Path, failures: Iterable[Mapping[str, Any]]) -> str | None:
    """Write a line for each, or no file where there are none."""
    lines = [json.dumps(one, ensure_ascii=False) + "\n" for one in failures]
    if not lines:
        path.unlink(missing_ok=True)
        return None
    write_file(path, "".join(lines).encode())
    return str(path)
