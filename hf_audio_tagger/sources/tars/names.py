"""The tars that a name means: one, a glob, or a pattern in braces as WebDataset writes it."""

import glob
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ...cells import is_url
from ...media_paths import expand_path
from ...stores import StoreError
from ...stores.errors import explained
from ...stores.systems import open_system
from ...text import as_utf8, hide_secrets
from ..source import SourceError

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")
BRACES = re.compile(r"\{([^{}]*)\}")
COUNTS = re.compile(r"(\d{1,18})\.\.(\d{1,18})")
MOST_TARS = 1_000_000
STATES = ("ETag", "etag", "sha256", "blob_id", "md5", "LastModified", "mtime", "created")  # in fsspec's infos


@dataclass(frozen=True)
class Tar:
    path: str  # absolute, or a URL
    stamp: str | None = None  # changes with its content; None: not known
    given: str | None = None  # as the user wrote it

    @property
    def name(self) -> str:
        """As it is shown and kept in rows: the signature of a web address is left out."""
        return hide_secrets(as_utf8(self.given or self.path))


def is_tar(name: str) -> bool:
    path = name.partition("?")[0] if is_url(name) else name
    return "::" not in name and path.lower().endswith(TAR_SUFFIXES)


def expand_braces(pattern: str) -> Iterator[str]:
    """Every name that a pattern means, in order: "{000..099}" are numbers of as many digits, "{a,b}" either.

    >>> list(expand_braces("{a,b}-{08..10}.tar"))
    ['a-08.tar', 'a-09.tar', 'a-10.tar', 'b-08.tar', 'b-09.tar', 'b-10.tar']
    """
    match = BRACES.search(pattern)
    if match is None:
        yield pattern
        return
    before, after = pattern[: match.start()], pattern[match.end() :]
    for part in expand_group(match[1]):
        yield from expand_braces(before + part + after)


def expand_group(group: str) -> Iterator[str]:
    counts = COUNTS.fullmatch(group)
    if counts is None:
        yield from group.split(",")
        return
    first, last = int(counts[1]), int(counts[2])
    digits = len(counts[1]) if counts[1].startswith("0") else 0
    for number in range(first, last + 1):
        yield f"{number:0{digits}d}"


def find_tars(pattern: str, token: str | bool | None = None) -> list[Tar]:
    """The tars of a pattern, which need not exist where it names them one by one."""
    if not is_url(pattern) and os.path.exists(os.path.expanduser(pattern)):
        return [stamp_local(pattern)]
    found: list[Tar] = []
    for name in expand_braces(pattern):
        has_magic = glob.has_magic(name.partition("?")[0] if is_url(name) else name)
        if not has_magic:
            found.append(Tar(name) if is_url(name) else stamp_local(name))
        else:
            found += find_remote(name, token) if is_url(name) else find_local(name)
        if len(found) > MOST_TARS:
            raise SourceError(f"{pattern}: it means more than {MOST_TARS:,} tars.")
    return found


def find_local(pattern: str) -> list[Tar]:
    paths = glob.glob(os.path.expanduser(pattern), recursive=True)
    return [stamp_local(path) for path in sorted(paths) if os.path.isfile(path)]


def stamp_local(path: str) -> Tar:
    full = expand_path(path)  # workers may have another folder
    try:
        info = os.stat(full)
    except (OSError, ValueError):
        return Tar(full, given=path)
    return Tar(full, f"{info.st_size} bytes of {info.st_mtime_ns}", path)


def find_remote(pattern: str, token: str | bool | None) -> list[Tar]:
    """The files of a store that match, as it lists them, each with what the list says of its state."""
    try:
        with explained(pattern):
            system, path = open_system(pattern, token)
            listed: dict[str, Any] = system.glob(path, detail=True)
    except StoreError as error:
        raise SourceError(f"{error.strerror}.") from error
    return [
        Tar(system.unstrip_protocol(name), make_stamp(info))
        for name, info in sorted(listed.items())
        if info.get("type") == "file"
    ]


def make_stamp(info: dict[str, Any]) -> str | None:
    states = [f"{name} {info[name]}" for name in STATES if info.get(name) is not None]
    return "; ".join([f"{info['size']} bytes", *states]) if states and info.get("size") is not None else None
