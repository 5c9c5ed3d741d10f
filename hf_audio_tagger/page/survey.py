"""The first reading: how many clips there are, the folder that their files share, and their embeddings."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..media_paths import find_root, is_absolute, is_list
from .clips import count_clips, read_column
from .layout import Layout
from .tables import Tables


@dataclass(frozen=True, eq=False)
class Survey:
    clip_count: int
    root: str  # the folder that all paths of this machine share, with its last slash; ""
    units: np.ndarray | None  # float32 (embeddings, width), on disk; None without any
    clips: np.ndarray  # the clip of each embedding


def take_survey(tables: Tables, layout: Layout, folder: Path, advance: Callable[[int], Any]) -> Survey:
    """Read paths and embeddings; the latter go to a file in `folder`, and are not held in memory."""
    total, prefix = 0, None
    file = EmbeddingFile(folder / "embeddings")
    names = [name for name in (layout.tags, layout.media, layout.embedding) if name is not None]
    with file:
        for table in tables.read(names, layout.media):
            tags = read_column(table, layout.tags)
            media = read_column(table, layout.media) if layout.media else [None] * len(table)
            has_media = layout.media is not None
            counts = np.array(
                [count_clips(*row, has_media) for row in zip(tags, media, strict=True)], np.int64
            )
            prefix = extend_prefix(prefix, media)
            if layout.embedding is not None:
                file.add(table[layout.embedding], total + np.cumsum(counts) - counts, counts)
            total += int(counts.sum())
            advance(len(table))
    return Survey(total, find_root([prefix]) if prefix else "", *file.read())


def extend_prefix(prefix: str | None, cells: list[Any]) -> str | None:
    """What absolute paths of this machine begin with."""
    paths = [path for cell in cells for path in (cell if isinstance(cell, list) else [cell])]
    absolute = [path for path in paths if isinstance(path, str) and is_absolute(path)]
    known = [] if prefix is None else [prefix]
    return os.path.commonprefix([*known, *absolute]) if known or absolute else None  # noqa: RUF071


class EmbeddingFile:
    """Unit vectors in a file. Vectors without a direction are left out."""

    def __init__(self, path: Path) -> None:
        self.path, self.width = path, 0
        self.clips: list[np.ndarray] = [np.zeros(0, np.int64)]

    def __enter__(self) -> "EmbeddingFile":
        self.file = open(self.path, "wb")
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()

    def add(self, cells: pa.ChunkedArray, starts: np.ndarray, counts: np.ndarray) -> None:
        """The embeddings of some rows, whose first clips are `starts`."""
        column = cells.combine_chunks()
        clips, vectors = starts, column
        if is_list(column.type) and is_list(column.type.value_type):  # a list with one for each video
            rows = pc.list_parent_indices(column).to_numpy()
            lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
            places = np.arange(len(rows)) - (np.cumsum(lengths) - lengths)[rows]
            clips, vectors = starts[rows] + places, pc.list_flatten(column)
            is_clip = places < counts[rows]
        else:
            is_clip = counts > 0
        if not is_list(vectors.type):
            return
        lengths = pc.fill_null(pc.list_value_length(vectors), 0).to_numpy(zero_copy_only=False)
        self.width = self.width or int(lengths.max(initial=0))
        is_kept = is_clip & (lengths == self.width) & (lengths > 0)
        if not is_kept.any():
            return
        values = pc.list_flatten(vectors.filter(pa.array(is_kept))).to_numpy(zero_copy_only=False)
        units, has_direction = normalize(values.reshape(-1, self.width))
        self.file.write(units[has_direction].tobytes())
        self.clips.append(clips[is_kept][has_direction])

    def read(self) -> tuple[np.ndarray | None, np.ndarray]:
        clips = np.concatenate(self.clips)
        if not len(clips):
            return None, clips
        return np.memmap(self.path, np.float32, "r", shape=(len(clips), self.width)), clips


def normalize(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors in float32, and whether each has a direction."""
    wide = values.astype(np.float64)
    peaks = np.abs(wide).max(axis=1, initial=0)
    has_direction = np.isfinite(peaks) & (peaks > 0)
    wide[~has_direction] = 1
    wide /= np.where(has_direction, peaks, 1)[:, None]
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    return wide.astype(np.float32), has_direction
