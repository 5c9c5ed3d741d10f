"""The files below a folder, under names that a dataset can hold, and which of them must not be read."""

import os
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from ..text import as_utf8, is_utf8
from .source import NOT_UTF8

FOLLOW = "--follow-links (follow_links=True)"
LINK_OUTSIDE = f"it is a link that leaves the folder; to read it: {FOLLOW}"


@dataclass(frozen=True)
class FolderFiles:
    """What `list_files` found. A name is relative, with "/" between, and unique."""

    top: str  # the folder's real path
    follows_links: bool
    paths: Mapping[str, str]  # by name, in order: the relative path on the disk
    skipped_links: tuple[str, ...]  # to folders outside
    unreadable_folders: tuple[str, ...]

    def find_refusal(self, name: str) -> str | None:
        """Why a file must not be read, also one that is not among those found; None where it may be."""
        path = self.paths.get(name, name)
        if not is_utf8(path):
            return NOT_UTF8
        full = os.path.join(self.top, path)
        may_leave = name not in self.paths or os.path.islink(full)  # found files are in no linked folder
        if not self.follows_links and may_leave and not is_inside(full, self.top):
            return LINK_OUTSIDE
        return None


def list_files(folder: Path, follow_links: bool) -> FolderFiles:
    """All files below a folder, but hidden ones. Links to outside only with `follow_links`."""
    top = os.path.realpath(folder)
    seen = {top}
    skipped: list[str] = []
    found: list[str] = []
    unreadable: list[str] = []

    def add_unreadable(error: OSError) -> None:
        unreadable.append(as_utf8(os.path.relpath(error.filename, top)))

    for root, folders, files in os.walk(top, onerror=add_unreadable, followlinks=follow_links):
        entered = []
        for name in drop_hidden(folders):
            path = os.path.join(root, name)
            if is_new(path, top, seen) if follow_links else not os.path.islink(path):
                entered.append(name)
            elif not follow_links and not is_inside(path, top):
                skipped.append(as_utf8(os.path.relpath(path, top)))
        folders[:] = entered
        found += [Path(root, name).relative_to(top).as_posix() for name in drop_hidden(files)]
    return FolderFiles(
        top, follow_links, name_files(found), tuple(sorted(skipped)), tuple(sorted(unreadable))
    )


def drop_hidden(names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if not name.startswith("."))


def is_inside(path: str, top: str) -> bool:
    """True where a path, all links resolved, is the folder or lies below it."""
    real = os.path.realpath(path)
    return real == top or real.startswith(top.rstrip(os.sep) + os.sep)


def is_new(path: str, top: str, seen: set[str]) -> bool:
    """True for a folder that is entered for the first time. Links back into `top` are not, so loops end."""
    real = os.path.realpath(path)
    if real == path:
        return True
    if real in seen or is_inside(real, top):
        return False
    seen.add(real)
    return True


def name_files(paths: Iterable[str]) -> dict[str, str]:
    """Paths by a UTF-8 name. Where an escaped name is another file's name, it gets a number."""
    paths = sorted(paths)
    names = {path: path for path in paths if is_utf8(path)}
    for path in paths:
        if not is_utf8(path):
            name = as_utf8(path)
            stem, suffix = posixpath.splitext(name)
            candidates = chain([name], (f"{stem} ({number}){suffix}" for number in count(2)))
            names[next(one for one in candidates if one not in names)] = path
    return dict(sorted(names.items()))
