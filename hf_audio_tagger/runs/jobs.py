"""What is done with one shard: its rows read, those heard that need it, and written.

What a row gets depends on the rows of its own batch and on nothing else: not on which process hears it,
nor on what that process heard before. So a run that was cut anywhere ends with the same rows.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
from datasets import Features

from .. import memo
from ..columns import all_columns, error_column
from ..executors.job import Job, JobProgress, Report, StoppedError
from ..process import pick_device
from ..provenance import Provenance, add_schema_provenance
from ..rows import pick_column
from ..sources.source import Source, State
from ..tagger import Tagger
from .plain_rows import plain_features, plain_table
from .shards import Footer, ShardWriter, failed_rows, read_batches, read_columns, read_footer, shard_path
from .stamps import NO_FILE, stamp_at, stamps_of
from .written import remember_shard

BATCHES_AHEAD = 16  # micro-batches in a batch on a GPU, so that decoding keeps ahead of it; 1 on a CPU


@dataclass(frozen=True)
class Piece:
    """Rows of a batch as the source gives them, and what an earlier run wrote of them."""

    table: pa.Table
    known: pa.Table | None = None  # the columns that it added
    stamps: tuple[bytes, ...] = ()  # of the files that it heard
    state: State | None = None
    ended: bool = False


@dataclass(frozen=True, eq=False)
class ShardTagger:
    """Tags shards. Goes to the workers as it is: it holds settings and the opened source."""

    source: Source
    tagger: Tagger
    folder: Path  # of the shards
    fingerprint: str
    shard_rows: int
    limit: int | None
    keep_bytes: bool  # false where the rows end as JSON
    ledger: Path  # of the shards that are whole
    provenance: Provenance  # of the tags in the shards

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
            self.write(job, pieces, rank, footer, tally, is_stopped)
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
                assert footer is not None
                stamps = tuple(stamp_at(footer.stamps, row) for row in range(first, end))
                yield Piece(table, known.slice(first, end - first), stamps)
            else:
                yield Piece(table)

    def pieces_of_shard(self, path: Path, footer: Footer, batch_rows: int) -> Iterator[Piece]:
        """The rows of a stream as an earlier run wrote them: a stream does not go back."""
        row = 0
        for table in read_batches(path, batch_rows):
            names = [name for name in tag_columns(self.tagger) if name in table.column_names]
            stamps = tuple(stamp_at(footer.stamps, one) for one in range(row, row + len(table)))
            yield Piece(table.drop_columns(names), table.select(names), stamps, footer.state, footer.ended)
            row += len(table)

    def write_stream(
        self, job: Job, rank: int | None, batch_rows: int, tally: "Tally", is_stopped: Callable[[], bool]
    ) -> None:
        """A stream's shards from one on, until it ends or the limit is reached."""
        index, start, again = job.index, job.start, job.again
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
                        yield Piece(table, state=stream.state, ended=stream.ended)

            self.write(Job(index, start, stop, again), pieces(), rank, footer, tally, is_stopped)
            index, start, again = index + 1, stop, ()
            path, footer = shard_path(self.folder, index), None

    def write(
        self,
        job: Job,
        pieces: Iterator[Piece],
        rank: int | None,
        footer: Footer | None,
        tally: "Tally",
        is_stopped: Callable[[], bool],
    ) -> None:
        """One shard, batch after batch."""
        path = shard_path(self.folder, job.index)
        schema = add_schema_provenance(self.features.arrow_schema, self.provenance)
        try:
            with ShardWriter(path, schema, self.fingerprint, footer.rows if footer else 0) as writer:
                writer.came_tagged = footer.came_tagged if footer else 0
                for piece in pieces:
                    if is_stopped():
                        raise StoppedError
                    first, count = writer.rows, len(piece.table)
                    again = [row - first for row in job.again if first <= row < first + count]
                    places = again if piece.known is not None else range(count)
                    table, stamps = self.heard(piece, places, job.start + first, rank)
                    failed = failed_rows(table, self.errors)
                    if piece.known is None:
                        kept = self.tagger.find_kept_rows(piece.table)
                        writer.came_tagged += sum(kept)
                        stamps = [
                            NO_FILE if is_kept else one for is_kept, one in zip(kept, stamps, strict=True)
                        ]
                    writer.add(self.stored(table), sum(failed), b"".join(stamps), piece.state, piece.ended)
                    if places:
                        tally.add(len(places), sum(failed[place] for place in places))
        finally:
            if path.exists():
                remember_shard(self.ledger, path)

    def heard(
        self, piece: Piece, places: Sequence[int], first_row: int, rank: int | None
    ) -> tuple[pa.Table, Sequence[bytes]]:
        """A piece's rows with their tags, and their files' stamps. Only the rows at `places` are heard.

        The stamps are taken first: a file that changes while it is heard is then seen as changed.
        """
        if piece.known is not None and not places:
            return with_table(piece.table, piece.known), piece.stamps
        column = pick_column(piece.table.column_names, self.tagger.column)
        stamps = stamps_of(self.source, piece.table[column], first_row)
        tagged = tag_rows(self.source, self.tagger, piece.table, first_row, rank, places)
        if piece.known is None:
            return tagged, stamps
        known = with_rows(piece.known, tagged, places)
        old = enumerate(piece.stamps)
        return with_table(piece.table, known), [stamps[row] if row in places else one for row, one in old]

    def stored(self, table: pa.Table) -> pa.Table:
        return table if self.keep_bytes else plain_table(table, self.features)


def tag_columns(tagger: Tagger) -> list[str]:
    """The columns that a tagger reads and writes."""
    if tagger.redo:
        return [column.name for column in all_columns(tagger.tag_column)]
    names = [column.name for column in tagger.columns]
    errors = error_column(tagger.tag_column).name
    return names if errors in names else [*names, errors]


def tag_rows(
    source: Source,
    tagger: Tagger,
    table: pa.Table,
    first_row: int,
    rank: int | None,
    places: Sequence[int] | None = None,
) -> pa.Table:
    """Rows with their tags, all or those at some places.

    Only their media and the tags that they have go to the tagger.
    """
    column = pick_column(table.column_names, tagger.column)
    there = [name for name in tag_columns(tagger) if name in table.column_names and name != column]
    given = pa.table(
        {column: source.tagger_cells(table[column], first_row), **{name: table[name] for name in there}}
    )
    if places is not None and len(places) < len(table):
        table, given = table.take(places), given.take(places)
    with memo.disabled():
        tagged = tagger(given, rank)
    return with_table(table, tagged.drop_columns([column]))


def with_rows(known: pa.Table, tagged: pa.Table, places: Sequence[int]) -> pa.Table:
    """The known rows, those at some places as they were tagged now."""
    order = list(range(len(known)))
    for number, place in enumerate(places):
        order[place] = len(known) + number
    return pa.concat_tables([known, tagged.select(known.column_names).cast(known.schema)]).take(order)


class Tally:
    """What a job has heard, told after each batch."""

    def __init__(self, index: int, report: Report) -> None:
        self.index, self.report = index, report
        self.rows = self.failed = 0

    def add(self, rows: int, failed: int) -> None:
        self.rows += rows
        self.failed += failed
        self.report(JobProgress(self.index, self.rows, self.failed))


def with_table(table: pa.Table, added: pa.Table) -> pa.Table:
    """A table with the columns of another beside it; those of the same name are replaced."""
    for name in added.column_names:
        if name in table.column_names:
            table = table.set_column(table.column_names.index(name), name, added[name])
        else:
            table = table.append_column(name, added[name])
    return table
