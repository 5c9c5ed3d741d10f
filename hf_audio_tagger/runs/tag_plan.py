"""Plan a tagging run: find missing rows, and rows whose files have changed since."""

from collections.abc import Iterable, Iterator, Mapping

from datasets import IterableDataset

from ..columns import error_column
from ..errors import SettingsError
from ..media_column import pick_column
from ..results.run_files import shard_index
from ..sources.source import Source
from ..stores import Place
from ..stores.reading import read_each
from .engine import RunPlan
from .record import Record
from .shards import (
    DamagedShardError,
    Footer,
    check_shard,
    find_failed,
    read_columns,
    read_footer,
    read_ledgers,
    read_texts,
    set_aside,
)
from .stamps import find_changed_rows, make_stamps, split_stamps
from .tag_shard import ShardJob, ShardTagger, make_job

STAMPED_AT_ONCE = 100  # rows
RowsByShard = Mapping[int, tuple[int, ...]]


def make_plan(work: ShardTagger, retry_failed: bool) -> RunPlan:
    """Find the remaining jobs. Damaged shards are set aside."""
    record = work.record
    check_names(work.folder.shards, record.shard_count)
    footers, notes = find_whole_shards(work)
    failing = {index: find_failed_rows(work, index) for index, one in footers.items() if one.failed_rows}
    redo_rows = failing if retry_failed else find_changes(work, footers)
    if record.shard_count is None:
        jobs, total = list_stream_jobs(record, footers, redo_rows), expect_rows(work.source, record.limit)
    else:
        own = [index for index in range(record.shard_count) if work.folder.has_shard(index)]
        jobs, total = list_dataset_jobs(record, own, footers, redo_rows), sum(map(record.count_rows, own))
    return RunPlan(
        work.folder,
        record,
        jobs,
        work,
        total,
        done_rows=sum(footer.rows for footer in footers.values()) - sum(map(len, redo_rows.values())),
        failed_rows=sum(len(set(rows) - set(redo_rows.get(index, ()))) for index, rows in failing.items()),
        kept_rows=sum(footer.kept_rows for footer in footers.values()),
        notes=notes,
    )


def check_names(folder: Place, count: int | None) -> None:
    """Refuse files that are not shards of this run: `load_dataset` would read them as rows."""
    found: Iterator[Place] = folder.iterdir()
    for path in sorted(found, key=str):
        index = shard_index(path)
        is_shard = index is not None and (count is None or index < count)
        if not is_shard and not path.name.startswith("."):
            raise SettingsError(
                f"{folder} holds {path.name!r}, which is not part of this run, and its rows would be read as "
                "part of the result. Move it elsewhere, or choose another DEST."
            )


def find_whole_shards(work: ShardTagger) -> tuple[dict[int, Footer], list[str]]:
    """The footers of whole shards, and a note for each of the others, which are set aside."""
    folder, record = work.folder, work.record
    ledger = read_ledgers(folder.state)
    footers: dict[int, Footer] = {}
    notes = []
    found = folder.find_shards()

    def read(path: Place) -> Footer | None:
        return read_footer(path, record.fingerprint)

    for (index, path), footer in zip(
        found.items(), read_each(read, found.values(), folder.shards), strict=True
    ):
        most = record.count_rows(index)
        try:
            if footer is None or not 0 < footer.rows <= most:
                notes.append(set_aside(path, "is damaged, or of another run"))
            elif record.rows is None and index and not is_full(footers.get(index - 1), record):
                notes.append(set_aside(path, "follows rows of the stream that are lost"))
            else:
                check_shard(path, folder.ledger, ledger)
                footers[index] = footer
        except DamagedShardError as error:
            notes.append(str(error))
    return footers, notes


def is_full(footer: Footer | None, record: Record) -> bool:
    return footer is not None and footer.rows == record.shard_rows


def find_failed_rows(work: ShardTagger, index: int) -> tuple[int, ...]:
    errors = error_column(work.tagger.tag_column).name
    failed = find_failed(read_columns(work.find_shard(index), [errors]), errors)
    return tuple(row for row, is_failed in enumerate(failed) if is_failed)


def find_changes(work: ShardTagger, footers: Mapping[int, Footer]) -> RowsByShard:
    found = {}
    for index, footer in footers.items():
        if footer.stamps:
            now = make_current_stamps(work, index, footer.rows)
            found[index] = find_changed_rows(split_stamps(footer.stamps, footer.rows), now)
    return {index: rows for index, rows in found.items() if rows}


def make_current_stamps(work: ShardTagger, index: int, count: int) -> Iterator[bytes]:
    """The stamps of a shard's rows now. The paths of a stream's rows are read from the shard."""
    source, start = work.source, index * work.record.shard_rows
    column = pick_column(list(source.features), work.tagger.column)
    if isinstance(source.dataset, IterableDataset):
        texts = read_texts(work.find_shard(index), column, [])
        yield from make_stamps(source, texts[column], start) if column in texts.column_names else ()
        return
    rows = source.dataset.select_columns([column]).with_format("arrow")
    for first in range(start, start + count, STAMPED_AT_ONCE):
        end = min(first + STAMPED_AT_ONCE, start + count)
        yield from make_stamps(source, rows[first:end][column], first)


def list_dataset_jobs(
    record: Record, shards: Iterable[int], footers: Mapping[int, Footer], redo_rows: RowsByShard
) -> list[ShardJob]:
    jobs = []
    for index in shards:
        start, rows = index * record.shard_rows, record.count_rows(index)
        is_whole = index in footers and footers[index].rows == rows
        if not is_whole or index in redo_rows:
            jobs.append(make_job(index, start, start + rows, redo_rows.get(index, ())))
    return jobs


def list_stream_jobs(record: Record, footers: Mapping[int, Footer], redo_rows: RowsByShard) -> list[ShardJob]:
    """A job for each shard with rows to redo, and one for the rest of the stream."""
    full = sum(is_full(footer, record) for footer in footers.values())  # a stream has no gaps
    last = footers.get(full, footers.get(full - 1))
    has_ended = last is not None and last.ended
    is_at_limit = record.limit is not None and sum(one.rows for one in footers.values()) >= record.limit
    is_done = has_ended or is_at_limit
    jobs = [
        make_job(index, index * record.shard_rows, (index + 1) * record.shard_rows, rows)
        for index, rows in redo_rows.items()
        if index < full or is_done
    ]
    if not is_done:
        jobs.append(make_job(full, full * record.shard_rows, None, redo_rows.get(full, ())))
    return jobs


def expect_rows(source: Source, limit: int | None) -> int | None:
    """How many rows a stream has according to its dataset's metadata."""
    split = (source.dataset.info.splits or {}).get(str(source.dataset.split))
    count = split.num_examples if split is not None else None
    return min(count, limit) if count and limit else count or limit
