"""Find the column that holds the videos or sounds: by its name, its feature, or its first values.

A name or a feature is the same for all rows. Values are not: `pick_column` gets them from the first rows of a
source, or, where `map` passes one row or batch at a time, from these alone.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from datasets import Audio, LargeList, List, Value, Video

from .cells import COLUMNS, is_list_cell, is_null, is_samples_struct
from .compat.datasets_calls import encoded_file
from .errors import ColumnError
from .media_paths import MEDIA_SUFFIXES, has_media_suffix

FIRST_VALUES = 8  # of a column that are looked at
FILE_NAME_COLUMNS = ("file_name", "file_names")  # what a folder's metadata call the column of files
INDEX_COLUMNS = {"id", "bos", "eos"}  # of AudioSet's clips, without the paths of their files
CLIP_COLUMNS = {"aclip", "clip", "frame", "wav"}  # of the same: ends of names such as "p0.mp3"
NUMBERS = ("int", "uint", "float", "bool", "double", "half")  # of which no video is made

ReadFeatures = Callable[[], Mapping[str, Any]]
ReadValues = Callable[[str], Iterable[Any]]


def pick_column(
    names: Sequence[str],
    column: str | None = None,
    read_features: ReadFeatures | None = None,
    read_values: ReadValues | None = None,
) -> str:
    """The requested column, else the one that a person would take.

    That is the first of "video", "videos" and "audio"; else the one column of `Video()` or `Audio()`; else
    the one that is named like a media suffix, as in WebDataset; else the one whose first values are paths
    that end in such a suffix, or sounds. Where several could be meant, the error names them.

    >>> pick_column(["id", "mp4"])
    'mp4'
    >>> pick_column(["id", "clip"], read_values={"id": ["1"], "clip": ["a.webm"]}.__getitem__)
    'clip'
    """
    for name in COLUMNS if column is None else (column,):
        if name in names:
            return name
    if column is None:
        features = {} if read_features is None else read_features()
        for candidates in find_candidates(names, features, read_values):
            if len(candidates) == 1:
                return candidates[0]
            if candidates:
                several = ", ".join(map(repr, candidates))
                raise ColumnError(f"Several columns may hold the videos: {several}. Name one with column=.")
    wanted = " or ".join(map(repr, COLUMNS if column is None else (column,)))
    existing = ", ".join(map(repr, names)) or "none"
    others = "" if column is not None else ", nor is one recognized by its type or values"
    is_index = column is None and set(names) >= INDEX_COLUMNS
    advice = (
        "This is an index: name the folder of its clips (root=)." if is_index else "Name it with column=."
    )
    raise ColumnError(f"The rows have no column {wanted}, only {existing}{others}. {advice}")


def find_candidates(
    names: Sequence[str], features: Mapping[str, Any], read_values: ReadValues | None
) -> Iterator[list[str]]:
    """The columns that each rule finds."""
    yield [name for name in names if is_media_feature(features.get(name))]
    named = [name for name in names if is_media_name(name) and not is_number(features.get(name))]
    yield named
    if read_values is not None:
        parts = CLIP_COLUMNS if set(names) >= INDEX_COLUMNS else set()
        others = [name for name in names if name not in parts]
        texts = [name for name in others if name not in features or may_hold_paths(features[name])]
        found = [name for name in texts if looks_like_media(read_values(name))]
        yield [name for name in found if name in FILE_NAME_COLUMNS] or found


def is_media_name(name: str) -> bool:
    """True for a suffix as a name: "mp4", and "left.webm", which WebDataset makes of "clip1.left.webm"."""
    return f".{name.rpartition('.')[2].lower()}" in MEDIA_SUFFIXES


def is_media_feature(feature: Any) -> bool:
    if isinstance(feature, (List, LargeList)):
        return is_media_feature(feature.feature)
    return isinstance(feature, (Video, Audio))


def is_number(feature: Any) -> bool:
    return isinstance(feature, Value) and feature.dtype.startswith(NUMBERS)


def may_hold_paths(feature: Any) -> bool:
    """True for texts, structs with a path, values of mixed types, and lists of these."""
    if isinstance(feature, (List, LargeList)):
        return may_hold_paths(feature.feature)
    if isinstance(feature, Value):
        return feature.dtype in ("string", "large_string")
    return "path" in feature if isinstance(feature, Mapping) else type(feature).__name__ == "Json"


def looks_like_media(cells: Iterable[Any]) -> bool:
    """True if the first values that are there are all media."""
    values = list(islice(list_values(list(cells)), FIRST_VALUES))
    return bool(values) and all(map(is_media_value, values))


def list_values(cell: Any) -> Iterator[Any]:
    """The values of a cell, or of lists of cells, that are not null or empty."""
    if is_list_cell(cell):
        for one in cell:
            yield from list_values(one)
    elif not is_null(cell) and not (isinstance(cell, str) and not cell):
        yield cell


def is_media_value(value: Any) -> bool:
    """True for a path that ends in a media suffix, for samples, and for a decoder object."""
    if is_samples_struct(value) or hasattr(value, "get_samples_played_in_range"):
        return True
    struct = value if isinstance(value, Mapping) else encoded_file(value)
    path = struct.get("path") if isinstance(struct, Mapping) else value
    return isinstance(path, (str, os.PathLike)) and has_media_suffix(os.fspath(path))
