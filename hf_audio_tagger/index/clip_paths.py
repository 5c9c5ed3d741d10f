"""Where the clips of an index lie below its root: by the rule of its kind, or by a template for `files=`.

    {dir}/aclip/{id}.{suffix}    with the first suffix of the row's `aclip` (or `clip`); audio/ where a folder
                                 has that and no aclip/; without "{dir}/" where `dir` is ""
    {aclip}                      the whole path, of rows without `dir` whose aclip is one (npz_*.csv)
    {wav}                        of AST's files

Paths have "/" between folders. One that leaves the root is an error.
"""

import os
import re
import string
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..cells import is_url
from ..checks import invalid
from .columns import TEXT, TEXTS, UNSAFE, UNSAFE_PATH
from .formats import IndexFileError

FIELDS = ("id", "dir", "bos", "eos")
NEEDED = (*FIELDS, "aclip", "clip", "wav")  # columns of which paths are made
EXAMPLE = "{id}_{bos:.3f}.flac"
WHOLE_PATH = r"/|\.npz$"
OTHER_FOLDER = "audio"  # the published downloader writes here what the index has in aclip/


def check_template(files: str) -> str:
    """The template, if it has fields of an index alone: a format string could reach into any object.

    >>> check_template("{dir}/{id}_{bos:.3f}.flac")
    '{dir}/{id}_{bos:.3f}.flac'
    """
    expected = f"a text with the fields {', '.join(FIELDS)}, such as {EXAMPLE!r}"
    if not isinstance(files, str):
        raise invalid("files", files, expected)
    try:
        fields = [part[1:] for part in string.Formatter().parse(files) if part[1] is not None]
        files.format(id="", dir="", bos=0.0, eos=0.0)
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        raise invalid("files", files, expected) from error
    if not fields or any(name not in FIELDS or how or "{" in (spec or "") for name, spec, how in fields):
        raise invalid("files", files, expected)
    return files


class ClipFolders:
    """How the clips' folder in each `dir` is called: looked up on the disk, once a `dir`."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.names: dict[str, str] = {}

    def find(self, dir: str, key: str) -> str:
        name = self.names.get(f"{dir}/{key}")
        if name is None:
            folder = os.path.join(self.root, dir)
            has_other = not is_url(self.root) and os.path.isdir(os.path.join(folder, OTHER_FOLDER))
            is_other = has_other and not os.path.isdir(os.path.join(folder, key))
            name = self.names[f"{dir}/{key}"] = OTHER_FOLDER if is_other else key
        return name

    def is_current(self, names: Mapping[str, str]) -> bool:
        """Whether these names, found earlier, are still right."""
        return all(self.find(*place.rsplit("/", 1)) == name for place, name in names.items())


def find_clip_paths(table: pa.Table, root: str, files: str | None, folders: ClipFolders) -> pa.ChunkedArray:
    """Each row's path below the root; null where the row does not say which clip it is."""
    paths = apply_template(table, files) if files else apply_rules(table, root, folders)
    if pc.any(pc.match_substring_regex(paths, UNSAFE_PATH)).as_py():
        wrong = next(path for path in paths.to_pylist() if path is not None and UNSAFE.search(path))
        advice = "" if files else f" Where clips are called otherwise: files={EXAMPLE!r}."
        raise IndexFileError(f"The clip {wrong!r:.200} is not below the folder {root!r}.{advice}")
    return paths


def apply_template(table: pa.Table, files: str) -> pa.ChunkedArray:
    missing = [None] * len(table)
    fields = [table[name].to_pylist() if name in table.column_names else missing for name in FIELDS]
    paths = []
    for id, dir, bos, eos in zip(*fields, strict=True):
        try:
            path = files.format(id=id, dir=dir or "", bos=bos, eos=eos)
        except (TypeError, ValueError) as error:  # no times to format
            raise IndexFileError(f"The clip {id!r} lacks what files={files!r} needs ({error}).") from error
        paths.append(path if dir else path.removeprefix("/"))
    return pa.chunked_array([pa.array(paths, TEXT)])


def apply_rules(table: pa.Table, root: str, folders: ClipFolders) -> pa.ChunkedArray:
    found = [pa.chunked_array([pa.nulls(len(table), TEXT)])]
    for key in ("aclip", "clip"):
        if key in table.column_names and table[key].type == TEXTS and table[key].null_count < len(table):
            found.append(apply_clip_rule(table, key, folders))
    if "wav" in table.column_names and table["wav"].type == TEXT:
        top, wav = root.rstrip("/") + "/", table["wav"]
        found.append(pc.if_else(pc.starts_with(wav, top), pc.utf8_slice_codeunits(wav, len(top)), wav))
    return pc.coalesce(*found)


def apply_clip_rule(table: pa.Table, key: str, folders: ClipFolders) -> pa.ChunkedArray:
    """`{dir}/{key}/{id}.{suffix}`, or the path that a row without `dir` has in its place."""
    suffixes = pa.chunked_array([pick_first(chunk) for chunk in table[key].chunks], TEXT)
    missing = pa.chunked_array([pa.nulls(len(table), TEXT)])
    dir_column = table["dir"] if "dir" in table.column_names else missing
    dirs = pc.unique(dir_column)
    prefixes = pa.array([make_prefix(dir or "", key, folders) for dir in dirs.to_pylist()], TEXT)
    prefix = prefixes.take(pc.index_in(dir_column, value_set=dirs).combine_chunks())
    stems = pc.binary_join_element_wise(prefix, table["id"], "")
    paths = pc.binary_join_element_wise(stems, suffixes, ".")
    if not dir_column.null_count:
        return paths
    is_path = pc.and_(pc.is_null(dir_column), pc.match_substring_regex(suffixes, WHOLE_PATH))
    return pc.if_else(pc.fill_null(is_path, False), suffixes, paths)


def is_whole_path(suffix: str) -> bool:
    """Whether a clip's text in a row without `dir` is its path, and not only the end of its name."""
    return re.search(WHOLE_PATH, suffix) is not None


def make_prefix(dir: str, key: str, folders: ClipFolders) -> str:
    folder = folders.find(dir, key)
    return f"{dir}/{folder}/" if dir else f"{folder}/"


def pick_first(lists: pa.Array) -> pa.Array:
    """The first element of each list; null for an empty or missing one."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0)
    has_first = pc.greater(lengths, 0)
    first = pc.list_element(lists.filter(has_first), 0)
    return pc.replace_with_mask(pa.nulls(len(lists), TEXT), has_first, first)


def make_audio(paths: pa.ChunkedArray, root: str) -> pa.ChunkedArray:
    """Cells of an `Audio(decode=False)` column with the paths; null where there is none."""
    top = root.rstrip("/") + "/"
    cells: list[Any] = []
    for chunk in paths.chunks:
        full = pc.binary_join_element_wise(pa.scalar(top), chunk, "")
        nulls = pa.nulls(len(chunk), pa.binary())
        cells.append(pa.StructArray.from_arrays([nulls, full], ["bytes", "path"], mask=chunk.is_null()))
    return pa.chunked_array(cells, type=pa.struct({"bytes": pa.binary(), "path": pa.string()}))
