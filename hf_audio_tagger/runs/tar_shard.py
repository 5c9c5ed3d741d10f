"""Tagging one tar: its samples become the rows of one Parquet file.

The file's footer has where in the tar the last row ends, so that an interrupted run goes on there, and why
the tar could not be read any further, if it could not. Media are in memory for one batch only.
"""

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import pyarrow as pa
from datasets import Features

from ..cells import UnreadableMedia
from ..checks import check_types
from ..digests import digest_values
from ..errors import MediaError
from ..executors.reporting import JobReporter
from ..sources.source import Stream
from ..sources.tar_shards import TarSource
from ..sources.tars.layout import KEY, Layout, build_rows, find_left_out, make_clip
from ..sources.tars.names import Tar
from ..sources.tars.reader import SampleReader
from ..sources.tars.samples import Sample
from ..stores import Place
from .output import plain_features
from .shards import Footer, read_batches, read_columns
from .stamps import NO_FILE
from .tag_shard import Batch, ShardJob, ShardTagger, list_tag_columns
from .tar_folder import BesideFolder

BATCH_BYTES = 128 << 20  # of media in a batch, if it has several rows


@dataclass(frozen=True)
class TarJob(ShardJob):
    """A tar to tag, or the rest of it."""

    is_fresh: bool = False  # the tar has changed: the rows of its existing shard do not count


def make_tar_job(index: int, tar: Tar, redo_rows: tuple[int, ...] = (), is_fresh: bool = False) -> TarJob:
    return TarJob(index, f"tar {index} ({tar.name})", 0, None, redo_rows, is_fresh)


@dataclass(frozen=True)
class TarState:
    """How far a tar was read, as its shard's footer has it."""

    layout: str  # a digest
    stamp: str | None = None  # of the tar
    byte: int = 0  # where the next sample begins
    problem: str | None = None  # why it could not be read to its end
    left_out: dict[str, int] | None = None  # members without a cell, by the reason


def read_state(footer: Footer | None) -> TarState | None:
    """The state in a footer; None where it has none, which is no shard of a tar."""
    try:
        return None if footer is None else check_types(TarState(**(footer.state or {})))
    except TypeError:
        return None


