"""A folder of media as rows: its files, or what metadata files say of them, as VideoFolder reads these."""

import os
import posixpath
from collections.abc import Iterable, Sequence
from pathlib import Path

from datasets import Audio, Dataset, List, Value, Video

from ..cells import UnreadableMedia, is_url
from ..digests import digest_file, digest_values
from ..text import safe_text
from .data_files import BUILDERS, KINDS, concatenate, load_files
from .folder_files import FOLLOW, FolderFiles, list_files
from .source import Source, SourceError, SourceRequest, check_utf8_names, make_absolute

VIDEO_NAMES = "mp4 m4v mov mkv webm avi mpeg mpg flv wmv asf 3gp 3g2 ogv mts m2ts mxf nut vob"
AUDIO_NAMES = "wav flac mp3 m4a aac ogg oga opus aiff aif caf au w64 wma amr mka ac3 ape wv tta"
VIDEO_SUFFIXES = frozenset(f".{name}" for name in VIDEO_NAMES.split())
AUDIO_SUFFIXES = frozenset(f".{name}" for name in AUDIO_NAMES.split())
METADATA_FILES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
MAX_SHOWN = 5  # folders in a note

Refused = dict[int, dict[int, UnreadableMedia]]


def open_media_folder(request: SourceRequest) -> Source | None:
    """A row for each media file, or for each row of its metadata files.

    `file_name` is relative to the folder and joins the result with other tables; the media column holds
    absolute paths, typed so that `load_dataset` opens them. A file that must not be read, or whose name no
    dataset can hold, has a null there: no push embeds it.
    """
    name, folder = request.name, request.path
    if not folder.is_dir():
        return None
    request.check_options("a folder of media", "follow_links")
    check_utf8_names(folder)
    files = list_files(folder, request.follow_links)
    media = [file for file in files.paths if get_suffix(file) in VIDEO_SUFFIXES | AUDIO_SUFFIXES]
    metadata = [file for file in files.paths if posixpath.basename(file) in METADATA_FILES]
    notes = describe_skipped(files)
    if not media and not metadata:
        advice = " ".join([*notes, suggest_source(name, list(files.paths))])
        raise SourceError(f"{name}: no media are in this folder or below it. {advice}")
    if metadata:
        rows = concatenate(name, [read_metadata(folder, file, files) for file in metadata])
        digests: Iterable[object] = [(file, digest_file(folder / file)) for file in metadata]
        cells = rows[find_name_column(rows)]
        named = {name for cell in cells for name in (cell if isinstance(cell, list) else [cell])}
        if unnamed := len(set(media) - named):
            notes = (*notes, f"{unnamed:,} media files are named in no metadata file and left out.")
    else:
        rows, digests = Dataset.from_dict({"file_name": media}), media
    rows, refused = add_media_column(rows, folder, files)
    return Source(name, rows, digest_values(*digests), notes=notes, refused=refused)


def get_suffix(file: str) -> str:
    return Path(file).suffix.lower()


def describe_skipped(files: FolderFiles) -> tuple[str, ...]:
    """Notes on folders that were not entered."""
    notes = (
        (f"Links to folders are not followed without {FOLLOW}", files.skipped_links),
        ("Folders that cannot be read are left out", files.unreadable_folders),
    )
    return tuple(f"{note}: {show_first(folders)}." for note, folders in notes if folders)


def show_first(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_SHOWN:,} more" if len(names) > MAX_SHOWN else ""
    return ", ".join(map(safe_text, names[:MAX_SHOWN])) + more


def suggest_source(name: str, files: Sequence[str]) -> str:
    for suffix in BUILDERS:
        if any(file.endswith(suffix) for file in files):
            return f"To read its data files: '{Path(name) / '**' / ('*' + suffix)}', in quotes."
    return f"A source is {KINDS}."


def read_metadata(folder: Path, file: str, files: FolderFiles) -> Dataset:
    """A metadata file's rows, its names made relative to `folder`."""
    if reason := files.find_refusal(file):
        raise SourceError(f"{folder / file}: {reason}.")
    rows = load_files(BUILDERS[Path(file).suffix], [folder / file])
    column = find_name_column(rows, file)
    subfolder = posixpath.dirname(file)

    def rename(name: str | None) -> str | None:
        if name is None or posixpath.join(subfolder, name) in files.paths:
            return name and posixpath.join(subfolder, name)
        inside = posixpath.normpath(name.replace("\\", "/"))
        if is_url(name) or os.path.isabs(name) or inside == ".." or inside.startswith("../"):
            raise SourceError(f"{folder / file}: {name!r} does not lie beside or below its metadata file.")
        return posixpath.join(subfolder, inside)

    cells = [
        rename(cell) if isinstance(cell, str | None) else [rename(one) for one in cell]
        for cell in rows[column]
    ]
    original = f"{column} as given"
    rows = rows.rename_column(column, original).add_column(column, cells)
    return rows.remove_columns([original])


def find_name_column(rows: Dataset, file: str = "metadata") -> str:
    for column in ("file_name", "file_names"):
        if column in rows.column_names:
            return column
    raise SourceError(f"{file}: it needs a column 'file_name' (or 'file_names', a list), relative to it.")


def add_media_column(rows: Dataset, folder: Path, files: FolderFiles) -> tuple[Dataset, Refused]:
    """The rows with absolute paths in `video`, or `audio` where some are no videos (`videos` for lists).

    Files that must not be read have null there, and are returned by row and place.
    """
    column = find_name_column(rows)
    is_list = column == "file_names"
    top = str(folder.absolute())
    refused: Refused = {}
    paths = []
    only_videos = True
    for row, cell in enumerate(rows[column]):
        names: list[str | None] = list(cell) if is_list else [cell]
        for place, name in enumerate(names):
            if name is None:
                continue
            only_videos = only_videos and get_suffix(name) in VIDEO_SUFFIXES
            if reason := files.find_refusal(name):
                refused.setdefault(row, {})[place] = UnreadableMedia(name, reason)
                names[place] = None
        paths.append(make_absolute(names if is_list else names[0], top))
    feature = Video() if only_videos else Audio()
    added = "videos" if is_list else "video" if only_videos else "audio"
    if added in rows.column_names:
        raise SourceError(f"The metadata must not have a column {added!r}: it is made from {column!r}.")
    rows = rows.add_column(added, paths, feature=List(Value("string")) if is_list else Value("string"))
    return rows.cast_column(added, List(feature) if is_list else feature), refused
