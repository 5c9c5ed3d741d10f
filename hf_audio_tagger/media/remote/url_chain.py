"""The file that a URL names, as fsspec opens it, with archives and compressions of a chained URL on top."""

import os
from contextlib import closing
from itertools import takewhile
from typing import Any

from fsspec.core import url_to_fs
from fsspec.implementations.http import HTTPFile, HTTPStreamFile
from fsspec.implementations.local import LocalFileSystem

from ...compat.datasets_internals import prepare_url
from ...compat.other_libraries import find_cached_copy
from ...errors import MediaError
from ..container import check_regular_file
from .archives import ARCHIVES, COMPRESSIONS, open_member
from .seekable import HttpRangeFile, RangeFile, Reading, SeekableFile, check_stored_size
from .web import http_options

WHOLE_FILE_CACHES = ("simplecache", "filecache")
UNBOUNDED = ("libarchive",)  # it unpacks a member whole, into memory


def open_chain(url: str, reading: Reading) -> SeekableFile:
    """Open what the last links of a chained URL name, then each archive and compression before them."""
    links = [lower_scheme(link) for link in url.split("::")]
    members = list(takewhile(lambda link: parse_scheme(link) in ARCHIVES + COMPRESSIONS, links[:-1]))
    links = links[len(members) :]
    refuse_links(links)
    file = open_file("::".join(links), reading)
    for member in reversed(members):
        file = open_member(member, file, reading)
    return file


def lower_scheme(link: str) -> str:
    """``HTTP://Host/Path`` → ``http://Host/Path``: fsspec knows schemes in lower case only."""
    scheme, mark, rest = link.partition("://")
    return scheme.lower() + mark + rest if mark else link


def parse_scheme(link: str) -> str:
    return link.partition("://")[0]


def refuse_links(links: list[str]) -> None:
    for link in links:
        if parse_scheme(link) in UNBOUNDED:
            raise MediaError(
                f"{parse_scheme(link)}:// unpacks a file whole into memory; use zip:// or tar://"
            )
    for link in links[1:]:
        if parse_scheme(link) in ARCHIVES + COMPRESSIONS:
            raise MediaError(f"{link} follows {links[0]}; in a chained URL an archive comes first")


def open_file(url: str, reading: Reading) -> SeekableFile:
    """Open with fsspec, with the tokens and headers that `datasets` gives it."""
    url, options = prepare_url(url, http_options())
    system, path = url_to_fs(url, **options)
    if isinstance(system, LocalFileSystem):
        check_regular_file(path, path)

    def open_stream() -> SeekableFile:
        return reading.spool(getattr(system, "fs", system).open(path, "rb", block_size=0))

    file = reading.retry(lambda: open_or_cache(system, path, url))
    if isinstance(file, HTTPStreamFile):
        return reading.spool(file)
    reading.resources.enter_context(closing(file))
    if isinstance(file, HTTPFile):
        return HttpRangeFile(file, reading, open_stream)
    return RangeFile(file, reading)


def open_or_cache(system: Any, path: str, url: str) -> Any:
    """Open. A cache of whole files must know how much it copies, and keep no incomplete copy."""
    if parse_scheme(url.partition("::")[0]) not in WHOLE_FILE_CACHES:
        return system.open(path, "rb")
    size = system.fs.info(path).get("size")
    if size is None:
        raise MediaError("the server does not state its size, which a cache of whole files needs")
    check_stored_size(size)
    try:
        return system.open(path, "rb")
    except BaseException:
        remove_copy(system, path)
        raise


def remove_copy(system: Any, path: str) -> None:
    """Remove an incomplete copy, which would be used as the file by whoever opens it next."""
    found = find_cached_copy(system, path)
    if isinstance(found, str) and os.path.exists(found):
        os.remove(found)
    elif found:
        system.pop_from_cache(path)
