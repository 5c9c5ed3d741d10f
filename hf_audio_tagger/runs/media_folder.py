"""A folder of media as rows: its files, or what metadata files say of them, as VideoFolder reads these."""

import os
import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Audio, Dataset, List, Video, concatenate_datasets

from ..cells import is_url
from .sources import (
    BUILDERS,
    KINDS,
    Source,
    SourceError,
    absolute,
    digest_of,
    digest_of_file,
    load_files,
    one_line,
)


def suffixes(names: str) -> frozenset[str]:
    return frozenset("." + name for name in names.split())


VIDEO_SUFFIXES = suffixes("mp4 m4v mov mkv webm avi mpeg mpg flv wmv asf 3gp 3g2 ogv mts m2ts mxf nut vob")
AUDIO_SUFFIXES = suffixes("wav flac mp3 m4a aac ogg oga opus aiff aif caf au w64 wma amr mka ac3 ape wv tta")
METADATA_FILES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


def open_media_folder(name: str, folder: Path) -> Source:
    """A row for each media file, or for each row of its metadata files.

    `file_name` is relative to the folder and joins the result with other tables; the media column holds
    absolute paths, typed so that `load_dataset` opens them.
    """
    files = list_files(folder)
    media = [file for file in files if is_media(file)]
    metadata = [file for file in files if posixpath.basename(file) in METADATA_FILES]
    if not media and not metadata:
        raise SourceError(f"{name}: no media are in this folder or below it. {advice_on(name, files)}")
    if not metadata:
        dataset = with_media(Dataset.from_dict({"file_name": media}), folder)
        return Source(name, dataset, digest_of(*media))
    tables = [read_metadata(folder, file) for file in metadata]
    try:
        dataset = with_media(concatenate_datasets(tables), folder)
    except ValueError as error:
        raise SourceError(f"{name}: its metadata files differ in columns ({one_line(error)}).") from error
    digests = [(file, digest_of_file(folder / file)) for file in metadata]
    named = {one for cell in dataset[name_column(dataset)] for one in names_in(cell)}
    unnamed = len(set(media) - named)
    notes = (f"{unnamed:,} media files are named in no metadata file and left out.",) if unnamed else ()
    return Source(name, dataset, digest_of(*digests), notes=notes)


def list_files(folder: Path) -> list[str]:
    """All files below, relative, sorted, with "/" between; nothing whose name begins with a dot."""
    found: list[str] = []
    for root, folders, files in os.walk(folder):
        folders[:] = [one for one in folders if not one.startswith(".")]
        below = Path(root).relative_to(folder)
        found.extend((below / one).as_posix() for one in files if not one.startswith("."))
    return sorted(found)


def is_media(file: str) -> bool:
    return Path(file).suffix.lower() in VIDEO_SUFFIXES | AUDIO_SUFFIXES


def advice_on(name: str, files: Sequence[str]) -> str:
    for suffix in BUILDERS:
        if any(file.endswith(suffix) for file in files):
            return f"To read its data files: '{Path(name) / '**' / ('*' + suffix)}', in quotes."
    return f"A source is {KINDS}."


def read_metadata(folder: Path, file: str) -> Dataset:
    """A metadata file's rows, its names made relative to the folder that was asked for."""
    rows = load_files(BUILDERS[Path(file).suffix], [folder / file], streaming=False)
    column = name_column(rows, file)
    below = posixpath.dirname(file)

    def renamed(name: str | None) -> str | None:
        if name is None:
            return None
        inside = posixpath.normpath(name.replace("\\", "/"))
        if is_url(name) or os.path.isabs(name) or inside == ".." or inside.startswith("../"):
            raise SourceError(f"{folder / file}: {name!r} does not lie beside or below its metadata file.")
        return posixpath.join(below, inside)

    cells = [
        renamed(cell) if isinstance(cell, str | None) else [renamed(one) for one in cell]
        for cell in rows[column]
    ]
    as_given = f"{column} as given"
    rows = rows.rename_column(column, as_given).add_column(column, cells)
    return rows.remove_columns([as_given])


def name_column(rows: Dataset, file: str = "metadata") -> str:
    for column in ("file_name", "file_names"):
        if column in rows.column_names:
            return column
    raise SourceError(f"{file}: it needs a column 'file_name' (or 'file_names', a list), relative to it.")


def with_media(rows: Dataset, folder: Path) -> Dataset:
    """The rows with a column of absolute paths: `video`, or `audio` where some are no videos."""
    column = name_column(rows)
    top = str(folder.absolute())
    paths = [absolute(cell, top) for cell in rows[column]]
    only_videos = all(
        Path(one).suffix.lower() in VIDEO_SUFFIXES for cell in rows[column] for one in names_in(cell)
    )
    feature = Video() if only_videos else Audio()
    added = ("video" if only_videos else "audio") if column == "file_name" else "videos"
    if added in rows.column_names:
        raise SourceError(f"The metadata have a column {added!r} already; it is made of {column!r}.")
    rows = rows.add_column(added, paths)
    return rows.cast_column(added, feature if column == "file_name" else List(feature))


def names_in(cell: Any) -> list[str]:
    """The names in a cell of `file_name` or `file_names`."""
    return [one for one in (cell if isinstance(cell, list) else [cell]) if one is not None]
