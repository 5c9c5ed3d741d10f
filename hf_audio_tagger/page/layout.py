"""Which columns of a dataset a report shows, and as what."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import pyarrow as pa
from datasets import Features

from ..audioset.labels import find_class_names, parse_labels
from ..columns import all_columns
from ..errors import ColumnError
from ..media_column import is_media_feature, pick_column
from ..media_paths import is_list
from ..provenance import Provenance
from ..results.facts import missing_column
from ..settings import TAG_COLUMN
from .tables import Tables

LABEL_COLUMNS = ("labels", "label")
SECONDS_COLUMNS = ("video_duration", "audio_duration", "duration", "seconds", "duration_seconds")
NAME_COLUMNS = ("file_name", "id", "name", "path")
MOST_METADATA = 20  # columns


@dataclass(frozen=True)
class Layout:
    """Names of columns; None where the dataset has none of the kind."""

    tags: str
    top: str | None
    segments: str | None
    embedding: str | None
    error: str | None
    media: str | None
    name: str | None  # of clips without a path
    seconds: str | None
    labels: str | None
    label_names: tuple[str, ...] | None  # of labels that are whole numbers
    metadata: tuple[str, ...]

    @property
    def read(self) -> list[str]:
        """The columns that are read for clips."""
        shown = (
            self.tags,
            self.top,
            self.segments,
            self.error,
            self.media,
            self.name,
            self.seconds,
            self.labels,
        )
        return list(dict.fromkeys([*(name for name in shown if name is not None), *self.metadata]))


def find_layout(tables: Tables, column: str | None, labels: str | None) -> Layout:
    """The columns to show. Named ones must exist; the others are found by name and type."""
    features = tables.features
    names = list(features)
    tags = find_tags(names, tables.provenance, column)
    kinds = {one.kind: one.name for one in all_columns(tags) if one.name in names}
    media = None
    with suppress(ColumnError):
        media = pick_column(names, None, lambda: features, lambda name: read_first(tables, name))
    types = {field.name: field.type for field in features.arrow_schema}
    label_column, label_names = find_labels(tables, labels)
    seconds = next((name for name in SECONDS_COLUMNS if name in names and is_number(types[name])), None)
    name = next((one for one in NAME_COLUMNS if one in names and one != media and is_plain(types[one])), None)
    used = {*(one.name for one in all_columns(tags)), media, label_column}
    metadata = [
        one
        for one in names
        if one not in used and not is_media_feature(features[one]) and is_shown(types[one])
    ]
    return Layout(
        tags=tags,
        top=kinds.get("top"),
        segments=kinds.get("segments"),
        embedding=kinds.get("embedding"),
        error=kinds.get("error"),
        media=media,
        name=name,
        seconds=seconds,
        labels=label_column,
        label_names=label_names,
        metadata=tuple(metadata[:MOST_METADATA]),
    )


def find_tags(names: Sequence[str], provenance: Provenance, column: str | None) -> str:
    """The column of tags: the named one, the usual one, or the one that a tagger left its record for."""
    candidates = (column,) if column is not None else (TAG_COLUMN, *provenance)
    for name in candidates:
        if name in names:
            return name
    raise missing_column(candidates[0], names)


def read_first(tables: Tables, name: str) -> list[object]:
    """The first values of a column."""
    for table in tables.read([name], None):
        values: list[object] = table[name].slice(0, 8).to_pylist()
        return values
    return []


def find_labels(tables: Tables, column: str | None) -> tuple[str | None, tuple[str, ...] | None]:
    """The column of the dataset's own labels, and the names of whole numbers in it."""
    features: Features = tables.features
    if column is not None and column not in features:
        existing = ", ".join(map(repr, features)) or "none"
        raise ColumnError(f"labels= names {column!r}; the dataset has the columns {existing}.")
    for name in LABEL_COLUMNS if column is None else (column,):
        if name not in features:
            continue
        names = find_class_names(features[name])
        try:
            for table in tables.read([name], None):
                parse_labels(table[name], name, names)
                break
        except ColumnError:
            if column is not None:
                raise
            continue
        return name, None if names is None else tuple(names)
    return None, None


def is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def is_plain(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind))


def is_shown(kind: pa.DataType) -> bool:
    """True for texts, numbers, dates, and lists of texts."""
    if is_list(kind):
        return bool(pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type))
    others = pa.types.is_boolean(kind) or pa.types.is_temporal(kind)
    return bool(others or is_number(kind) or is_plain(kind))
