"""A folder of media as rows: its files, or the rows of its metadata files, as VideoFolder reads these.

File names that are not UTF-8 are escaped. Files that must not be read are refused with a reason.
"""

import os
import posixpath
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets import Audio, Dataset, List, Value, Video

from ..cells import UnreadableMedia, is_url
from ..digests import digest_file, digest_values
from ..media_paths import VIDEO_SUFFIXES, get_suffix, has_media_suffix
from ..text import as_utf8, is_utf8, safe_text
from .data_files import BUILDERS, KINDS, concatenate, load_files
from .source import NOT_UTF8, Source, SourceError, SourceRequest, check_utf8_names, make_absolute

METADATA_FILES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
MAX_SHOWN = 5  # folders in a note
FOLLOW = "--follow-links (follow_links=True)"

Refused = dict[int, dict[int, UnreadableMedia]]


@dataclass(frozen=True)
class FolderFiles:
    """The result of `list_files`. Names are unique relative paths with "/" as separator."""

    top: str  # the folder's real path
    follows_links: bool
    paths: Mapping[str, str]  # relative paths on disk by name, sorted
    notes: tuple[str, ...]  # about skipped folders

    def find_refusal(self, name: str) -> str | None:
        """Why a file must not be read, which need not be in `paths`; None if it may be."""
        path = self.paths.get(name, name)
        if not is_utf8(path):
            return NOT_UTF8
        full = os.path.join(self.top, path)
        may_leave = name not in self.paths or os.path.islink(full)  # no linked folders in `paths`
        if not self.follows_links and may_leave and not is_inside(full, self.top):
            return f"it is a link that leaves the folder; to read it: {FOLLOW}"
        return None


def list_files(folder: Path, follow_links: bool) -> FolderFiles:
    """All files below a folder except hidden ones; links to the outside only with `follow_links`."""
    top = os.path.realpath(folder)
    seen = {top}
    found: list[str] = []
    skipped: list[str] = []
    unreadable: list[str] = []

    def add_unreadable(error: OSError) -> None:
        unreadable.append(error.filename)

    for root, folders, files in os.walk(top, onerror=add_unreadable, followlinks=follow_links):
        entered = []
        for name in drop_hidden(folders):
            path = os.path.join(root, name)
            if is_new(path, top, seen) if follow_links else not os.path.islink(path):
                entered.append(name)
            elif not follow_links and not is_inside(path, top):
                skipped.append(path)
        folders[:] = entered
        found += [Path(root, name).relative_to(top).as_posix() for name in drop_hidden(files)]
    kinds = {
        f"Links to folders are not followed without {FOLLOW}": skipped,
        "Folders that cannot be read are left out": unreadable,
    }
    notes = [f"{note}: {show_paths(paths, top)}." for note, paths in kinds.items() if paths]
    return FolderFiles(top, follow_links, name_files(found), tuple(notes))


def drop_hidden(names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if not name.startswith("."))


def is_inside(path: str, top: str) -> bool:
    """True if the resolved path is the folder or is below it."""
    real = os.path.realpath(path)
    return real == top or real.startswith(top.rstrip(os.sep) + os.sep)


def is_new(path: str, top: str, seen: set[str]) -> bool:
    """True if a folder was not visited yet. Links back into `top` count as visited, which prevents loops."""
    real = os.path.realpath(path)
    if real == path:
        return True
    if real in seen or is_inside(real, top):
        return False
    seen.add(real)
    return True


def show_paths(paths: Iterable[str], top: str) -> str:
    names = sorted(as_utf8(os.path.relpath(path, top)) for path in paths)
    more = f" and {len(names) - MAX_SHOWN:,} more" if len(names) > MAX_SHOWN else ""
    return ", ".join(map(safe_text, names[:MAX_SHOWN])) + more


def name_files(paths: Sequence[str]) -> dict[str, str]:
    """Paths by a UTF-8 name. Where an escaped name is another file's name, it gets a number."""
    names = {path: path for path in paths if is_utf8(path)}
    for path in sorted(path for path in paths if not is_utf8(path)):
        name, number = as_utf8(path), 2
        stem, suffix = posixpath.splitext(name)
        while name in names:
            name, number = f"{stem} ({number}){suffix}", number + 1
        names[name] = path
    return dict(sorted(names.items()))


