"""Tars in WebDataset's layout as a source: a stream of samples, and for a run a shard each."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
from datasets import IterableDataset

from ..cells import UnreadableMedia
from ..digests import digest_values
from ..media_column import pick_column
from ..text import as_utf8, hide_secrets
from .source import Source, SourceError, SourceRequest, State, Stream
from .tars.byte_streams import HEADER_BLOCK_BYTES, open_bytes
from .tars.layout import Layout, build_rows, find_layout
from .tars.names import Tar, find_tars, is_tar
from .tars.problems import BrokenTarError
from .tars.samples import Sample, read_samples

MOST_TRIED = 8  # tars that may be broken before one shows the columns


@dataclass(frozen=True, eq=False)
class TarSource(Source):
    """Tars whose samples are rows. `row_count` is not known, and rows are read in sequence."""

    tars: tuple[Tar, ...] = ()
    layout: Layout = field(default_factory=lambda: Layout((), ""))
    token: str | bool | None = None  # of the Hub

    @property
    def is_divisible(self) -> bool:
        return True

    def stream(self, state: State | None = None) -> Stream:
        return TarStream(self, state)


def open_tars(request: SourceRequest) -> Source | None:
    """One tar, or those of a pattern."""
    return open_tar_list([request.name], request) if is_tar(request.name) else None


def open_tar_list(patterns: Sequence[str | os.PathLike[str]], request: SourceRequest) -> TarSource:
    """Tars of several names, in this order."""
    request.check_options("one or more tars", "streaming")
    tars = [tar for pattern in patterns for tar in find_tars(os.fspath(pattern), request.token)]
    if not tars:
        raise SourceError(f"{request.name}: there are no such tars.")
    layout = find_first_layout(request.name, tars, request.token)
    return make_source(hide_secrets(as_utf8(request.name)), tars, layout, request.token)


def make_source(name: str, tars: Sequence[Tar], layout: Layout, token: str | bool | None = None) -> TarSource:
    """The source of tars with a layout. Where they lie makes no difference to its fingerprint."""
    names = [tar.name.rpartition("/")[2] for tar in tars]
    dataset = IterableDataset.from_generator(
        generate_rows, features=layout.features, gen_kwargs={"tars": list(tars), "layout": layout}
    )
    return TarSource(
        name, dataset, digest_values("tars", names, layout), tars=tuple(tars), layout=layout, token=token
    )


def choose_clip(source: TarSource, column: str | None, keeps_files: bool) -> TarSource:
    """The source of a run: with the member of a column as the clip, and with texts alone or all files."""
    layout = source.layout
    if column is not None:
        pick_column(list(source.features), column)  # an error where there is no such member
        layout = replace(layout, media=column, is_chosen=True)
    layout = layout.keep("all" if keeps_files else "texts")
    return source if layout == source.layout else make_source(source.name, source.tars, layout, source.token)


def find_first_layout(name: str, tars: Sequence[Tar], token: str | bool | None) -> Layout:
    """The layout of the first tar with samples."""
    problems: list[str] = []
    for tar in tars[:MOST_TRIED]:
        try:
            with closing(open_bytes(tar.path, token, HEADER_BLOCK_BYTES)) as stream:
                layout = find_layout(stream)
        except BrokenTarError as error:
            problems.append(f"{tar.name}: {error}.")
            continue
        if layout is not None:
            return layout
        problems.append(f"{tar.name}: its first samples have no member of a video or a sound.")
    several = "" if len(tars) == 1 else f"{name}: none of the first tars shows the columns. "
    raise SourceError(several + problems[0])


def generate_rows(tars: Sequence[Tar], layout: Layout) -> Iterator[dict[str, Any]]:
    """The rows of an `IterableDataset`; each worker of it gets some of the tars."""
    for _, table, _ in read_rows(tars, layout, None):
        yield from table.to_pylist()


def read_rows(
    tars: Sequence[Tar],
    layout: Layout,
    token: str | bool | None,
    first_tar: int = 0,
    start: int = 0,
    rows: int = 0,
) -> Iterator[tuple[State, pa.Table, UnreadableMedia | None]]:
    """Each sample as a table of one row, with the state behind it. A tar that breaks off is a row, too."""
    for index in range(first_tar, len(tars)):
        tar = tars[index]
        try:
            with closing(open_bytes(tar.path, token)) as stream:
                stream.skip_to(start)
                for sample in read_samples(
                    stream, lambda row, sample, suffix: layout.find_limit(sample, suffix)
                ):
                    table, refused = build_rows([sample], tar.name, layout)
                    rows += 1
                    yield {"tar": index, "byte": sample.end, "rows": rows}, table, refused.get(0)
        except BrokenTarError as error:
            table, _ = build_rows([Sample("")], tar.name, layout)
            rows += 1
            yield {"tar": index + 1, "byte": 0, "rows": rows}, table, UnreadableMedia(tar.name, f"{error}.")
        start = 0


class TarStream(Stream):
    """Reads the samples one by one. What cannot be read is noted in the source, as in folders."""

    def __init__(self, source: TarSource, state: State | None) -> None:
        assert isinstance(source.refused, dict)
        self.source, self.refused = source, source.refused
        before: Mapping[str, Any] = state or {"tar": 0, "byte": 0, "rows": 0}
        self.samples = read_rows(
            source.tars, source.layout, source.token, before["tar"], before["byte"], before["rows"]
        )
        self.state, self.row = state, before["rows"]
        self.advance_sample()

    def advance_sample(self) -> None:
        self.next_sample = next(self.samples, None)

    @property
    def ended(self) -> bool:
        return self.next_sample is None

    def take(self, count: int) -> pa.Table:
        tables: list[pa.Table] = []
        while self.next_sample is not None and len(tables) < count:
            self.state, table, refused = self.next_sample
            if refused is not None:
                self.refused[self.row] = {0: refused}
            tables.append(table)
            self.row += 1
            self.advance_sample()
        empty = self.source.features.arrow_schema.empty_table()
        return pa.concat_tables([empty, *tables])
