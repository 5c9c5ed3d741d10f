"""What is left to do: from the shards that are there, and from what has changed since they were heard."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from datasets import Dataset

from ..columns import error_column
from ..errors import SettingsError
from ..executors.job import Job
from ..rows import pick_column
from ..sources.source import Source
from ..tagger import Tagger
from .run_folder import Record, RunFolder
from .shards import (
    DamagedShardError,
    Footer,
    failed_rows,
    read_columns,
    read_footer,
    read_texts,
    set_aside,
    shard_index,
    shard_path,
    shard_paths,
)
from .stamps import changed_rows, names_files, stamps_of, stamps_of_rows
from .written import check_shard, remembered_shards

Again = Mapping[int, tuple[int, ...]]  # rows of shards that are there and to be heard again


@dataclass(frozen=True)
class RunPlan:
    """What is to be done, and what is there."""

    folder: RunFolder
    record: Record
    jobs: tuple[Job, ...]
    total_rows: int | None  # None: a stream that does not tell
    done_rows: int
    failed_rows: int  # of those that are done
    kept_rows: int = 0  # of those, too: they came with their tags
    notes: tuple[str, ...] = ()  # what a person should know, a line each


def make_plan(
    folder: RunFolder, record: Record, source: Source, tagger: Tagger, retry_failed: bool
) -> RunPlan:
    """The jobs that are left, and what stands in their way moved out of it."""
    total = total_of(record)
    refuse_strays(folder.shards, shards_of(record))
    footers, notes = usable_shards(folder, record, total)
    failing = {
        index: failed_places(shard_path(folder.shards, index), tagger)
        for index, footer in footers.items()
        if footer.failed_rows
    }
    again = failing if retry_failed else changed_shards(folder, record, source, tagger, footers)
    if total is None:
        jobs = jobs_of_stream(footers, record, again)
        total = told_rows(source, record.limit)
    else:
        jobs = jobs_of_rows(footers, record, total, again)
    return RunPlan(
        folder,
        record,
        tuple(jobs),
        total,
        sum(footer.rows for footer in footers.values()) - sum(map(len, again.values())),
        sum(len(set(places) - set(again.get(index, ()))) for index, places in failing.items()),
        sum(footer.came_tagged for footer in footers.values()),
        tuple(notes),
    )


def total_of(record: Record) -> int | None:
    """The rows of a whole run; None for a stream, which tells at its end."""
    if record.source_rows is None or record.limit is None:
        return record.source_rows
    return min(record.source_rows, record.limit)


def shards_of(record: Record) -> int | None:
    """How many shards a whole run has, as far as that is known."""
    total = total_of(record)
    return None if total is None else -(-total // record.shard_rows)


# What is there


def refuse_strays(folder: Path, count: int | None) -> None:
    """`load_dataset` reads each file beside the shards as rows; what is no shard of this run may not stay."""
    for path in sorted(folder.iterdir()):
        index = shard_index(path)
        is_ours = index is not None and (count is None or index < count)
        if not is_ours and not path.name.startswith("."):
            raise SettingsError(
                f"{folder} holds {path.name!r}, which is no part of this run, and its rows would be read as "
                "part of the result. Move it elsewhere, or choose another DEST."
            )


def usable_shards(
    folder: RunFolder, record: Record, total: int | None
) -> tuple[dict[int, Footer], list[str]]:
    """The shards that are whole. All others are set aside, and what became of them is told."""
    remembered = remembered_shards(folder.ledger)
    footers: dict[int, Footer] = {}
    notes = []
    for path in shard_paths(folder.shards):
        index = shard_index(path)
        assert index is not None
        left = record.shard_rows if total is None else total - index * record.shard_rows
        most = min(record.shard_rows, left)
        footer = read_footer(path, record.fingerprint)
        try:
            if footer is None or not 0 < footer.rows <= most:
                notes.append(described(path, "is damaged, or of another run"))
            elif total is None and index and not is_full(footers.get(index - 1), record):
                notes.append(described(path, "comes behind rows of the stream that are lost"))
            else:
                check_shard(path, folder.ledger, remembered)
                footers[index] = footer
        except DamagedShardError as error:
            notes.append(str(error))
    return footers, notes


def is_full(footer: Footer | None, record: Record) -> bool:
    return footer is not None and footer.rows == record.shard_rows


def described(path: Path, what: str) -> str:
    """Set a shard aside, and say so."""
    aside = set_aside(path)
    return f"{path} {what}. It is kept as {aside.name}, which may be removed; its rows are heard again."


# What is heard again


def failed_places(path: Path, tagger: Tagger) -> tuple[int, ...]:
    """The rows of a shard that failed."""
    errors = error_column(tagger.tag_column).name
    failed = failed_rows(read_columns(path, [errors]), errors)
    return tuple(place for place, is_failed in enumerate(failed) if is_failed)


def changed_shards(
    folder: RunFolder, record: Record, source: Source, tagger: Tagger, footers: Mapping[int, Footer]
) -> Again:
    """The rows whose files were others when they were heard."""
    column = pick_column(list(source.features), tagger.column)
    if isinstance(source.dataset, Dataset) and not source.refused and not names_files(source.dataset, column):
        return {}
    found = {}
    for index, footer in footers.items():
        if footer.stamps:
            now = stamps_now(folder, source, column, index, index * record.shard_rows, footer.rows)
            found[index] = tuple(changed_rows(footer.stamps, now))
    return {index: places for index, places in found.items() if places}


def stamps_now(
    folder: RunFolder, source: Source, column: str, index: int, start: int, rows: int
) -> Iterable[bytes]:
    """What the files of a shard's rows are like now. A stream does not go back; its shard has the paths."""
    if not source.is_stream:
        return stamps_of_rows(source, column, start, start + rows)
    texts = read_texts(shard_path(folder.shards, index), column, [])
    return stamps_of(source, texts[column], start) if column in texts.column_names else []


# Jobs


def jobs_of_rows(footers: Mapping[int, Footer], record: Record, total: int, again: Again) -> list[Job]:
    jobs = []
    for index, start in enumerate(range(0, total, record.shard_rows)):
        stop = min(start + record.shard_rows, total)
        is_whole = index in footers and footers[index].rows == stop - start
        if not is_whole or index in again:
            jobs.append(Job(index, start, stop, again.get(index, ())))
    return jobs


def jobs_of_stream(footers: Mapping[int, Footer], record: Record, again: Again) -> list[Job]:
    """Shards to hear again, which are whole, and the stream from where it stood."""
    whole = sum(is_full(footer, record) for footer in footers.values())  # a stream has no gaps
    last = footers.get(whole, footers.get(whole - 1))
    ended = last is not None and last.ended
    reached = record.limit is not None and sum(one.rows for one in footers.values()) >= record.limit
    is_through = ended or reached
    jobs = [
        Job(index, index * record.shard_rows, (index + 1) * record.shard_rows, places)
        for index, places in again.items()
        if index < whole or is_through
    ]
    if not is_through:
        jobs.append(Job(whole, whole * record.shard_rows, None, again.get(whole, ())))
    return jobs


def told_rows(source: Source, limit: int | None) -> int | None:
    """How many rows a stream says that it has."""
    splits = source.dataset.info.splits or {}
    told = splits[str(source.dataset.split)].num_examples if str(source.dataset.split) in splits else None
    return min(told, limit) if told and limit else told or limit
