"""Files inside archives and compressions, in bounded memory."""

import io
import lzma
import posixpath
import tarfile
import zipfile
from contextlib import closing
from typing import Any

from fsspec.compression import compr

from ...errors import MediaError
from .seekable import CHUNK_BYTES, RangeFile, Reading, SeekableFile, check_stored_size

ARCHIVES = ("zip", "tar")
COMPRESSIONS = ("gzip", "bz2", "xz", "lzma", "lz4", "zstd")
TAR_MODES = {b"\x1f\x8b": "r:gz", b"BZh": "r:bz2"}  # by the first bytes; anything else is not compressed
XZ_BEGINNING = b"\xfd7zXZ\0"
MOST_XZ_BYTES = 256 << 20  # of memory to unpack xz: `xz -9` needs 65 MiB, a header may ask for 4 GiB


def open_member(link: str, file: SeekableFile, reading: Reading) -> SeekableFile:
    """The file that a link such as ``zip://a.mp4`` or ``gzip://a.mp4`` names inside another."""
    scheme, _, member = link.partition("://")
    member = member.lstrip("/")
    if scheme == "zip":
        return open_zip_member(file, member, reading)
    if scheme == "tar":
        return open_tar_member(file, member, reading)
    return decompress(scheme, file, reading)


def decompress(compression: str, file: SeekableFile, reading: Reading) -> SeekableFile:
    if compression in ("xz", "lzma"):
        return reading.spool(XzStream(file))
    if compression not in compr:
        raise MediaError(
            f"{compression}:// needs a library that is not installed; see fsspec's documentation"
        )
    return reading.spool(compr[compression](file, mode="rb"))


class XzStream(io.RawIOBase):
    """xz, decompressed in bounded memory: `lzma.LZMAFile` takes as much as the file asks for."""

    def __init__(self, file: SeekableFile) -> None:
        self.file = file
        self.decompressor = lzma.LZMADecompressor(memlimit=MOST_XZ_BYTES)

    def read(self, size: int = -1) -> bytes:
        while True:
            packed = b""
            if self.decompressor.eof:  # several parts may follow one another, with zeros between them
                packed = (self.decompressor.unused_data or self.file.read(CHUNK_BYTES)).lstrip(b"\0")
                if not packed:
                    return b""
                self.decompressor = lzma.LZMADecompressor(memlimit=MOST_XZ_BYTES)
            elif self.decompressor.needs_input and not (packed := self.file.read(CHUNK_BYTES)):
                raise MediaError("its compressed data end too early")
            if data := self.decompressor.decompress(packed, size):
                return data


def open_zip_member(file: SeekableFile, member: str, reading: Reading) -> SeekableFile:
    archive = reading.resources.enter_context(zipfile.ZipFile(file))
    try:
        info = archive.getinfo(member)
    except KeyError as error:
        raise MediaError(f"the zip has no file {member!r}") from error
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # zipfile unpacks what it has read of the others at once: 4 kB of bzip2 may be 4 GB
        raise MediaError("the zip's compression is not deflate, and would need unbounded memory")
    check_stored_size(info.file_size)
    return reading.spool(archive.open(info), info.file_size)


def open_tar_member(file: SeekableFile, member: str, reading: Reading) -> SeekableFile:
    """The first regular file of that name; members before it are skipped, none is stored."""
    head = file.read(len(XZ_BEGINNING))
    file.seek(0)
    if head == XZ_BEGINNING:
        file = decompress("xz", file, reading)
    mode: Any = next((mode for beginning, mode in TAR_MODES.items() if head.startswith(beginning)), "r:")
    archive: Any = reading.resources.enter_context(tarfile.open(fileobj=file, mode=mode))  # noqa: SIM115
    path = posixpath.normpath(member)
    for info in archive:
        reading.check()
        archive.members = []  # it would keep every header that it has read
        if not info.isreg() or posixpath.normpath(info.name) != path:
            continue
        stream = archive.extractfile(info)
        if archive.fileobj is not file:  # the tar is compressed
            return reading.spool(stream, info.size)
        return RangeFile(reading.resources.enter_context(closing(stream)), reading)
    raise MediaError(f"the tar has no file {member!r}")
