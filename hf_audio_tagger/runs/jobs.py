"""What is done with one shard: its rows read, those heard that need it, and written.

What a row gets depends on the rows of its own batch and on nothing else: not on which process hears it,
nor on what that process heard before. So a run that was cut anywhere ends with the same rows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
from datasets import Features

from .. import memo
from ..columns import error_column
from ..process import pick_device
from ..rows import pick_column
from ..tagger import Tagger
from .plain_rows import plain_features, plain_table
from .shards import Footer, ShardWriter, failed_rows, read_batches, read_columns, read_footer, shard_path
from .sources import Source, State

BATCHES_AHEAD = 16  # micro-batches in a batch on a GPU, so that decoding keeps ahead of it; 1 on a CPU


class StoppedError(Exception):
    """A job was asked to end early; what it has heard is kept."""


@dataclass(frozen=True)
class Job:
    """A shard to write, or a stream's shards from one on."""

    index: int
    start: int
    stop: int | None  # None: until the stream ends


@dataclass(frozen=True)
class Heard:
    """How far a job is: its rows that were heard until now, and those of them that failed."""

    index: int
    rows: int
    failed: int


@dataclass(frozen=True)
class Piece:
    """Rows of a batch; `is_known` where they carry the tags that an earlier run gave them."""

    table: pa.Table
    is_known: bool
    state: State | None = None
    ended: bool = False


Report = Callable[[Heard], None]


@dataclass(frozen=True, eq=False)
class ShardTagger:
    """Tags shards. Goes to the workers as it is: it holds settings and the opened source."""

    source: Source
    tagger: Tagger
    folder: Path  # of the shards
    fingerprint: str
    shard_rows: int
    limit: int | None
    retry_failed: bool
    keep_bytes: bool  # false where the rows end as JSON

    def __call__(self, job: Job, rank: int | None, report: Report, is_stopped: Callable[[], bool]) -> None:
        tally = Tally(job.index, report)
        batch_rows = self.batch_rows(rank)
        if job.stop is not None:
            path = shard_path(self.folder, job.index)
            footer = read_footer(path, self.fingerprint)
            if self.source.is_stream:
                assert footer is not None
                pieces = self.pieces_of_shard(path, footer, batch_rows)
            else:
                pieces = self.pieces_of_rows(job.start, job.stop, path, footer, batch_rows)
            self.write(job.index, job.start, pieces, rank, footer, tally, is_stopped)
            return
        self.write_stream(job, rank, batch_rows, tally, is_stopped)

    @cached_property
    def errors(self) -> str:
        return error_column(self.tagger.tag_column).name

    @cached_property
    def features(self) -> Features:
        """The columns of a shard."""
        features = self.tagger.features(self.source.features)
        return features if self.keep_bytes else plain_features(features)

    def batch_rows(self, rank: int | None) -> int:
        """Rows that the tagger gets at once. On a CPU few, so that the bar moves."""
        on_cpu = pick_device(self.tagger.device, rank) == "cpu"
        return self.tagger.batch_size * (1 if on_cpu else BATCHES_AHEAD)

    def pieces_of_rows(
        self, start: int, stop: int, path: Path, footer: Footer | None, batch_rows: int
    ) -> Iterator[Piece]:
        """The source's rows; the first ones with their tags where an earlier run wrote these."""
        known_rows = footer.rows if footer else 0
        known = read_columns(path, tag_columns(self.tagger)) if known_rows else None
        edges = sorted({*range(0, stop - start, batch_rows), known_rows, stop - start})
        for first, end in pairwise(edges):
            table = self.source.rows(start + first, start + end)
            if known is not None and end <= known_rows:
                yield Piece(with_table(table, known.slice(first, end - first)), True)
            else:
                yield Piece(table, False)

    def pieces_of_shard(self, path: Path, footer: Footer, batch_rows: int) -> Iterator[Piece]:
        """The rows of a stream as an earlier run wrote them: a stream does not go back."""
        for table in read_batches(path, batch_rows):
            yield Piece(table, True, footer.state, footer.ended)

    def write_stream(
        self, job: Job, rank: int | None, batch_rows: int, tally: "Tally", is_stopped: Callable[[], bool]
    ) -> None:
        """A stream's shards from one on, until it ends or the limit is reached."""
        index, start = job.index, job.start
        before = read_footer(shard_path(self.folder, index - 1), self.fingerprint) if index else None
        path = shard_path(self.folder, index)
        footer = read_footer(path, self.fingerprint)
        last = footer or before
        stream = self.source.stream(last.state if last else None)
        while not stream.ended and (self.limit is None or start < self.limit):
            stop = start + self.shard_rows if self.limit is None else min(start + self.shard_rows, self.limit)

            def pieces(
                path: Path = path, footer: Footer | None = footer, rows: int = stop - start
            ) -> Iterator[Piece]:
                known_rows = footer.rows if footer else 0
                if footer:
                    yield from self.pieces_of_shard(path, footer, batch_rows)
                edges = sorted(
                    {known_rows, rows, *range(known_rows - known_rows % batch_rows, rows, batch_rows)}
                )
                for first, end in pairwise(edges):
                    if first >= known_rows and not stream.ended:
                        table = stream.take(end - first)
                        yield Piece(table, False, stream.state, stream.ended)

            self.write(index, start, pieces(), rank, footer, tally, is_stopped)
            index, start = index + 1, stop
            path, footer = shard_path(self.folder, index), None

    def write(
        self,
        index: int,
        first_row: int,
        pieces: Iterator[Piece],
        rank: int | None,
        footer: Footer | None,
        tally: "Tally",
        is_stopped: Callable[[], bool],
    ) -> None:
        """One shard, batch after batch."""
        kept_rows = footer.rows if footer else 0
        schema = self.features.arrow_schema
        with ShardWriter(shard_path(self.folder, index), schema, self.fingerprint, kept_rows) as writer:
            for piece in pieces:
                if is_stopped():
                    raise StoppedError
                table = piece.table
                failed = sum(failed_rows(table, self.errors)) if piece.is_known else 0
                is_heard = not piece.is_known or (self.retry_failed and failed > 0)
                heard = 0
                if is_heard:
                    heard = failed if piece.is_known else len(table)
                    table = tag_rows(self.source, self.tagger, table, first_row + writer.rows, rank)
                    failed = sum(failed_rows(table, self.errors))
                writer.add(self.stored(table), failed, piece.state, piece.ended)
                if is_heard:
                    tally.add(heard, failed)

    def stored(self, table: pa.Table) -> pa.Table:
        return table if self.keep_bytes else plain_table(table, self.features)