@dataclass(frozen=True, eq=False)
class TarTagger(ShardTagger):
    """Tags tars. A shard is a file in DEST, or lies beside its tar."""

    source: TarSource

    @cached_property
    def features(self) -> Features:
        """The columns of a shard: without the clip, unless files are kept."""
        found = self.tagger.features(self.source.features)
        if self.layout.kept != "all":
            del found[self.layout.media]
        return found if self.folder.keeps_bytes else plain_features(found)

    @property
    def layout(self) -> Layout:
        return self.source.layout

    @cached_property
    def layout_digest(self) -> str:
        return digest_values(self.layout)

    def find_shard(self, index: int) -> Place:
        if isinstance(self.folder, BesideFolder):
            return self.folder.results[index]
        return super().find_shard(index)

    def write_shards(
        self, job: ShardJob, batch_rows: int, reporter: JobReporter
    ) -> Generator[tuple[int, int], None, None]:
        """Write the shard of a tar. One that breaks off counts as one more failure."""
        assert isinstance(job, TarJob)
        # Clips that cannot be read are noted by their row, which is one of this tar.
        work = replace(self, source=replace(self.source, refused={}))
        footer = None if job.is_fresh else self.read_footer(job.index)
        yield from work.write(job, 0, footer, None, batch_rows, reporter)
        state = read_state(self.read_footer(job.index))
        if state is not None and state.problem is not None:
            yield 0, 1

    def read(
        self, job: ShardJob, rows: int, footer: Footer | None, stream: Stream | None, batch_rows: int
    ) -> Iterator[Batch]:
        """The rows of the existing shard, some of them to be tagged again, then the rest of the tar."""
        tar = self.source.tars[job.index]
        state = replace(read_state(footer) or TarState(self.layout_digest), stamp=tar.stamp)
        is_whole = footer is not None and footer.ended and state.problem is None
        reader = self.open_reader(job, footer, state.byte)
        for first, table in self.read_known(job.index, footer, batch_rows):
            redone = [row for row in job.redo_rows if first <= row < first + len(table)]
            given, known = self.split(table)
            if job.redo_rows:
                given = self.add_clips(given, first, redone, reader)
            state = replace(state, problem=self.check_problem(tar, reader.problem))
            stamps = [NO_FILE] * len(table)
            yield Batch(given, known, stamps, asdict(state), is_whole or reader.has_ended)
        known_rows = footer.rows if footer else 0
        while not is_whole:
            table, state = self.take_rows(reader, tar, known_rows, batch_rows, state)
            state = replace(state, problem=self.check_problem(tar, reader.problem))
            known_rows += len(table)
            known = None if len(table) else self.split(self.features.arrow_schema.empty_table())[1]
            yield Batch(table, known, (), asdict(state), reader.has_ended)
            del table  # before the next ones are read
            is_whole = reader.has_ended

    def take_rows(
        self, reader: SampleReader, tar: Tar, first_row: int, batch_rows: int, state: TarState
    ) -> tuple[pa.Table, TarState]:
        """The rows of a batch, and how far the tar is read then.

        A sample becomes a row before the next one is read, so that its media are in memory only once.
        """
        tables, read_bytes = [self.source.features.arrow_schema.empty_table()], 0
        left_out = Counter(state.left_out or {})
        while len(tables) <= batch_rows and read_bytes < BATCH_BYTES:
            sample = reader.take_one()
            if sample is None:
                break
            table, refused = build_rows([sample], tar.name, self.layout)
            self.note_refused(refused, first_row + len(tables) - 1)
            tables.append(table)
            read_bytes += sample.read_bytes
            left_out += find_left_out(sample, self.layout)
            state = replace(state, byte=sample.end, left_out=dict(left_out) or None)
        return pa.concat_tables(tables), state

    def check_problem(self, tar: Tar, problem: str | None) -> str | None:
        """Why a tar breaks off; an error where errors are not recorded."""
        if problem is not None and self.tagger.on_error == "raise":
            raise MediaError(f"{tar.name}: {problem}.")
        return problem

    def open_reader(self, job: ShardJob, footer: Footer | None, byte: int) -> SampleReader:
        """A reader of the tar: from its beginning where rows are done again, else behind the known ones."""
        path, redo, known_rows = self.source.tars[job.index].path, set(job.redo_rows), 0
        keys: Sequence[str] = ()
        if footer is not None:
            known_rows = footer.rows
            keys = () if redo else read_columns(self.find_shard(job.index), [KEY])[KEY].to_pylist()

        def find_limit(row: int, sample: Sample, suffix: str) -> int:
            return self.layout.find_limit(sample, suffix) if row >= known_rows or row in redo else 0

        start = (0, 0) if redo else (byte, known_rows)
        return SampleReader(path, find_limit, *start, keys, self.tagger.token)

    def read_known(
        self, index: int, footer: Footer | None, batch_rows: int
    ) -> Iterator[tuple[int, pa.Table]]:
        """The rows of the existing shard, with the first one's number."""
        first = 0
        for table in read_batches(self.find_shard(index), batch_rows) if footer is not None else ():
            yield first, table
            first += len(table)

    def split(self, table: pa.Table) -> tuple[pa.Table, pa.Table]:
        """The given columns and those of the tags."""
        names = [name for name in list_tag_columns(self.tagger) if name in table.column_names]
        return table.drop_columns(names), table.select(names)

    def add_clips(
        self, table: pa.Table, first_row: int, rows: Sequence[int], reader: SampleReader
    ) -> pa.Table:
        """The table with the clips of some of its rows, read anew. The reader passes all of its rows."""
        media = self.layout.media
        cells: list[Any] = [None] * len(table)
        if media in table.column_names:
            cells = table[media].to_pylist()
            table = table.drop_columns([media])
        for index, key in enumerate(table[KEY].to_pylist()):
            sample, row = reader.take_one(), first_row + index
            if row not in rows:
                continue
            problem = reader.problem or "it has fewer samples than before"
            refused = UnreadableMedia(key, f"its tar cannot be read: {problem}")
            clip = refused if sample is None else make_clip(sample, self.layout)
            self.note_refused({0: clip} if isinstance(clip, UnreadableMedia) else {}, row)
            cells[index] = None if isinstance(clip, UnreadableMedia) else clip
        kind = self.source.features.arrow_schema.field(media).type
        return table.append_column(media, pa.array(cells, kind))

    def note_refused(self, refused: Mapping[int, UnreadableMedia], first_row: int) -> None:
        """Let the source know which clips cannot be read: the tagger records the reasons as their errors."""
        assert isinstance(self.source.refused, dict)
        self.source.refused.update({first_row + row: {0: clip} for row, clip in refused.items()})
