"""Rows as clips: a clip is one video of one row, numbered in the dataset's order."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ..audioset.labels import parse_labels
from ..media_paths import shorten_paths
from ..scores import EMPTY
from .layout import Layout
from .tables import Tables

TAGGED, IS_EMPTY, FAILED, UNTAGGED = range(4)  # states, as the page numbers them
MOST_TOP = 20  # labels of a clip, the strongest
MOST_SEGMENTS = 500
MOST_CHARACTERS = 2_000  # of a text of metadata, and of an error

Scored = tuple[str, float | None]


@dataclass(slots=True)
class Clip:
    """What a row says of one of its videos."""

    number: int
    row: int
    place: int  # among the row's videos
    is_alone: bool  # the row has no other video
    path: str | None  # as the cell has it
    name: str
    state: int
    tag: str | None
    top: list[Scored]
    segments: list[tuple[float, float, str, float | None]]
    error: str | None
    seconds: float | None
    labels: list[str] | None  # None: not known
    metadata: list[tuple[str, str]]

    @property
    def score(self) -> float | None:
        """Of its tag: among the top labels, else of its strongest segment."""
        if self.tag is None:
            return None
        scores = [score for label, score in self.top if label == self.tag and score is not None]
        if not scores:
            scores = [score for *_, label, score in self.segments if label == self.tag and score is not None]
        return max(scores, default=None)

    def list_sounds(self) -> dict[str, float | None]:
        """Each different sound with its highest score, the tag first."""
        sounds: dict[str, float | None] = {}
        if self.tag is not None:
            sounds[self.tag] = None
        segments = ((label, score) for *_, label, score in self.segments)
        for label, score in (*self.top, *segments):
            known = sounds.get(label)
            sounds[label] = known if score is None or (known is not None and known >= score) else score
        return sounds


def count_clips(tags: Any, media: Any, has_media: bool) -> int:
    """How many videos a row has."""
    if isinstance(tags, list):
        return len(tags)
    if tags is None and has_media:
        return len(media) if isinstance(media, list) else int(media is not None)
    return 1


def read_clips(tables: Tables, layout: Layout, root: str) -> Iterator[Clip]:
    """All clips. Names, errors and metadata are shortened to `root`."""
    number = first_row = 0
    for table in tables.read(layout.read, layout.media):
        columns = {name: read_column(table, name) for name in layout.read}
        labels = read_labels(table, layout)
        for index in range(len(table)):
            row = {name: cells[index] for name, cells in columns.items()}
            for clip in split_row(row, layout, root, first_row + index, number):
                clip.labels = labels[index]
                yield clip
                number += 1
        first_row += len(table)


def read_column(table: pa.Table, name: str) -> list[Any]:
    if name not in table.column_names:
        return [None] * len(table)
    values: list[Any] = table[name].to_pylist()
    return values


def split_row(row: dict[str, Any], layout: Layout, root: str, index: int, number: int) -> Iterator[Clip]:
    """The clips of a row."""
    media = row.get(layout.media) if layout.media else None
    tags = row[layout.tags]
    count = count_clips(tags, media, layout.media is not None)
    metadata = list(describe_metadata(row, layout, root))
    seconds = as_seconds(row[layout.seconds]) if layout.seconds else None
    for place in range(count):
        is_alone = count == 1
        path = pick(media, place)
        tag = pick(tags, place)
        error = pick(row[layout.error], place) if layout.error else None
        segments = list(read_segments(pick(row[layout.segments], place) if layout.segments else None))
        name = make_name(path, row[layout.name] if layout.name else None, root, index, place, is_alone)
        yield Clip(
            number=number + place,
            row=index,
            place=place,
            is_alone=is_alone,
            path=path,
            name=name,
            state=find_state(tag, error),
            tag=None if tag == EMPTY or error is not None else tag,
            top=read_top(pick(row[layout.top], place) if layout.top else None),
            segments=segments,
            error=None if error is None else shorten_paths(error, root)[:MOST_CHARACTERS],
            seconds=seconds if is_alone and seconds is not None else segments[-1][1] if segments else None,
            labels=None,
            metadata=[one for one in metadata if one[1] != name],
        )


def pick(cell: Any, place: int) -> Any:
    """A video's entry in a row's cell."""
    if isinstance(cell, list):
        return cell[place] if place < len(cell) else None
    return cell


def find_state(tag: str | None, error: str | None) -> int:
    if error is not None:
        return FAILED
    if tag is None:
        return UNTAGGED
    return IS_EMPTY if tag == EMPTY else TAGGED


def make_name(path: Any, named: Any, root: str, row: int, place: int, is_alone: bool) -> str:
    """What the dataset calls a clip: its path below the run's root, else its row's name, else its row."""
    if path:
        return shorten_paths(str(path), root) or str(path)
    name = f"row {row}" if named is None else shorten_paths(str(named), root)
    return name if is_alone else f"{name}, video {place + 1}"


def read_top(cell: Any) -> list[Scored]:
    return [(str(one["label"]), one["score"]) for one in (cell or ())[:MOST_TOP] if one]


def read_segments(cell: Any) -> Iterator[tuple[float, float, str, float | None]]:
    for one in (cell or ())[:MOST_SEGMENTS]:
        if one and one["start"] is not None and one["end"] is not None:
            yield one["start"], one["end"], str(one["label"]), one["score"]


def as_seconds(value: Any) -> float | None:
    """A length that makes sense."""
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return None
    return seconds if 0 <= seconds < 1e9 else None


def describe_metadata(row: dict[str, Any], layout: Layout, root: str) -> Iterator[tuple[str, str]]:
    for name in layout.metadata:
        value = row[name]
        if value is None or value == []:
            continue
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        yield name, shorten_paths(text[:MOST_CHARACTERS], root)


def read_labels(table: pa.Table, layout: Layout) -> list[list[str] | None]:
    """Each row's own labels; None where they are not known."""
    if layout.labels is None:
        return [None] * len(table)
    cells = table[layout.labels]
    parsed = parse_labels(cells, layout.labels, layout.label_names)
    found: list[list[str] | None] = [[] if valid else None for valid in cells.is_valid().to_pylist()]
    for row, index in zip(parsed.rows.tolist(), parsed.indices.tolist(), strict=True):
        known = found[row]
        if known is not None:
            known.append(parsed.classes[index])
    return found
