"""The column with the media of a source, found by its first rows where names and features do not tell."""

from dataclasses import replace
from functools import partial
from typing import Any

from ..cells import COLUMNS, read_cells
from ..media_column import FIRST_VALUES, pick_column
from ..tagger import Tagger
from .source import Source


def find_media_column(source: Source, column: str | None = None) -> str:
    """The requested column, else the one that a person would take; see `pick_column`.

    >>> find_media_column(open_source("rows.csv"))  # doctest: +SKIP
    'file_name'
    """
    read_values = partial(read_first_values, source)
    return pick_column(list(source.features), column, lambda: source.features, read_values)


def read_first_values(source: Source, name: str) -> list[Any]:
    rows = source.stream().take(FIRST_VALUES) if source.is_stream else source.rows(0, FIRST_VALUES)
    return read_cells(rows[name])


def with_media_column(source: Source, tagger: Tagger) -> Tagger:
    """The tagger with the source's column as its own: a worker sees few rows, and cannot look for it.

    A column that every tagger looks for stays unnamed, so that the run is the same with and without its name.
    """
    column = find_media_column(source, tagger.column)
    return tagger if column in (*COLUMNS, tagger.column) else replace(tagger, column=column)
