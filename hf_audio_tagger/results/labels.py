"""How many videos have each label, in a column with one label or with several for each video.

The column is that of tags, or one with a list for each video: labels, scored labels, rolled-up tags. It is
read once, in batches of Arrow rows; what is kept are 12 bytes for each label of each video.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import ColumnError
from ..scores import EMPTY
from ..thresholds import NEVER, Thresholds
from .facts import ROWS_AT_ONCE


@dataclass(frozen=True, eq=False)
class LabelFacts:
    """The labels of videos, each at most once in a video. Null rows were never tagged and do not count."""

    names: tuple[str, ...]
    videos: np.ndarray  # a number for each label of each video: that of the video
    codes: np.ndarray  # and that of the label, which indexes names
    empty_videos: int  # without an audio stream
    failed_videos: int  # null
    bare_videos: int  # without any label, for another reason or for none that is known

    @cached_property
    def counts(self) -> dict[str, int]:
        """The number of videos with each label, the most frequent first, then by name."""
        counts = np.bincount(self.codes, minlength=len(self.names)).tolist()
        return dict(sorted(zip(self.names, counts, strict=True), key=lambda one: (-one[1], one[0])))

    def count_with_others(self, shown: Collection[str]) -> int:
        """The number of videos with a label beside these."""
        is_other = np.array([name not in shown for name in self.names], bool)
        return len(np.unique(self.videos[is_other[self.codes]])) if len(self.codes) else 0


@dataclass(frozen=True, eq=False)
class LabelPart:
    """The labels of a batch of rows, with the numbers of their videos in it."""

    labels: pa.Array
    videos: np.ndarray
    is_failed: np.ndarray  # of each video
    is_empty: np.ndarray


def count_labels(
    tables: Iterable[pa.Table],
    column: str,
    tag_column: str | None = None,
    thresholds: Thresholds | None = None,
) -> LabelFacts:
    """The facts of a column. Of scored labels only those that reach their threshold count.

    A list without labels does not say whether its video has an audio stream; `tag_column` does.
    """
    names: dict[str, int] = {}
    videos, codes = [np.zeros(0, np.int64)], [np.zeros(0, np.int32)]
    total = empty = failed = bare = 0
    for table in tables:
        part = read_part(table, column, tag_column, thresholds)
        encoded = part.labels.dictionary_encode()
        places = [names.setdefault(name, len(names)) for name in encoded.dictionary.to_pylist()]
        part_codes = np.array(places, np.int32)[encoded.indices.to_numpy(zero_copy_only=False)]
        pairs = np.unique(part.videos * max(1, len(names)) + part_codes)  # a label counts once in a video
        part_videos, part_codes = np.divmod(pairs, max(1, len(names)))
        videos.append(part_videos + total)
        codes.append(part_codes.astype(np.int32))
        has_label = np.zeros(len(part.is_failed), bool)
        has_label[part.videos] = True
        total += len(has_label)
        empty += int(part.is_empty.sum())
        failed += int(part.is_failed.sum())
        bare += int((~has_label & ~part.is_failed & ~part.is_empty).sum())
    return LabelFacts(tuple(names), np.concatenate(videos), np.concatenate(codes), empty, failed, bare)


def read_part(
    table: pa.Table, column: str, tag_column: str | None, thresholds: Thresholds | None
) -> LabelPart:
    entries = flatten_lists(table[column].combine_chunks())  # one for each video
    is_failed = entries.is_null().to_numpy(zero_copy_only=False)
    if is_list(entries.type):
        places, labels = pc.list_parent_indices(entries).to_numpy(), pc.list_flatten(entries)
    else:
        places, labels = np.arange(len(entries)), entries
    if pa.types.is_struct(labels.type):
        labels, places = select_scored(labels, places, column, thresholds)
    elif thresholds is not None:
        raise ColumnError(f"{column!r} has no scores, which min_score needs; it holds {entries.type}.")
    if pa.types.is_null(labels.type):
        labels = labels.cast(pa.string())
    if not (pa.types.is_string(labels.type) or pa.types.is_large_string(labels.type)):
        kind = table[column].type
        raise ColumnError(
            f"{column!r} must hold a list of text or of scored labels in each row; it holds {kind}."
        )
    is_empty = np.zeros(len(entries), bool)
    is_empty_label = pc.fill_null(pc.equal(labels, EMPTY), False).to_numpy(zero_copy_only=False)
    is_empty[places[is_empty_label]] = True
    if tag_column is not None:
        tags = flatten_lists(table[tag_column].combine_chunks())
        if len(tags) == len(entries) and not is_list(tags.type) and not pa.types.is_null(tags.type):
            is_empty |= pc.fill_null(pc.equal(tags, EMPTY), False).to_numpy(zero_copy_only=False)
    is_label = labels.is_valid().to_numpy(zero_copy_only=False) & ~is_empty_label
    return LabelPart(
        labels.filter(pa.array(is_label)), places[is_label].astype(np.int64), is_failed, is_empty
    )


def flatten_lists(cells: pa.Array) -> pa.Array:
    """The entries of a column's lists, one for each video; a column of text is that already."""
    if pa.types.is_null(cells.type):  # no row was ever tagged
        return pa.array([], pa.string())
    return pc.list_flatten(cells) if is_list(cells.type) else cells


def is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def select_scored(
    labels: pa.Array, places: np.ndarray, column: str, thresholds: Thresholds | None
) -> tuple[pa.Array, np.ndarray]:
    """The names of scored labels that reach their threshold, compared in float32, as they are stored."""
    fields = {field.name for field in labels.type}
    if not {"label", "score"} <= fields:
        raise ColumnError(f"{column!r} must hold labels with scores; it holds {labels.type}.")
    names = pc.struct_field(labels, "label")
    if thresholds is None:
        return names, places
    scores = pc.struct_field(labels, "score").to_numpy(zero_copy_only=False).astype(np.float32)
    is_enough = scores >= find_least(names, thresholds)
    return names.filter(pa.array(is_enough)), places[is_enough]


def find_least(names: pa.Array, thresholds: Thresholds) -> Any:
    """The threshold of each label, or the one of all; of a label that has none, infinity."""
    if isinstance(thresholds, float):
        return np.float32(thresholds)
    by_label, encoded = dict(thresholds), pc.fill_null(names, "").dictionary_encode()
    least = [by_label.get(name, NEVER) for name in encoded.dictionary.to_pylist()]
    return np.array(least, np.float32)[encoded.indices.to_numpy()]


def build_tables(rows: Iterable[Any], column: str) -> Iterator[pa.Table]:
    """Tables of Python lists of tags, one per row. The column's name is used in errors."""
    rows = iter(rows)
    while part := list(islice(rows, ROWS_AT_ONCE)):
        try:
            yield pa.table({column: pa.array(part)})
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise ColumnError(f"Expected lists of tags, such as [['Music'], []]: {error}.") from error
