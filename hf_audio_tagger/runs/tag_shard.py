"""Tagging one shard: read its rows, tag those that need it, and write it.

A row's result depends only on the rows of its batch, not on the process that tags it or on earlier batches.
So an interrupted run that is resumed ends with the same rows.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import pyarrow as pa
from datasets import Features

from .. import memo
from ..columns import all_columns, error_column
from ..executors.contract import IsStopped, Job, Report, StoppedError
from ..executors.reporting import JobReporter, reporting
from ..media_column import pick_column
from ..process import Worker, pick_device
from ..provenance import Provenance, add_schema_provenance
from ..results.run_files import shard_path
from ..sources.source import Source, State, Stream
from ..stores import Place
from ..tagger import Tagger
from .output import plain_features, plain_table
from .record import Record
from .run_folder import RunFolder
from .shards import Footer, ShardWriter, find_failed, read_batches, read_columns, read_footer
from .stamps import NO_FILE, make_stamps, split_stamps

GPU_MICRO_BATCHES = 16  # in a batch on a GPU, so that it does not wait for decoding; 1 on a CPU


@dataclass(frozen=True)
class ShardJob(Job):
    """A shard to write, or a stream's shards from this one on."""

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
        # Batches are small on a CPU, so that progress is reported often.
        is_on_cpu = pick_device(self.tagger.device or worker.device, worker.rank) == "cpu"
        batch_rows = self.tagger.batch_size * (1 if is_on_cpu else GPU_MICRO_BATCHES)
        with (
            reporting(job.index, worker.rank, report) as reporter,
            closing(self.write_shards(job, batch_rows, reporter)) as counts,
        ):
            for processed, failed in counts:
                if processed or failed:
                    reporter.finish_rows(processed, failed)
                if is_stopped():
                    raise StoppedError

    @cached_property
    def features(self) -> Features:
        """The columns of a shard."""
        features = self.tagger.features(self.source.features)
        return features if self.folder.keeps_bytes else plain_features(features)

    def find_shard(self, index: int) -> Place:
        return shard_path(self.folder.shards, index)

    def read_footer(self, index: int) -> Footer | None:
        return read_footer(self.find_shard(index), self.record.fingerprint)

    def write_shards(
        self, job: ShardJob, batch_rows: int, reporter: JobReporter
    ) -> Generator[tuple[int, int], None, None]:
        """Write a shard, or a stream's until it ends or the limit is reached.

        Yields, after each batch, how many of its rows were processed and how many of these failed.
        """
        footer = self.read_footer(job.index)
        if job.stop is not None:
            assert footer is not None or not self.source.is_stream
            yield from self.write(job, job.stop - job.start, footer, None, batch_rows, reporter)
            return
        last = footer or (self.read_footer(job.index - 1) if job.index else None)
        stream = self.source.stream(last.state if last else None)
        limit = self.record.limit
        while not stream.ended and (limit is None or job.start < limit):
            stop = job.start + self.record.shard_rows
            rows = (stop if limit is None else min(stop, limit)) - job.start
            yield from self.write(job, rows, footer, stream, batch_rows, reporter)
            job, footer = make_job(job.index + 1, stop, None), None

    def write(
        self,
        job: ShardJob,
        rows: int,
        footer: Footer | None,
        stream: Stream | None,
        batch_rows: int,
        reporter: JobReporter,
    ) -> Iterator[tuple[int, int]]:
        """Write one shard, batch by batch."""
        path = self.find_shard(job.index)
        schema = add_schema_provenance(self.features.arrow_schema, self.provenance)
        errors = error_column(self.tagger.tag_column).name
        with ShardWriter(path, schema, self.record.fingerprint, self.folder.ledger, footer) as writer:
            written = writer.footer
            for batch in self.read(job, rows, footer, stream, batch_rows):
                first, count = written.rows, len(batch.table)
                chosen: Sequence[int] = range(count)
                if batch.known is not None:
                    chosen = [row - first for row in job.redo_rows if first <= row < first + count]
                reporter.expect_rows(len(chosen))
                table, stamps = self.tag(batch, chosen, job.start + first)
                failed = find_failed(table, errors)
                if batch.known is None:
                    kept = self.tagger.find_kept_rows(batch.table)
                    written.kept_rows += sum(kept)
                    stamps = [NO_FILE if is_kept else one for is_kept, one in zip(kept, stamps, strict=True)]
                written.failed_rows += sum(failed)
                written.stamps += b"".join(stamps)
                written.state, written.ended = batch.state, batch.ended
                writer.add(table if self.folder.keeps_bytes else plain_table(table, self.features))
                processed = len(chosen), sum(failed[row] for row in chosen)
                del batch, table  # their media, before the next ones are read
                yield processed

    def read(
        self, job: ShardJob, rows: int, footer: Footer | None, stream: Stream | None, batch_rows: int
    ) -> Iterator[Batch]:
        """Read a shard's rows; the first ones with the columns that an earlier run added.

        A stream cannot be read from the middle, so rows of an existing shard are read from the shard.
        """
        known_rows, known = footer.rows if footer else 0, None
        tag_columns = list_tag_columns(self.tagger)
        stamps = split_stamps(footer.stamps, known_rows) if footer else []
        if footer is not None and not self.source.is_stream:
            known = read_columns(self.find_shard(job.index), tag_columns)
        elif footer is not None:
            row = 0
            for table in read_batches(self.find_shard(job.index), batch_rows):
                names = [name for name in tag_columns if name in table.column_names]
                given, known_tags = table.drop_columns(names), table.select(names)
                yield Batch(given, known_tags, stamps[row : row + len(table)], footer.state, footer.ended)
                row += len(table)
        for first, end in pairwise(sorted({*range(0, rows, batch_rows), known_rows, rows})):
            if first < known_rows and known is not None:
                table = self.source.rows(job.start + first, job.start + end)
                yield Batch(table, known.slice(first, end - first), stamps[first:end])
            elif not self.source.is_stream:
                yield Batch(self.source.rows(job.start + first, job.start + end))
            elif first >= known_rows and stream is not None and not stream.ended:
                table = stream.take(end - first)
                yield Batch(table, state=stream.state, ended=stream.ended)

    def tag(self, batch: Batch, rows: Sequence[int], first_row: int) -> tuple[pa.Table, Sequence[bytes]]:
        """Tag some rows of a batch; returns the batch and the stamps of its files.

        The stamps are made first, so that a file that changes while it is read is detected later.
        """
        if batch.known is not None and not rows:
            return with_table(batch.table, batch.known), batch.stamps
        column = pick_column(batch.table.column_names, self.tagger.column)
        stamps = make_stamps(self.source, batch.table[column], first_row)
        tagged = tag_rows(self.source, self.tagger, batch.table, first_row, rows)
        if batch.known is None:
            return tagged, stamps
        added = tagged.select(batch.known.column_names).cast(batch.known.schema)
        count = len(batch.known)
        order = [count + rows.index(row) if row in rows else row for row in range(count)]
        known = pa.concat_tables([batch.known, added]).take(order)
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

    The tagger gets only their media and existing tags.
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


def with_table(table: pa.Table, added: pa.Table) -> pa.Table:
    """A table with the columns of another, which replace those of the same name."""
    columns = {name: one[name] for one in (table, added) for name in one.column_names}
    return pa.table(columns)
