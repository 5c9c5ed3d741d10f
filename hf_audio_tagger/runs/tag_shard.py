"""Tagging one shard: read its rows, tag those that need it, and write it.

What a row gets depends on the rows of its batch alone: not on the process that tags it, nor on what that
process tagged before. So a run that was interrupted anywhere ends with the same rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
from datasets import Features

from .. import memo
from ..columns import all_columns, error_column
from ..executors.contract import IsStopped, Job, JobProgress, Report, StoppedError
from ..process import Worker, pick_device
from ..provenance import Provenance, add_schema_provenance
from ..rows import pick_column
from ..sources.source import Source, State
from ..tagger import Tagger
from .plain_rows import plain_features, plain_table
from .record import Record
from .run_folder import RunFolder
from .shard_ledger import add_to_ledger
from .shard_writer import ShardWriter
from .shards import Footer, find_failed, read_batches, read_columns, read_footer, shard_path
from .stamps import NO_FILE, get_stamps, make_stamps

GPU_MICRO_BATCHES = 16  # in a batch on a GPU, so that decoding keeps ahead of it; 1 on a CPU


@dataclass(frozen=True)
class ShardJob(Job):
    """A shard to write, or a stream's shards from one on."""

    start: int
    stop: int | None  # None: until the stream ends
    redo_rows: tuple[int, ...] = ()  # of the existing shard, to be processed again


def make_job(index: int, start: int, stop: int | None, redo_rows: tuple[int, ...] = ()) -> ShardJob:
    return ShardJob(index, f"shard {index} (rows from {start:,} on)", start, stop, redo_rows)


@dataclass(frozen=True)
class Batch:
    """Rows as the source gives them, and the columns that an earlier run added."""

    table: pa.Table
    known: pa.Table | None = None
    stamps: Sequence[bytes] = ()  # of the files that the earlier run read
    state: State | None = None
    ended: bool = False


class JobCounter:
    """Counts a job's rows, and reports after each batch."""

    def __init__(self, index: int, report: Report) -> None:
        self.index, self.report = index, report
        self.rows = self.failed = 0

    def add(self, rows: int, failed: int) -> None:
        self.rows += rows
        self.failed += failed
        self.report(JobProgress(self.index, self.rows, self.failed))