def open_media_folder(request: SourceRequest) -> Source | None:
    """A row for each media file, or for each row of its metadata files.

    `file_name` is relative to the folder, for joins with other tables. The media column has absolute paths
    and the type that `load_dataset` would give it. Refused files and names that are not UTF-8 are null in it,
    so that no push embeds them.
    """
    name, folder = request.name, request.path
    if not folder.is_dir():
        return None
    request.check_options("a folder of media", "follow_links")
    check_utf8_names(folder)
    files = list_files(folder, request.follow_links)
    media = [file for file in files.paths if has_media_suffix(file)]
    metadata = [file for file in files.paths if posixpath.basename(file) in METADATA_FILES]
    notes = files.notes
    if not media and not metadata:
        suffix = next((one for one in BUILDERS if any(file.endswith(one) for file in files.paths)), None)
        pattern = Path(name) / "**" / f"*{suffix}"
        advice = f"To read its data files: '{pattern}', in quotes." if suffix else f"A source is {KINDS}."
        problem = f"{name}: this folder has no media files, nor do its subfolders."
        raise SourceError(" ".join([problem, *notes, advice]))
    if metadata:
        rows = concatenate(name, [read_metadata(folder, file, files) for file in metadata])
        digests: Iterable[object] = [(file, digest_file(folder / file)) for file in metadata]
        cells = rows[find_name_column(rows)]
        named = {name for cell in cells for name in (cell if isinstance(cell, list) else [cell])}
        if unnamed := len(set(media) - named):
            notes = (*notes, f"{unnamed:,} media files are not listed in a metadata file and are left out.")
    else:
        rows, digests = Dataset.from_dict({"file_name": media}), media
    rows, refused = add_media_column(rows, str(folder.absolute()), files.find_refusal)
    return Source(name, rows, digest_values(*digests), notes=notes, refused=refused, shown_folder=name)


def read_metadata(folder: Path, file: str, files: FolderFiles) -> Dataset:
    """A metadata file's rows, its names made relative to `folder`."""
    if reason := files.find_refusal(file):
        raise SourceError(f"{folder / file}: {reason}.")
    rows = load_files(BUILDERS[Path(file).suffix], [folder / file])
    return rename_files(rows, file, files.paths, str(folder / file))


def rename_files(rows: Dataset, file: str, paths: Container[str], shown: str) -> Dataset:
    """A metadata file's rows, with names that are relative to the folder in which `file` and `paths` are."""
    column = find_name_column(rows, file)
    subfolder = posixpath.dirname(file)

    def rename(name: str | None) -> str | None:
        if name is None or posixpath.join(subfolder, name) in paths:
            return name and posixpath.join(subfolder, name)
        inside = posixpath.normpath(name.replace("\\", "/"))
        if is_url(name) or os.path.isabs(name) or inside == ".." or inside.startswith("../"):
            raise SourceError(f"{shown}: {name!r} is not in the metadata file's folder or below it.")
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


def add_media_column(
    rows: Dataset, top: str, find_refusal: Callable[[str], str | None]
) -> tuple[Dataset, Refused]:
    """The rows with absolute paths in `video`, or `audio` if some are not videos (`videos` for lists).

    Refused files are null there and are returned by row and index.
    """
    column = find_name_column(rows)
    is_list = column == "file_names"
    refused: Refused = {}
    paths = []
    only_videos = True
    for row, cell in enumerate(rows[column]):
        names: list[str | None] = list(cell) if is_list else [cell]
        for place, name in enumerate(names):
            if name is None:
                continue
            only_videos = only_videos and get_suffix(name) in VIDEO_SUFFIXES
            if reason := find_refusal(name):
                refused.setdefault(row, {})[place] = UnreadableMedia(name, reason)
                names[place] = None
        paths.append(make_absolute(names if is_list else names[0], top))
    feature = Video() if only_videos else Audio()
    added = "videos" if is_list else "video" if only_videos else "audio"
    if added in rows.column_names:
        raise SourceError(f"The metadata must not have a column {added!r}: it is made from {column!r}.")
    rows = rows.add_column(added, paths, feature=List(Value("string")) if is_list else Value("string"))
    return rows.cast_column(added, List(feature) if is_list else feature), refused
