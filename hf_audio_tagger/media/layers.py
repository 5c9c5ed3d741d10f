"""Seekable files over what a URL names: read by ranges, front to back, or out of an archive.

Each hop of a chained URL (``zip://a.mp4::gzip://b.zip::https://...``) is one layer over the next. A layer
that can only be read front to back is kept in a temporary file as far as it was read: nothing is sent or
unpacked twice, and no more than a bound. What is read at once, archive's tables too, has a bound as well.
"""

import io
import lzma
import os
import posixpath
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, TypeVar

from ..compat.fsspec_internals import find_cached_copy
from ..errors import MediaError
from .container import regular_file

MOST_AT_ONCE_BYTES = 32 << 20  # one read: a decoder asks for less, a zip's table may be so long
MOST_KEPT_BYTES = 2 << 30  # of one layer that is read front to back, on disk
MEMORY_KEPT_BYTES = 8 << 20  # the first of them stay in memory
CHUNK_BYTES = 1 << 20
MOST_XZ_BYTES = 256 << 20  # of memory to unpack xz: `xz -9` needs 65 MiB, a header may ask for 4 GiB
RETRY_SECONDS = (0.5, 2.0)  # waits before a read is tried again

ARCHIVES = ("zip", "tar")
PACKINGS = ("gzip", "bz2", "xz", "lzma", "lz4", "zstd")
WHOLE_FILE_CACHES = ("simplecache", "filecache")
TAR_MODES = {b"\x1f\x8b": "r:gz", b"BZh": "r:bz2"}  # told by the first bytes; all else is no packed tar
XZ_BEGINNING = b"\xfd7zXZ\0"
UNBOUNDED = ("libarchive",)  # it unpacks a member whole, into memory

T = TypeVar("T")


class Stop(threading.Event):
    """Set once nobody waits any more: whatever still reads ends at its next step."""

    def check(self) -> None:
        if self.is_set():
            raise MediaError("reading was given up")

    def pause(self, seconds: float) -> None:
        self.wait(seconds)
        self.check()


class Layer(io.RawIOBase):
    """A file to be read at any position."""

    position = 0

    def read_at(self, position: int, size: int) -> bytes:
        raise NotImplementedError

    def length(self) -> int:
        raise NotImplementedError

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            return self.readall()
        if size > MOST_AT_ONCE_BYTES:
            raise MediaError(
                f"{size:,} bytes of it would have to be in memory at once; "
                f"the limit is {MOST_AT_ONCE_BYTES:,}"
            )
        data = self.read_at(self.position, size) if size else b""
        self.position += len(data)
        return data

    def readall(self) -> bytes:
        parts = []
        held = 0
        while part := self.read(CHUNK_BYTES):
            parts.append(part)
            held += len(part)
            check_kept(held)
        return b"".join(parts)

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: lambda: 0, io.SEEK_CUR: self.tell, io.SEEK_END: self.length}[whence]()
        if start + offset < 0:
            raise ValueError("a position before the file's beginning")
        self.position = start + offset
        return self.position

    def tell(self) -> int:
        return self.position

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


def check_kept(size: int) -> None:
    if size > MOST_KEPT_BYTES:
        raise MediaError(
            f"it sends or unpacks to {size:,} bytes and more, read front to back; "
            f"the limit is {MOST_KEPT_BYTES:,}"
        )


class Kept(Layer):
    """A stream that only goes forward, kept as far as it was read."""

    def __init__(self, stream: Any, stop: Stop, size: int | None = None) -> None:
        self.stream, self.stop, self.size = stream, stop, size
        self.kept: Any = tempfile.SpooledTemporaryFile(max_size=MEMORY_KEPT_BYTES)  # noqa: SIM115
        self.kept_bytes, self.is_whole = 0, False

    def read_at(self, position: int, size: int) -> bytes:
        self.keep(position + size)
        self.kept.seek(position)
        return self.kept.read(size)

    def length(self) -> int:
        if self.size is None:
            self.keep(None)
            self.size = self.kept_bytes
        return self.size

    def keep(self, end: int | None) -> None:
        self.kept.seek(0, io.SEEK_END)
        while not self.is_whole and (end is None or self.kept_bytes < end):
            self.stop.check()
            part = self.stream.read(CHUNK_BYTES if end is None else min(CHUNK_BYTES, end - self.kept_bytes))
            self.is_whole = not part
            self.kept_bytes += len(part)
            check_kept(self.kept_bytes)
            self.kept.write(part)

    def close(self) -> None:
        if not self.closed:
            self.kept.close()
        super().close()


