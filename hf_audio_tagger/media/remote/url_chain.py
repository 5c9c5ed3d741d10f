"""Opens a URL with fsspec, and the archives and compressions of a chained URL on top of it."""

import asyncio
import io
import lzma
import os
import posixpath
import re
import struct
import tarfile
import zipfile
from contextlib import closing
from itertools import takewhile
from typing import Any

from fsspec.asyn import get_loop
from fsspec.compression import compr
from fsspec.core import url_to_fs
from fsspec.implementations.http import HTTPFileSystem
from fsspec.implementations.local import LocalFileSystem

from ...compat.datasets_internals import prepare_url
from ...compat.other_libraries import find_cached_copy
from ...errors import MediaError
from ..container import check_regular_file
from .blocks import BlockFile
from .http_ranges import HttpRanges
from .hub import find_hub_url, hub_headers
from .seekable import CHUNK_BYTES, MemberFile, Reading, SeekableFile, check_stored_size
from .store_ranges import StoreRanges
from .web import http_options

WHOLE_FILE_CACHES = ("simplecache", "filecache")
UNBOUNDED = "libarchive"  # unpacks a whole member into memory
WEB_SCHEMES = ("http", "https")
OPENING_SECONDS = 60.0  # to make a file system, which connects to nothing
ARCHIVES = ("zip", "tar")
COMPRESSIONS = ("gzip", "bz2", "xz", "lzma", "lz4", "zstd")
TAR_MODES = {b"\x1f\x8b": "r:gz", b"BZh": "r:bz2"}  # by the first bytes; anything else is not compressed
ZIP_HEADER_BYTES = 30
ZIP_ENCRYPTED = 1  # a bit of a member's flags
XZ_BEGINNING = b"\xfd7zXZ\0"
MOST_XZ_BYTES = 256 << 20  # of memory to unpack xz: `xz -9` needs 65 MiB, a header may ask for 4 GiB


def open_chain(url: str, reading: Reading, token: str | bool | None = None) -> SeekableFile:
    """Open the last links of a chained URL, then each archive and compression before them.

    The token is that of the Hub, and sent nowhere else.
    """
    # fsspec knows schemes in lower case only.
    links = [re.sub("^.*?://", lambda scheme: scheme[0].lower(), link) for link in url.split("::")]
    members = list(takewhile(lambda link: parse_scheme(link) in ARCHIVES + COMPRESSIONS, links[:-1]))
    links = links[len(members) :]
    if UNBOUNDED in map(parse_scheme, links):
        raise MediaError(f"{UNBOUNDED}:// unpacks a file whole into memory; use zip:// or tar://")
    for link in links[1:]:
        if parse_scheme(link) in ARCHIVES + COMPRESSIONS:
            raise MediaError(f"{link} follows {links[0]}; in a chained URL an archive comes first")
    file = open_file("::".join(links), reading, token)
    for member in reversed(members):
        scheme, _, path = member.partition("://")
        if scheme in ARCHIVES:
            file = (open_zip_member if scheme == "zip" else open_tar_member)(file, path.lstrip("/"), reading)
        else:
            file = decompress(scheme, file, reading)
    return file


def parse_scheme(link: str) -> str:
    return link.partition("://")[0]


def open_file(url: str, reading: Reading, token: str | bool | None) -> SeekableFile:
    """Open a URL as a seekable file."""
    ranges = open_ranges(url, reading, token)
    file = BlockFile(ranges, reading)
    if isinstance(ranges, HttpRanges):
        file.length()  # the first request: the size, and the first block
    return file


def open_ranges(url: str, reading: Reading, token: str | bool | None) -> HttpRanges | StoreRanges:
    """Open a URL: web servers and the Hub by our own requests, else with fsspec, as `datasets` opens it."""
    hub_url = find_hub_url(url)
    if hub_url is None:
        prepared, options = prepare_url(url, http_options(), token)
    else:
        prepared, scheme = hub_url, parse_scheme(hub_url)
        options = {scheme: http_options()[scheme]}
    is_web = parse_scheme(prepared) in WEB_SCHEMES and "::" not in prepared
    find = find_web_system if is_web else url_to_fs
    system, path = find(prepared, **options)
    if isinstance(system, LocalFileSystem):
        check_regular_file(path, path)
    if isinstance(system, HTTPFileSystem):
        headers = hub_headers(token) if hub_url else {}
        return HttpRanges(system, path, headers, reading)
    file = reading.retry(lambda: open_or_cache(system, path, prepared))
    reading.resources.enter_context(closing(file))
    return StoreRanges(file, reading)