@dataclass(frozen=True, eq=False)
class ShardTagger:
    """Tags shards. It is pickled for the workers: it holds settings and the opened source."""

    source: Source
    tagger: Tagger
    folder: RunFolder
    record: Record
    provenance: Provenance  # of the tags in the shards

    def __call__(self, job: Job, worker: Worker, report: Report, is_stopped: IsStopped) -> None:
        assert isinstance(job, ShardJob)
        counter = JobCounter(job.index, report)
        batch_rows = self.count_batch_rows(worker)
        if job.stop is None:
            self.write_stream(job, batch_rows, counter, is_stopped)
            return
        footer = self.read_footer(job.index)
        if self.source.is_stream:
            assert footer is not None
            batches = self.read_shard(job.index, footer, batch_rows)
        else:
            batches = self.read_source(job, job.stop, footer, batch_rows)
        self.write(job, batches, footer, counter, is_stopped)

    @cached_property
    def errors(self) -> str:
        return error_column(self.tagger.tag_column).name

    @cached_property
    def features(self) -> Features:
        """The columns of a shard."""
        features = self.tagger.features(self.source.features)
        return features if self.folder.keeps_bytes else plain_features(features)

    def count_batch_rows(self, worker: Worker) -> int:
        """Rows that the tagger gets at once. On a CPU few, so that progress is reported often."""
        on_cpu = pick_device(self.tagger.device or worker.device, worker.rank) == "cpu"
        return self.tagger.batch_size * (1 if on_cpu else GPU_MICRO_BATCHES)

    def find_shard(self, index: int) -> Path:
        return shard_path(self.folder.shards, index)

    def read_footer(self, index: int) -> Footer | None:
        return read_footer(self.find_shard(index), self.record.fingerprint)

    def read_source(
        self, job: ShardJob, stop: int, footer: Footer | None, batch_rows: int
    ) -> Iterator[Batch]:
        """A shard's rows from the source; the first ones with the tags that an earlier run wrote."""
        known_rows, known = 0, None
        if footer is not None:
            known_rows = footer.rows
            known = read_columns(self.find_shard(job.index), list_tag_columns(self.tagger))
        rows = stop - job.start
        for first, end in pairwise(sorted({*range(0, rows, batch_rows), known_rows, rows})):
            table = self.source.rows(job.start + first, job.start + end)
            if known is not None and footer is not None and end <= known_rows:
                stamps = get_stamps(footer.stamps, first, end)
                yield Batch(table, known.slice(first, end - first), stamps)
            else:
                yield Batch(table)

    def read_shard(self, index: int, footer: Footer, batch_rows: int) -> Iterator[Batch]:
        """A shard's rows as an earlier run wrote them: a stream cannot be read from the middle."""
        row = 0
        for table in read_batches(self.find_shard(index), batch_rows):
            names = [name for name in list_tag_columns(self.tagger) if name in table.column_names]
            stamps = get_stamps(footer.stamps, row, row + len(table))
            yield Batch(table.drop_columns(names), table.select(names), stamps, footer.state, footer.ended)
            row += len(table)

    def write_stream(
        self, job: ShardJob, batch_rows: int, counter: JobCounter, is_stopped: IsStopped
    ) -> None:
        """A stream's shards from one on, until it ends or the limit is reached."""
        footer = self.read_footer(job.index)
        last = footer or (self.read_footer(job.index - 1) if job.index else None)
        stream = self.source.stream(last.state if last else None)

        def read(index: int, rows: int, footer: Footer | None) -> Iterator[Batch]:
            known_rows = 0
            if footer is not None:
                known_rows = footer.rows
                yield from self.read_shard(index, footer, batch_rows)
            first_batch = known_rows - known_rows % batch_rows
            for first, end in pairwise(sorted({known_rows, rows, *range(first_batch, rows, batch_rows)})):
                if first >= known_rows and not stream.ended:
                    table = stream.take(end - first)
                    yield Batch(table, state=stream.state, ended=stream.ended)

        index, start, redo_rows = job.index, job.start, job.redo_rows
        limit = self.record.limit
        while not stream.ended and (limit is None or start < limit):
            stop = start + self.record.shard_rows
            stop = stop if limit is None else min(stop, limit)
            batches = read(index, stop - start, footer)
            self.write(make_job(index, start, stop, redo_rows), batches, footer, counter, is_stopped)
            index, start, redo_rows, footer = index + 1, stop, (), None

    def write(
        self,
        job: ShardJob,
        batches: Iterator[Batch],
        footer: Footer | None,
        counter: JobCounter,
        is_stopped: IsStopped,
    ) -> None:
        """One shard, batch by batch."""
        path = self.find_shard(job.index)
        schema = add_schema_provenance(self.features.arrow_schema, self.provenance)
        try:
            with ShardWriter(path, schema, self.record.fingerprint, footer.rows if footer else 0) as writer:
                writer.kept_rows = footer.kept_rows if footer else 0
                for batch in batches:
                    if is_stopped():
                        raise StoppedError
                    first, count = writer.rows, len(batch.table)
                    rows: Sequence[int] = range(count)
                    if batch.known is not None:
                        rows = [row - first for row in job.redo_rows if first <= row < first + count]
                    table, stamps = self.tag(batch, rows, job.start + first)
                    failed = find_failed(table, self.errors)
                    if batch.known is None:
                        kept = self.tagger.find_kept_rows(batch.table)
                        writer.kept_rows += sum(kept)
                        stamps = [
                            NO_FILE if is_kept else one for is_kept, one in zip(kept, stamps, strict=True)
                        ]
                    stored = table if self.folder.keeps_bytes else plain_table(table, self.features)
                    writer.add(stored, sum(failed), b"".join(stamps), batch.state, batch.ended)
                    if rows:
                        counter.add(len(rows), sum(failed[row] for row in rows))
        finally:
            if path.exists():
                add_to_ledger(self.folder.ledger, path)

    def tag(self, batch: Batch, rows: Sequence[int], first_row: int) -> tuple[pa.Table, Sequence[bytes]]:
        """A batch with the tags of some of its rows made now, and the stamps of its files.

        The stamps are taken first: a file that changes while it is read is then noticed as changed.
        """
        if batch.known is not None and not rows:
            return with_table(batch.table, batch.known), batch.stamps
        column = pick_column(batch.table.column_names, self.tagger.column)
        stamps = make_stamps(self.source, batch.table[column], first_row)
        tagged = tag_rows(self.source, self.tagger, batch.table, first_row, rows)
        if batch.known is None:
            return tagged, stamps
        known = with_rows(batch.known, tagged, rows)
        stamps = [stamps[row] if row in rows else one for row, one in enumerate(batch.stamps)]
        return with_table(batch.table, known), stamps


def list_tag_columns(tagger: Tagger) -> list[str]:
    """The columns that a tagger reads and writes."""
    if tagger.redo:
        return [column.name for column in all_columns(tagger.tag_column)]
    names = [column.name for column in tagger.columns]
    errors = error_column(tagger.tag_column).name
    return names if errors in names else [*names, errors]


def tag_rows(
    source: Source, tagger: Tagger, table: pa.Table, first_row: int, rows: Sequence[int] | None = None
) -> pa.Table:
    """Some rows of a table, or all, with their tags.

    The tagger gets only their media and the tags that they have.
    """
    column = pick_column(table.column_names, tagger.column)
    names = [name for name in list_tag_columns(tagger) if name in table.column_names and name != column]
    cells = {column: source.tagger_cells(table[column], first_row)}
    given = pa.table({**cells, **{name: table[name] for name in names}})
    if rows is not None and len(rows) < len(table):
        table, given = table.take(rows), given.take(rows)
    with memo.disabled():
        tagged = tagger(given)
    return with_table(table, tagged.drop_columns([column]))


def with_rows(known: pa.Table, tagged: pa.Table, rows: Sequence[int]) -> pa.Table:
    """The known rows, with some replaced by the tagged ones."""
    order = list(range(len(known)))
    for number, row in enumerate(rows):
        order[row] = len(known) + number
    return pa.concat_tables([known, tagged.select(known.column_names).cast(known.schema)]).take(order)


def with_table(table: pa.Table, added: pa.Table) -> pa.Table:
    """A table with the columns of another, which replace those of the same name."""
    columns = {name: one[name] for one in (table, added) for name in one.column_names}
    return pa.table(columns)