class Ranges(Layer):
    """A file of fsspec that can be read anywhere. A read that a broken connection ended is tried again."""

    def __init__(self, file: Any, stop: Stop) -> None:
        self.file, self.stop = file, stop

    def read_at(self, position: int, size: int) -> bytes:
        def read() -> bytes:
            self.file.seek(position)
            return self.file.read(size)

        return again(read, self.stop)

    def length(self) -> int:
        return self.file.seek(0, io.SEEK_END) or self.file.tell()


class WebRanges(Ranges):
    """The same over HTTP: a server that knows no ranges is read front to back from then on."""

    def __init__(self, file: Any, stop: Stop, stream: Callable[[], Layer]) -> None:
        super().__init__(file, stop)
        self.stream = stream
        self.whole: Layer | None = None

    def read_at(self, position: int, size: int) -> bytes:
        from .web import NoRangesError

        if self.whole is None:
            try:
                return super().read_at(position, size)
            except NoRangesError:
                self.whole = self.stream()
        return self.whole.read_at(position, size)


def again(action: Callable[[], T], stop: Stop) -> T:
    """Call, and call again where what went wrong may pass."""
    from .web import is_passing

    for wait in RETRY_SECONDS:
        stop.check()
        try:
            return action()
        except Exception as error:
            if not is_passing(error):
                raise
        stop.pause(wait)
    stop.check()
    return action()


def open_chain(url: str, stop: Stop, resources: ExitStack) -> Layer:
    """The file that a URL names, its archives and packings opened one over the other."""
    hops = [with_plain_scheme(hop) for hop in url.split("::")]
    folded = 0
    while folded < len(hops) - 1 and scheme_of(hops[folded]) in ARCHIVES + PACKINGS:
        folded += 1
    refuse_hops(hops[folded:])
    file = open_file("::".join(hops[folded:]), stop, resources)
    for hop in reversed(hops[:folded]):
        file = unfold(hop, file, stop, resources)
    return file


def with_plain_scheme(hop: str) -> str:
    """``HTTP://Host/Path`` → ``http://Host/Path``: fsspec knows schemes in lower case only."""
    scheme, mark, rest = hop.partition("://")
    return scheme.lower() + mark + rest if mark else hop


def scheme_of(hop: str) -> str:
    return hop.partition("://")[0]


def refuse_hops(hops: list[str]) -> None:
    for hop in hops:
        if scheme_of(hop) in UNBOUNDED:
            raise MediaError(f"{scheme_of(hop)}:// unpacks a file whole into memory; use zip:// or tar://")
    for hop in hops[1:]:
        if scheme_of(hop) in ARCHIVES + PACKINGS:
            raise MediaError(f"{hop} stands behind {hops[0]}; an archive comes first in a chained URL")


def open_file(url: str, stop: Stop, resources: ExitStack) -> Layer:
    """What fsspec opens, with the tokens and headers that `datasets` gives it."""
    from fsspec.core import url_to_fs
    from fsspec.implementations.http import HTTPFile, HTTPStreamFile
    from fsspec.implementations.local import LocalFileSystem

    from ..compat.datasets_internals import prepare_url
    from .web import http_limits

    url, options = prepare_url(url, http_limits())
    system, path = url_to_fs(url, **options)
    if isinstance(system, LocalFileSystem):
        regular_file(path, path)

    def stream() -> Layer:
        file = getattr(system, "fs", system).open(path, "rb", block_size=0)
        resources.callback(file.close)
        return resources.enter_context(Kept(file, stop))

    file = again(lambda: open_whole(system, path, url), stop)
    resources.callback(file.close)
    if isinstance(file, HTTPStreamFile):
        return resources.enter_context(Kept(file, stop))
    return WebRanges(file, stop, stream) if isinstance(file, HTTPFile) else Ranges(file, stop)