def find_web_system(url: str, **options: Any) -> tuple[Any, str]:
    """fsspec's HTTP file system, one for all threads: fsspec keeps one for each, and its connections.

    It is made in the thread of fsspec's event loop, in which all its requests run.
    """

    async def find() -> tuple[Any, str]:
        found: tuple[Any, str] = url_to_fs(url, **options)
        return found

    return asyncio.run_coroutine_threadsafe(find(), get_loop()).result(OPENING_SECONDS)


def open_or_cache(system: Any, path: str, url: str) -> Any:
    """Open. For whole-file caches, check the size first and remove incomplete copies."""
    if parse_scheme(url.partition("::")[0]) not in WHOLE_FILE_CACHES:
        return open_by_ranges(system, path)
    size = system.fs.info(path).get("size")
    if size is None:
        raise MediaError("the server does not state its size, which a cache of whole files needs")
    check_stored_size(size)
    try:
        return system.open(path, "rb")
    except BaseException:  # the next open would use the incomplete copy
        found = find_cached_copy(system, path)
        if isinstance(found, str) and os.path.exists(found):
            os.remove(found)
        elif found:
            system.pop_from_cache(path)
        raise


def open_by_ranges(system: Any, path: str) -> Any:
    """Open so that each read is one request: s3fs would read 50 MiB ahead, the Hub's file system 5 MiB."""
    try:
        return system.open(path, "rb", cache_type="none")
    except TypeError:  # a file system with another signature
        return system.open(path, "rb")


def decompress(compression: str, file: SeekableFile, reading: Reading) -> SeekableFile:
    if compression in ("xz", "lzma"):
        return reading.spool(XzStream(file))
    if compression not in compr:
        raise MediaError(
            f"{compression}:// needs a library that is not installed; see fsspec's documentation"
        )
    return reading.spool(compr[compression](file, mode="rb"))


class XzStream(io.RawIOBase):
    """xz, decompressed in bounded memory: `lzma.LZMAFile` has no memory limit."""

    def __init__(self, file: SeekableFile) -> None:
        self.file = file
        self.decompressor = lzma.LZMADecompressor(memlimit=MOST_XZ_BYTES)

    def read(self, size: int = -1) -> bytes:
        while True:
            packed = b""
            if self.decompressor.eof:  # streams may be concatenated, with zero padding between them
                packed = (self.decompressor.unused_data or self.file.read(CHUNK_BYTES)).lstrip(b"\0")
                if not packed:
                    return b""
                self.decompressor = lzma.LZMADecompressor(memlimit=MOST_XZ_BYTES)
            elif self.decompressor.needs_input and not (packed := self.file.read(CHUNK_BYTES)):
                raise MediaError("its compressed data are truncated")
            if data := self.decompressor.decompress(packed, size):
                return data


def open_zip_member(file: SeekableFile, member: str, reading: Reading) -> SeekableFile:
    archive = reading.resources.enter_context(zipfile.ZipFile(file))
    try:
        info = archive.getinfo(member)
    except KeyError as error:
        raise MediaError(f"the zip has no file {member!r}") from error
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # for others zipfile unpacks all input at once: 4 kB of bzip2 may become 4 GB
        raise MediaError("the zip's compression is not deflate, and would need unbounded memory")
    check_stored_size(info.file_size)
    if info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & ZIP_ENCRYPTED:
        return MemberFile(file, find_zip_data(file, info.header_offset), info.file_size)
    return reading.spool(archive.open(info), info.file_size)


def find_zip_data(file: SeekableFile, header_start: int) -> int:
    """Where a member's bytes begin: behind its header, and the name and extra field that follow it."""
    header = file.read_at(header_start, ZIP_HEADER_BYTES)
    if len(header) < ZIP_HEADER_BYTES or not header.startswith(b"PK"):
        raise MediaError("the zip's table points to what is no file")
    name_bytes, extra_bytes = struct.unpack("<HH", header[-4:])
    return header_start + ZIP_HEADER_BYTES + name_bytes + extra_bytes


def open_tar_member(file: SeekableFile, member: str, reading: Reading) -> SeekableFile:
    """The first regular file with that name. Earlier members are skipped, not stored."""
    head = file.read(len(XZ_BEGINNING))
    file.seek(0)
    if head == XZ_BEGINNING:
        file = decompress("xz", file, reading)
    mode: Any = next((mode for beginning, mode in TAR_MODES.items() if head.startswith(beginning)), "r:")
    archive: Any = reading.resources.enter_context(tarfile.open(fileobj=file, mode=mode))  # noqa: SIM115
    path = posixpath.normpath(member)
    for info in archive:
        reading.check()
        archive.members = []  # otherwise it keeps every header
        if not info.isreg() or posixpath.normpath(info.name) != path:
            continue
        if archive.fileobj is not file or info.issparse():  # the tar is compressed, or has holes
            return reading.spool(archive.extractfile(info), info.size)
        return MemberFile(file, info.offset_data, info.size)
    raise MediaError(f"the tar has no file {member!r}")
