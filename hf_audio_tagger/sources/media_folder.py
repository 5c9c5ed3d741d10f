"""A folder of media as rows: its files, or what metadata files say of them, as VideoFolder reads these."""

import os
import posixpath
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from datasets import Audio, Dataset, List, Value, Video, concatenate_datasets

from ..cells import UnreadableMedia, is_url
from ..digests import digest_file, digest_values
from ..text import one_line, safe_text
from .data_files import BUILDERS, KINDS, load_files
from .folder_files import FOLLOW, FolderFiles, list_files
from .source import Source, SourceError, absolute


def suffixes(names: str) -> frozenset[str]:
    return frozenset("." + name for name in names.split())


VIDEO_SUFFIXES = suffixes("mp4 m4v mov mkv webm avi mpeg mpg flv wmv asf 3gp 3g2 ogv mts m2ts mxf nut vob")
AUDIO_SUFFIXES = suffixes("wav flac mp3 m4a aac ogg oga opus aiff aif caf au w64 wma amr mka ac3 ape wv tta")
METADATA_FILES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
MOST_NAMED = 5  # folders in a note

Refused = dict[int, dict[int, UnreadableMedia]]


def open_media_folder(name: str, folder: Path, follow_links: bool = False) -> Source:
    """A row for each media file, or for each row of its metadata files.

    `file_name` is relative to the folder and joins the result with other tables; the media column holds
    absolute paths, typed so that `load_dataset` opens them. A file that must not be read, or cannot be
    named, has a null there: no push embeds it.
    """
    files = list_files(folder, follow_links)
    media = [file for file in files.paths if is_media(file)]
    metadata = [file for file in files.paths if posixpath.basename(file) in METADATA_FILES]
    notes = notes_on(files)
    if not media and not metadata:
        told = " ".join([*notes, advice_on(name, list(files.paths))])
        raise SourceError(f"{name}: no media are in this folder or below it. {told}")
    if not metadata:
        dataset, refused = with_media(Dataset.from_dict({"file_name": media}), folder, files)
        return Source(name, dataset, digest_values(*media), notes=notes, refused=refused)
    refuse_metadata(folder, files, metadata)
    tables = [read_metadata(folder, file, files) for file in metadata]
    try:
        dataset, refused = with_media(concatenate_datasets(tables), folder, files)
    except ValueError as error:
        raise SourceError(f"{name}: its metadata files differ in columns ({one_line(error)}).") from error
    digests = [(file, digest_file(folder / file)) for file in metadata]
    named = {one for cell in dataset[name_column(dataset)] for one in names_in(cell)}
    if unnamed := len(set(media) - named):
        notes = (*notes, f"{unnamed:,} media files are named in no metadata file and left out.")
    return Source(name, dataset, digest_values(*digests), notes=notes, refused=refused)


def notes_on(files: FolderFiles) -> tuple[str, ...]:
    """What is said of folders that were not entered."""
    told = (
        (f"Links to folders are not followed without {FOLLOW}", files.linked_folders),
        ("Folders that cannot be read are left out", files.closed_folders),
    )
    return tuple(f"{what}: {first_of(folders)}." for what, folders in told if folders)


def first_of(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return ", ".join(map(safe_text, names[:MOST_NAMED])) + more


def refuse_metadata(folder: Path, files: FolderFiles, metadata: Sequence[str]) -> None:
    """Metadata decide what all rows are: one file of them that cannot be read ends it at the beginning."""
    for file in metadata:
        if reason := files.refusal(file):
            raise SourceError(f"{folder / file}: {reason}.")


def is_media(file: str) -> bool:
    return Path(file).suffix.lower() in VIDEO_SUFFIXES | AUDIO_SUFFIXES


def advice_on(name: str, files: Sequence[str]) -> str:
    for suffix in BUILDERS:
        if any(file.endswith(suffix) for file in files):
            return f"To read its data files: '{Path(name) / '**' / ('*' + suffix)}', in quotes."
    return f"A source is {KINDS}."


def read_metadata(folder: Path, file: str, files: FolderFiles) -> Dataset:
    """A metadata file's rows, its names made relative to the folder that was asked for."""
    rows = load_files(BUILDERS[Path(file).suffix], [folder / file], streaming=False)
    column = name_column(rows, file)
    below = posixpath.dirname(file)

    def renamed(name: str | None) -> str | None:
        if name is None or posixpath.join(below, name) in files.paths:
            return name and posixpath.join(below, name)
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


def with_media(rows: Dataset, folder: Path, files: FolderFiles) -> tuple[Dataset, Refused]:
    """The rows with a column of absolute paths: `video`, or `audio` where some are no videos.

    What is refused has a null there, and is told beside it.
    """
    column = name_column(rows)
    top = str(folder.absolute())
    refused = refused_in(rows[column], files)
    paths = [
        absolute(without(cell, refused[row]) if row in refused else cell, top)
        for row, cell in enumerate(rows[column])
    ]
    only_videos = all(
        Path(one).suffix.lower() in VIDEO_SUFFIXES for cell in rows[column] for one in names_in(cell)
    )
    feature = Video() if only_videos else Audio()
    added = ("video" if only_videos else "audio") if column == "file_name" else "videos"
    if added in rows.column_names:
        raise SourceError(f"The metadata have a column {added!r} already; it is made of {column!r}.")
    is_list = column == "file_names"
    rows = rows.add_column(added, paths, feature=List(Value("string")) if is_list else Value("string"))
    return rows.cast_column(added, List(feature) if is_list else feature), refused


def refused_in(cells: Iterable[Any], files: FolderFiles) -> Refused:
    """The clips of each row that must not be read."""
    refused: Refused = {}
    for row, cell in enumerate(cells):
        for place, name in enumerate(cell if isinstance(cell, list) else [cell]):
            if name is not None and (reason := files.refusal(name)):
                refused.setdefault(row, {})[place] = UnreadableMedia(name, reason)
    return refused


def without(cell: Any, refused: Iterable[int]) -> Any:
    """A cell with null in the places of what is refused."""
    if not isinstance(cell, list):
        return None
    return [None if place in refused else name for place, name in enumerate(cell)]


def names_in(cell: Any) -> list[str]:
    """The names in a cell of `file_name` or `file_names`."""
    return [one for one in (cell if isinstance(cell, list) else [cell]) if one is not None]