def open_whole(system: Any, path: str, url: str) -> Any:
    """Open. A cache of whole files must know how much it copies, and keeps no copy that broke off."""
    if scheme_of(url.partition("::")[0]) not in WHOLE_FILE_CACHES:
        return system.open(path, "rb")
    size = system.fs.info(path).get("size")
    if size is None:
        raise MediaError("the server does not tell its size, which a cache of whole files needs")
    check_kept(size)
    try:
        return system.open(path, "rb")
    except BaseException:
        drop_copy(system, path)
        raise


def drop_copy(system: Any, path: str) -> None:
    """A copy that broke off would be taken for the file by whoever opens it next."""
    found = find_cached_copy(system, path)
    if isinstance(found, str) and os.path.exists(found):
        os.remove(found)
    elif found:
        system.pop_from_cache(path)


def unfold(hop: str, file: Layer, stop: Stop, resources: ExitStack) -> Layer:
    """The file inside an archive or a packing."""
    scheme, _, member = hop.partition("://")
    member = member.lstrip("/")
    if scheme == "zip":
        return zip_member(file, member, stop, resources)
    if scheme == "tar":
        return tar_member(file, member, stop, resources)
    return unpacked(scheme, file, stop, resources)


def unpacked(packing: str, file: Layer, stop: Stop, resources: ExitStack) -> Layer:
    from fsspec.compression import compr

    if packing in ("xz", "lzma"):
        return resources.enter_context(Kept(XzStream(file), stop))
    if packing not in compr:
        raise MediaError(f"{packing}:// needs a library that is not installed; fsspec's pages name it")
    stream = compr[packing](file, mode="rb")
    resources.callback(stream.close)
    return resources.enter_context(Kept(stream, stop))


class XzStream:
    """What xz unpacks, in bounded memory: `lzma.LZMAFile` takes as much as the file asks for."""

    def __init__(self, file: Layer) -> None:
        self.file = file
        self.next_part()

    def next_part(self) -> None:
        self.unpacker = lzma.LZMADecompressor(memlimit=MOST_XZ_BYTES)

    def read(self, size: int) -> bytes:
        while True:
            packed = b""
            if self.unpacker.eof:  # several may follow one another, filled up with zeros
                packed = (self.unpacker.unused_data or self.file.read(CHUNK_BYTES)).lstrip(b"\0")
                if not packed:
                    return b""
                self.next_part()
            elif self.unpacker.needs_input and not (packed := self.file.read(CHUNK_BYTES)):
                raise MediaError("its packed data end too early")
            if data := self.unpacker.decompress(packed, size):
                return data


def zip_member(file: Layer, member: str, stop: Stop, resources: ExitStack) -> Layer:
    archive = resources.enter_context(zipfile.ZipFile(file))
    try:
        info = archive.getinfo(member)
    except KeyError as error:
        raise MediaError(f"the zip holds no file {member!r}") from error
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # zipfile unpacks what it has read of the others in one go: 4 kB of bzip2 may be 4 GB
        raise MediaError("the zip packs it otherwise than with deflate, which needs memory without a bound")
    check_kept(info.file_size)
    stream = resources.enter_context(archive.open(info))
    return resources.enter_context(Kept(stream, stop, info.file_size))


def tar_member(file: Layer, member: str, stop: Stop, resources: ExitStack) -> Layer:
    """The first regular file of that name; members before it are passed over, none is kept."""
    head = file.read(len(XZ_BEGINNING))
    file.seek(0)
    if head == XZ_BEGINNING:
        file = unpacked("xz", file, stop, resources)
    mode: Any = next((mode for beginning, mode in TAR_MODES.items() if head.startswith(beginning)), "r:")
    archive: Any = resources.enter_context(tarfile.open(fileobj=file, mode=mode))  # noqa: SIM115
    for info in archive:
        stop.check()
        archive.members = []  # it would hold every header that it has read
        stream = archive.extractfile(info) if is_named(info, member) else None
        if stream is None:
            continue
        resources.callback(stream.close)
        is_plain = archive.fileobj is file
        return Ranges(stream, stop) if is_plain else resources.enter_context(Kept(stream, stop, info.size))
    raise MediaError(f"the tar holds no file {member!r}")


def is_named(info: tarfile.TarInfo, member: str) -> bool:
    return info.isreg() and posixpath.normpath(info.name) == posixpath.normpath(member)
