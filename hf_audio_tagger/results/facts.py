"""Statistics of a column of tags, for the summary and the card.

They are counted in batches of Arrow rows. Only the columns of tags and errors are read.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset

from ..columns import error_column
from ..errors import ColumnError
from ..scores import EMPTY
from ..text import hide_secrets
from .reasons import FailureReason

ROWS_AT_ONCE = 10_000


@dataclass(frozen=True)
class TagFacts:
    """Counts of rows and of their videos. The facts of parts can be added.

    A row is tagged, empty (only videos without an audio stream), without videos, or failed (an error is
    recorded for one of its videos).
    """

    rows: int = 0
    empty_rows: int = 0
    rows_without_videos: int = 0
    failed_rows: int = 0
    failed_videos: int = 0  # with an error; without a tag where no errors are recorded
    tags: Counter[str | None] = field(default_factory=Counter)  # of videos; None: a video without a tag

    @property
    def tagged_rows(self) -> int:
        return self.rows - self.empty_rows - self.rows_without_videos - self.failed_rows

    @property
    def videos(self) -> int:
        return self.tags.total()

    @property
    def empty_videos(self) -> int:
        return self.tags[EMPTY]

    @property
    def tagged_videos(self) -> int:
        return self.videos - self.empty_videos - self.tags[None]

    def most_frequent(self, count: int | None = None) -> list[tuple[str, int]]:
        """The tags of sounds, by decreasing frequency, then by name."""
        sounds = [(tag, times) for tag, times in self.tags.items() if tag is not None and tag != EMPTY]
        return sorted(sounds, key=lambda one: (-one[1], one[0]))[:count]

    def __add__(self, other: "TagFacts") -> "TagFacts":
        return TagFacts(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Summary:
    """Counts of rows. Each is tagged, EMPTY (only clips without sound), without videos, or failed."""

    dest: str
    rows: int
    tagged: int
    empty: int
    without_videos: int
    failed: int
    processed_now: int  # rows of this run; the others were done before
    seconds: float  # of this run
    clips_per_second: float  # in this run, without loading the model
    most_frequent: tuple[tuple[str, int], ...]  # tags of videos, without EMPTY
    failures: str | None  # the file that lists them
    kept: int = 0  # rows, also counted above, whose existing tags are kept
    notes: tuple[str, ...] = ()  # for the user, one line each
    sound_seconds_now: float = 0.0  # of sound that this run scored
    times_realtime: float = 0.0  # seconds of sound scored in a second, in this run
    common_reasons: tuple[FailureReason, ...] = ()  # of the failures, with a file each
    url: str | None = None  # of the dataset that the result was pushed to
    broken_tars: int = 0  # that could not be read to their end
    shard: str | None = None  # "2/8": the counts are of this command's share, while others' rows are left
    rows_left: int = 0  # of the other commands; tars, where these are the shards

    def as_dict(self) -> dict[str, Any]:
        """For `json.dumps`."""
        return {**asdict(self), "most_frequent": dict(self.most_frequent)}


def count_tags(ds: Dataset, column: str) -> TagFacts:
    """The facts of a dataset's column of tags and its column of errors.

    >>> count_tags(Dataset.from_dict({"t": [["Dog"], ["EMPTY"], [], ["Dog", None]]}), "t").tagged_videos
    2
    """
    if column not in ds.column_names:
        raise missing_column(column, ds.column_names)
    names = [name for name in (column, error_column(column).name) if name in ds.column_names]
    tables = ds.select_columns(names).with_format("arrow").iter(ROWS_AT_ONCE)
    return sum((count_table(table, column) for table in tables), TagFacts())


def count_table(table: pa.Table, column: str) -> TagFacts:
    """The facts of a column of tags in a table, such as a shard of a run."""
    tags, rows = flatten_tags(table, column)
    has_videos, has_sound, has_error = (np.zeros(len(table), bool) for _ in range(3))
    has_videos[rows] = True
    is_sound = pc.fill_null(pc.not_equal(tags, EMPTY), True)
    has_sound[rows[is_sound.to_numpy(zero_copy_only=False)]] = True
    counts = Counter({entry["values"]: entry["counts"] for entry in tags.value_counts().to_pylist()})
    failed_videos = counts[None]
    if (errors := error_column(column).name) in table.column_names:
        recorded, rows_of_errors = flatten_tags(table, errors)
        is_error = recorded.is_valid().to_numpy(zero_copy_only=False)
        has_error[rows_of_errors[is_error]] = True
        failed_videos = int(is_error.sum())
    return TagFacts(
        rows=len(table),
        empty_rows=int((has_videos & ~has_sound & ~has_error).sum()),
        rows_without_videos=int((~has_videos & ~has_error).sum()),
        failed_rows=int(has_error.sum()),
        failed_videos=failed_videos,
        tags=counts,
    )


def flatten_tags(table: pa.Table, column: str) -> tuple[pa.Array, np.ndarray]:
    """All tags of a column, and the row of each. Columns of `roll_up` have nested lists."""
    cells = table[column].combine_chunks()
    if pa.types.is_null(cells.type):  # no row was ever tagged
        cells = pa.nulls(len(cells), pa.list_(pa.string()))
    values, rows = cells, np.arange(len(cells))
    while pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        if values is not cells:  # a null within a row is a video without tags
            values = pc.coalesce(values, pa.scalar([None], values.type))
        rows = rows[pc.list_parent_indices(values).to_numpy()]
        values = pc.list_flatten(values)
    is_text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
    if not is_text and not pa.types.is_null(values.type):
        raise ColumnError(f"{column!r} must hold a list of text in each row; it holds {cells.type}.")
    return values, rows


def find_failures(table: pa.Table, errors: str, media: str, first_row: int = 0) -> Iterator[dict[str, Any]]:
    """Yield each video with an error. `media` is the column of its path, which need not exist."""
    cells = table[media].to_pylist() if media in table.column_names else [None] * len(table)
    for row, (cell, row_errors) in enumerate(zip(cells, table[errors].to_pylist(), strict=True), first_row):
        for video, error in enumerate(row_errors or []):
            if error is not None:
                value = cell[video] if isinstance(cell, list) else cell
                path = value["path"] if isinstance(value, dict) else value
                yield {"row": row, "video": video, "path": path and hide_secrets(path), "error": error}


def missing_column(column: str, names: Sequence[str]) -> ColumnError:
    return ColumnError(
        f"The dataset has no column {column!r} of tags; it has {', '.join(map(repr, names)) or 'none'}. "
        "Tag it first, ds.map(tagger), or name the column that holds its tags."
    )
