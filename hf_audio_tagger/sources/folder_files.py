"""The files below a folder, by names that a dataset can hold, and which of them must not be read."""

import os
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..text import as_utf8, is_utf8
from .source import RENAME

FOLLOW = "--follow-links (follow_links=True)"
LEAVES = f"it is a link that leaves the folder; to read it: {FOLLOW}"


@dataclass(frozen=True)
class FolderFiles:
    """What `list_files` found. A name is relative, with "/" between, and differs from all others."""

    top: str  # the folder's real path
    follows_links: bool
    paths: Mapping[str, str]  # by name, in order: the relative path as the disk has it
    linked_folders: tuple[str, ...]  # links out of the folder that were not followed
    closed_folders: tuple[str, ...]  # that cannot be read

    def refusal(self, name: str) -> str | None:
        """Why a file must not be read, also one that is not among those found; None where it may be."""
        path = self.paths.get(name, name)
        if not is_utf8(path):
            return RENAME
        full = os.path.join(self.top, path)
        may_leave = name not in self.paths or os.path.islink(full)  # no folder on a found one's way is a link
        if not self.follows_links and may_leave and not is_inside(full, self.top):
            return LEAVES
        return None


def list_files(folder: Path, follow_links: bool) -> FolderFiles:
    """All files below; nothing whose name begins with a dot. Links to folders lead out only where asked."""
    top = os.path.realpath(folder)
    seen = {top}
    linked: list[str] = []
    found: list[str] = []
    closed: list[str] = []

    def remember(error: OSError) -> None:
        closed.append(as_utf8(os.path.relpath(error.filename, top)))

    for root, folders, files in os.walk(top, onerror=remember, followlinks=follow_links):
        kept = []
        for path in visible(root, folders):
            if follow_links:
                if is_new(path, top, seen):
                    kept.append(os.path.basename(path))
            elif not os.path.islink(path):
                kept.append(os.path.basename(path))
            elif not is_inside(path, top):
                linked.append(as_utf8(os.path.relpath(path, top)))
        folders[:] = kept
        found.extend(Path(path).relative_to(top).as_posix() for path in visible(root, files))
    return FolderFiles(top, follow_links, names_of(found), tuple(sorted(linked)), tuple(sorted(closed)))


def visible(root: str, names: Iterable[str]) -> Iterator[str]:
    return (os.path.join(root, name) for name in sorted(names) if not name.startswith("."))


def is_inside(path: str, top: str) -> bool:
    """True where a path, all links resolved, is the folder or lies below it."""
    real = os.path.realpath(path)
    return real == top or real.startswith(top.rstrip(os.sep) + os.sep)


def is_new(path: str, top: str, seen: set[str]) -> bool:
    """True for a folder to enter: once, and one of this folder by its own path alone. So loops end."""
    real = os.path.realpath(path)
    if real == path:
        return True
    if real in seen or is_inside(real, top):
        return False
    seen.add(real)
    return True


def names_of(paths: Iterable[str]) -> dict[str, str]:
    """Paths by a name in UTF-8. Where an escaped one is another file's name, it gets a number."""
    paths = sorted(paths)
    names = {path: path for path in paths if is_utf8(path)}
    for path in paths:
        if not is_utf8(path):
            names[numbered(as_utf8(path), names)] = path
    return dict(sorted(names.items()))


def numbered(name: str, taken: Mapping[str, str]) -> str:
    stem, suffix = posixpath.splitext(name)
    number = 1
    while name in taken:
        number += 1
        name = f"{stem} ({number}){suffix}"
    return name
