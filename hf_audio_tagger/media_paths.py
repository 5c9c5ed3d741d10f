"""Paths of media: their suffixes, those in a column, and how much of a path others get to see.

Columns are read without bytes and without decoding.
"""

import os
import posixpath
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from .text import hide_secrets

if TYPE_CHECKING:
    from datasets import Dataset

VIDEO_NAMES = "mp4 m4v mov mkv webm avi mpeg mpg flv wmv asf 3gp 3g2 ogv mts m2ts mxf nut vob"
AUDIO_NAMES = "wav flac mp3 m4a aac ogg oga opus aiff aif caf au w64 wma amr mka ac3 ape wv tta"
VIDEO_SUFFIXES = frozenset(f".{name}" for name in VIDEO_NAMES.split())
AUDIO_SUFFIXES = frozenset(f".{name}" for name in AUDIO_NAMES.split())
MEDIA_SUFFIXES = VIDEO_SUFFIXES | AUDIO_SUFFIXES
ROWS_AT_ONCE = 1_000

NAME = r"[^\s/\\'\":,;|<>()]+"
# The folders of an absolute path in a text, and none of a URL: its slashes follow a colon, a slash or a name.
FOLDERS = re.compile(
    rf"(?<![\w.~/\\-])(?<!(?<!:):)(?:file:(?://)?(?=/))?(?:/|[A-Za-z]:[\\/]|\\\\)(?:{NAME}[\\/])+"
)
CUT = "\u2026/"  # in the place of folders


def get_suffix(path: str) -> str:
    """A path's or URL's suffix in lower case, without what follows a URL's "?" or "#", or its "::".

    >>> get_suffix("https://example.org/a.MP4?key=1"), get_suffix("clips/notes")
    ('.mp4', '')
    """
    if "://" in path or "::" in path:
        path = re.split(r"[?#]|::", path)[0]
    return posixpath.splitext(path.replace("\\", "/"))[1].lower()


def has_media_suffix(path: str) -> bool:
    return get_suffix(path) in MEDIA_SUFFIXES


def expand_path(path: str) -> str:
    """A local path as the user wrote it, in full."""
    return os.path.abspath(os.path.expanduser(path))


def read_paths(dataset: "Dataset", column: str) -> list[Any]:
    """A column's paths: for each row a path, a list of paths, or None."""
    tables = dataset.select_columns([column]).with_format("arrow").iter(ROWS_AT_ONCE)
    return [
        path for table in tables for chunk in table[column].chunks for path in select_paths(chunk).to_pylist()
    ]


def select_paths(cells: pa.Array, only_files: bool = False) -> pa.Array:
    """The paths of cells in Arrow, in the same lists; null where there is none.

    `only_files` leaves out the names of bytes and samples, which are not files to open.
    """
    kind = cells.type
    if is_list(kind):
        lengths = pc.fill_null(pc.list_value_length(cells), 0).cast(pa.int32())
        offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])
        paths = select_paths(pc.list_flatten(cells), only_files)
        return pa.ListArray.from_arrays(offsets, paths, mask=pc.is_null(cells))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return cells.cast(pa.string())
    fields = [field.name for field in kind] if pa.types.is_struct(kind) else []
    if "path" not in fields or (only_files and "array" in fields):
        return pa.nulls(len(cells), pa.string())
    paths = select_paths(pc.struct_field(cells, "path"))
    if only_files and "bytes" in fields:
        is_file = pc.is_null(pc.struct_field(cells, "bytes"))
        return pc.if_else(is_file, paths, pa.scalar(None, pa.string()))
    return paths


def path_type(kind: pa.DataType) -> pa.DataType:
    """The type of the paths that `select_paths` returns for cells of a type."""
    return pa.list_(path_type(kind.value_type)) if is_list(kind) else pa.string()


def is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def find_shared_folder(paths: Sequence[str]) -> str:
    """The longest folder that all paths begin with, with its last slash.

    >>> find_shared_folder(["/home/me/clips/a/1.mp4", "/home/me/clips/b/1.mp4"])
    '/home/me/clips/'
    """
    prefix = os.path.commonprefix(paths)  # noqa: RUF071 - cut at a slash of either kind below
    return prefix[: max(prefix.rfind("/"), prefix.rfind("\\")) + 1]


def find_root(paths: Sequence[str]) -> str:
    """The folder that all absolute paths of this machine share; "" without any."""
    absolute = [path for path in paths if is_absolute(path)]
    root = find_shared_folder(absolute) if absolute else ""
    return root if root.strip("/\\") else ""


def is_absolute(path: str) -> bool:
    return path.startswith(("/", "\\\\", "file:/")) or bool(re.match(r"[A-Za-z]:[\\/]", path))


def shorten_paths(text: str, root: str = "") -> str:
    """A text, or a path, without folders of this machine above `root`, and without secrets of URLs.

    >>> shorten_paths("/home/me/clips/a/1.mp4: No such file (/etc/x/y.conf).", "/home/me/clips/")
    'a/1.mp4: No such file (…/y.conf).'
    >>> shorten_paths("https://me:word@example.org/a.mp4?key=1: 404")
    'https://example.org/a.mp4: 404'
    """
    if root:
        text = text.replace(root, "")
    return hide_secrets(FOLDERS.sub(CUT, text))