def tag_columns(tagger: Tagger) -> list[str]:
    """The columns that a tagger reads and writes."""
    names = [column.name for column in tagger.columns]
    errors = error_column(tagger.tag_column).name
    return names if errors in names else [*names, errors]


def tag_rows(source: Source, tagger: Tagger, table: pa.Table, first_row: int, rank: int | None) -> pa.Table:
    """Rows with their tags. Only their media and the tags that they have go to the tagger."""
    column = pick_column(table.column_names, tagger.column)
    there = [name for name in tag_columns(tagger) if name in table.column_names and name != column]
    given = {column: source.hearable(table[column], first_row), **{name: table[name] for name in there}}
    with memo.set_aside():
        tagged = tagger(pa.table(given), rank)
    return with_table(table, tagged.drop_columns([column]))


class Tally:
    """What a job has heard, told after each batch."""

    def __init__(self, index: int, report: Report) -> None:
        self.index, self.report = index, report
        self.rows = self.failed = 0

    def add(self, rows: int, failed: int) -> None:
        self.rows += rows
        self.failed += failed
        self.report(Heard(self.index, self.rows, self.failed))


def with_table(table: pa.Table, added: pa.Table) -> pa.Table:
    """A table with the columns of another beside it; those of the same name are replaced."""
    for name in added.column_names:
        if name in table.column_names:
            table = table.set_column(table.column_names.index(name), name, added[name])
        else:
            table = table.append_column(name, added[name])
    return table
