"""Media files that are named one by one, folders of them, and URLs, as rows: a row for each file.

A file that cannot be read, or is not there, is a row that fails, as it is in a folder.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets import Audio, Dataset, Features, Value, Video

from ..cells import UnreadableMedia, is_url
from ..digests import digest_values
from ..media_paths import VIDEO_SUFFIXES, expand_path, get_suffix, has_media_suffix
from ..text import as_utf8, hide_secrets, is_utf8
from .data_files import BUILDERS, find_data_files
from .media_folder import FolderFiles, list_files
from .source import NOT_UTF8, Source, SourceError, SourceRequest

# Suffixes of files that are no clips; a file of any other name is tried.
NOT_MEDIA = {*BUILDERS, ".txt", ".tsv", ".arrow", ".gz", ".zst", ".tar", ".zip"}


@dataclass(frozen=True)
class NamedFile:
    """A file as the user named it, in UTF-8, and its absolute path or URL, unless it must not be read."""

    name: str
    path: str
    refusal: str | None = None


def open_media_files(request: SourceRequest) -> Source | None:
    """One media file of any name, the URL of one, or a glob of files named like media."""
    if is_url(request.name):
        paths = [request.name] if has_media_suffix(request.name) else []
    else:
        paths = [str(path) for path in find_data_files(request.path)]
    is_one = len(paths) == 1 and get_suffix(paths[0]) not in NOT_MEDIA
    if not paths or not (is_one or all(map(has_media_suffix, paths))):
        return None
    request.check_options("one or more clips")
    return make_source(request.name, [name_file(path) for path in paths])


def open_many(paths: Sequence[str | os.PathLike[str]], request: SourceRequest) -> Source:
    """Several files, folders and URLs as one source, in this order; folders by the order of their names."""
    request.check_options("a list of clips", "follow_links")
    files: list[NamedFile] = []
    notes: list[str] = []
    for path in [os.fspath(one) for one in paths]:
        local = Path(path).expanduser()
        if not is_url(path) and local.is_dir():
            in_folder = list_files(local, request.follow_links)
            named = list(name_files_in(path, in_folder))
            notes += [*in_folder.notes, *([] if named else [f"{as_utf8(path)} has no media files."])]
            files += named
        elif get_suffix(path) in NOT_MEDIA:
            raise SourceError(
                f"{as_utf8(path)} is not a clip. Several sources may be clips and folders of clips; a table "
                "is passed alone."
            )
        else:
            files.append(name_file(path))
    if not files:
        raise SourceError(f"{request.name}: there are no media files here.")
    return make_source(request.name, files, notes)


def name_file(path: str) -> NamedFile:
    full = path if is_url(path) else expand_path(path)
    return NamedFile(
        hide_secrets(as_utf8(path)) if is_url(path) else as_utf8(path),
        full,
        None if is_utf8(full) else NOT_UTF8,
    )


def name_files_in(folder: str, files: FolderFiles) -> Iterator[NamedFile]:
    for name, path in files.paths.items():
        if has_media_suffix(name):
            full = os.path.join(files.top, path)
            yield NamedFile(as_utf8(os.path.join(folder, name)), full, files.find_refusal(name))


def show_names(files: Iterable[NamedFile]) -> Iterator[str]:
    """Names that may be shown and stored; those of web addresses that differ by their query are numbered."""
    paths: dict[str, str] = {}
    for file in files:
        plain = hide_secrets(file.name) if is_url(file.path) else file.name
        name, number = plain, 2
        while paths.setdefault(name, file.path) != file.path:
            name, number = f"{plain} ({number})", number + 1
        yield name


def make_source(name: str, files: Sequence[NamedFile], notes: Iterable[str] = ()) -> Source:
    """The files as they are named in `file_name`, their paths in `video`, or `audio` if some are not videos.

    Two calls from different folders that name the same files give the same rows, apart from `file_name`.
    """
    is_video = all(get_suffix(file.path) in VIDEO_SUFFIXES for file in files)
    added, feature = ("video", Video()) if is_video else ("audio", Audio())
    columns = {
        "file_name": list(show_names(files)),
        added: [None if file.refusal else file.path for file in files],
    }
    rows = Dataset.from_dict(columns, Features({"file_name": Value("string"), added: feature}))
    refused = {
        row: {0: UnreadableMedia(file.name, file.refusal)} for row, file in enumerate(files) if file.refusal
    }
    folders = [os.path.dirname(file.path) for file in files if not is_url(file.path)]
    shared = os.path.commonpath(folders) if folders else ""
    fingerprint = digest_values(*(as_utf8(file.path.removeprefix(shared)) for file in files))
    return Source(hide_secrets(name), rows, fingerprint, notes=tuple(notes), refused=refused, shown_folder="")
