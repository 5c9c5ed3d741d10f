"""`read_index`: an index as a Dataset, read once into the cache of `datasets` and memory-mapped there."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
from datasets import Audio, Dataset, Features

from ..atomic_files import open_atomic, write_file
from ..cells import is_url
from ..digests import digest_values
from ..media_paths import expand_path
from .clip_paths import EXAMPLE, ClipFolders, check_template, find_clip_paths, make_audio
from .formats import AST, AUDIOCAPS, CAPTION_PAIRS, JSON_LINES, KNOWN, SEGMENTS, IndexFileError, find_kind
from .json_lines import NewTypesError, Types, read_json_lines
from .tables import read_ast, read_audiocaps, read_segments

READERS: Mapping[str, Callable[[Path, Types | None], Iterator[pa.Table]]] = {
    JSON_LINES: read_json_lines,
    SEGMENTS: read_segments,
    AUDIOCAPS: read_audiocaps,
    AST: read_ast,
}
WITHOUT_CLIP_NAMES = (SEGMENTS, AUDIOCAPS)  # kinds whose rows do not say how their clips are called
VERSION = 1  # of the cached files: raised when the same index would give other rows
AUDIO = "audio"


def read_index(
    path: str | os.PathLike[str], root: str | os.PathLike[str] | None = None, files: str | None = None
) -> Dataset:
    """Read an index of AudioSet's clips: its rows, and with `root` an `audio` column that a tagger reads.

    The kind is told by the content: JSON Lines as vipant and audioset-dl write them (src_*.csv, npz_*.csv),
    AudioSet's lists of segments, AudioCaps' csv, AST's {"data": [...]}. All give the columns id, dir, aclip,
    frame, bos, eos (seconds), labels (mids) and captions, null where the file has no such key; other keys are
    kept. The file is read once into the cache of `datasets`, until it changes.

    Args:
        path: the index.
        root: the folder of the clips. `audio` has their paths, undecoded; null where a row names no clip.
        files: how clips are called below the root, where they do not follow the rule of the kind of index
            ("{dir}/aclip/{id}.{suffix}" for src_*.csv). Fields are id, dir, bos and eos.

    >>> ds = read_index("src_eval_segments.csv", root="clips")  # doctest: +SKIP
    >>> ds = read_index("eval_segments.csv", "clips", files="{id}_{bos:.3f}.flac")  # doctest: +SKIP
    """
    file = Path(path).expanduser()
    if files is not None and root is None:
        raise IndexFileError("files= says how clips are called below root=, which is missing.")
    template = None if files is None else check_template(files)
    top = None if root is None else find_root(os.fspath(root))
    kind = open_kind(file)
    if top is not None and template is None and kind in WITHOUT_CLIP_NAMES:
        raise IndexFileError(
            f"{file}: rows of this kind ({kind}) do not say how their clips are called. Say it: "
            f"files={EXAMPLE!r}."
        )
    info = file.stat()
    key = digest_values(
        VERSION, os.path.realpath(file), info.st_size, info.st_mtime_ns, info.st_ino, top, template
    )
    cached = Path(datasets.config.HF_DATASETS_CACHE) / "audioset_index" / f"{key}.arrow"
    if not is_current(cached, top):
        try:
            cached.parent.mkdir(parents=True, exist_ok=True)
            write_cache(cached, READERS[kind], file, top, template)
        except OSError as error:
            where = f"copied into the cache of datasets, {cached.parent}"
            raise IndexFileError(f"{file}: it cannot be {where} ({error.strerror}).") from error
    loaded = Dataset.from_file(str(cached))
    return Dataset(loaded.data, loaded.info, fingerprint=key)


def find_root(root: str) -> str:
    """The folder's absolute path, or its URL."""
    if is_url(root):
        return root.rstrip("/")
    folder = expand_path(root)
    if not os.path.isdir(folder):
        raise IndexFileError(f"The folder of the clips is not there: {folder}")
    return folder


def open_kind(file: Path) -> str:
    """The kind of an index; an error where a file is none."""
    try:
        kind = find_kind(file, is_asked=True)
    except OSError as error:
        raise IndexFileError(f"{file}: {error.strerror}.") from error
    if kind == CAPTION_PAIRS:
        raise IndexFileError(
            f"{file}: these are pairs of captions and their numbers, which name no clips. The index beside "
            "them (src_*.csv) does."
        )
    if kind is None:
        raise IndexFileError(f"{file} is no index. An index is {KNOWN}.")
    return kind


def is_current(cached: Path, root: str | None) -> bool:
    """Whether the cached file is there, and its clips' folders are called as they were."""
    folders_file = cached.with_suffix(".json")
    try:
        names = json.loads(folders_file.read_bytes())
    except (OSError, ValueError):
        return False
    return cached.is_file() and (root is None or ClipFolders(root).is_current(names))


def write_cache(
    cached: Path,
    read: Callable[[Path, Types | None], Iterator[pa.Table]],
    file: Path,
    root: str | None,
    files: str | None,
) -> None:
    """Read the index into an Arrow file."""
    types: Types | None = None
    while True:
        folders = ClipFolders(root or "")
        try:
            with open_atomic(cached) as target:
                tables = (add_audio(file, table, root, files, folders) for table in read(file, types))
                write_tables(target, file, tables)
            break
        except NewTypesError as new:  # an early row lacked a key: from the beginning, with all keys
            types = new.types
    write_file(cached.with_suffix(".json"), json.dumps(folders.names).encode())


def add_audio(
    file: Path, table: pa.Table, root: str | None, files: str | None, folders: ClipFolders
) -> pa.Table:
    if root is None:
        return table
    if AUDIO in table.column_names:
        raise IndexFileError(f"{file}: its rows have a key {AUDIO!r} already, which root= would replace.")
    return table.append_column(AUDIO, make_audio(find_clip_paths(table, root, files, folders), root))


def write_tables(target: Any, file: Path, tables: Iterator[pa.Table]) -> None:
    """Write tables in the form that `datasets` maps into memory."""
    writer = None
    for table in tables:
        if writer is None:
            features = Features.from_arrow_schema(table.schema)
            features |= {AUDIO: Audio(decode=False)} if AUDIO in table.column_names else {}
            schema = features.arrow_schema
            writer = pa.ipc.new_stream(target, schema)
        writer.write_table(table.cast(schema), max_chunksize=10_000)
    if writer is None:
        raise IndexFileError(f"{file} holds no rows.")
    writer.close()
