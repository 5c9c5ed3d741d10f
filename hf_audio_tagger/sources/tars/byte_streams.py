"""The bytes of a tar in sequence: a local file, one behind a URL, or a gzip of either.

No byte is read twice, and what is skipped is not read where the file can seek. At most one block of a remote
file is kept in memory beside what was asked for.
"""

import os
import zlib
from typing import Any

from ...cells import is_url
from ...compat.datasets_internals import prepare_url
from ...errors import MediaError, ResourceError
from ...media.container import check_regular_file
from ...media.failures import find_exhausted_resource
from .problems import BrokenTarError, CutSampleError

BLOCK_BYTES = 8 << 20  # of a remote file in one request
SKIPPED_BYTES = 1 << 20  # at once, where a file cannot seek
PACKED_BYTES = 1 << 18  # of a gzip at once
MOST_UNPACKED_TIMES = 100  # what a gzip may grow by: media shrink little
FREE_UNPACKED_BYTES = 64 << 20  # before that is looked at: a small text may well shrink more
GZIP_SUFFIXES = (".gz", ".tgz")
GZIP_WINDOW = 16 + zlib.MAX_WBITS  # zlib's sign for a gzip header


class ByteStream:
    """Bytes in sequence. `position` is that of the next byte, `length` None where it is not known."""

    position = 0
    length: int | None = None

    def read(self, count: int) -> bytes:
        """So many bytes, fewer only at the end."""
        try:
            data = self.fetch(count)
        except BrokenTarError:
            raise
        except Exception as error:  # of any file system
            raise CutSampleError(f"reading stopped at byte {self.position:,}: {explain(error)}") from error
        self.position += len(data)
        return data

    def fetch(self, count: int) -> bytes:
        raise NotImplementedError

    def skip_to(self, position: int) -> None:
        """Go forward. Past the end, the next read gives nothing."""
        while self.position < position and self.read(min(SKIPPED_BYTES, position - self.position)):
            pass

    def close(self) -> None: ...


class LocalStream(ByteStream):
    def __init__(self, path: str) -> None:
        self.file = open(check_regular_file(os.path.expanduser(path), path), "rb")  # noqa: SIM115
        self.length = os.fstat(self.file.fileno()).st_size

    def fetch(self, count: int) -> bytes:
        return self.file.read(count)

    def skip_to(self, position: int) -> None:
        self.file.seek(position)
        self.position = position

    def close(self) -> None:
        self.file.close()


class RemoteStream(ByteStream):
    """A file of fsspec, read by large ranges, or in one request where the server knows no ranges."""

    def __init__(self, url: str) -> None:
        from fsspec.core import url_to_fs

        from ...media.remote.seekable import Reading
        from ...media.remote.web import http_options

        prepared, options = prepare_url(url, http_options())
        self.system, self.path = url_to_fs(prepared, **options)
        self.reading = Reading()
        self.block = memoryview(b"")
        self.file = self.reading.retry(lambda: self.open(BLOCK_BYTES))
        self.length = getattr(self.file, "size", None) if self.file.seekable() else None

    def open(self, block_bytes: int) -> Any:
        options = {"cache_type": "none"} if block_bytes else {}
        return self.system.open(self.path, "rb", block_size=block_bytes, **options)

    def fetch(self, count: int) -> bytes:
        parts = [self.block[:count]]
        self.block = self.block[count:]
        missing = count - len(parts[0])
        while missing:
            start = self.position + count - missing
            block = memoryview(self.fetch_block(start, max(missing, BLOCK_BYTES)))
            if not len(block):
                break
            parts.append(block[:missing])
            missing -= len(parts[-1])
            self.block = block[len(parts[-1]) :]
        return b"".join(parts)

    def fetch_block(self, start: int, count: int) -> bytes:
        from ...media.remote.web import NoRangesError

        if self.length is None:
            data: bytes = self.file.read(min(count, BLOCK_BYTES))
            return data
        if start >= self.length:
            return b""

        def read() -> bytes:
            self.file.seek(start)
            data: bytes = self.file.read(count)
            return data

        try:
            return self.reading.retry(read)
        except NoRangesError:
            if start:
                raise
            self.file.close()
            self.file, self.length = self.open(0), None
            return self.fetch_block(start, count)

    def skip_to(self, position: int) -> None:
        kept = position - self.position
        if kept <= len(self.block):
            self.block = self.block[kept:]
            self.position = position
        elif self.length is None:
            super().skip_to(position)
        else:
            self.block = memoryview(b"")
            self.position = position

    def close(self) -> None:
        self.file.close()


class GzipStream(ByteStream):
    """A gzip, unpacked piece by piece. One that grows out of all proportion is refused."""

    def __init__(self, packed: ByteStream) -> None:
        self.packed = packed
        self.unpacker = zlib.decompressobj(GZIP_WINDOW)
        self.waiting = b""  # packed bytes that are not unpacked yet

    def fetch(self, count: int) -> bytes:
        parts: list[bytes] = []
        missing = count
        while missing and (part := self.unpack(missing)):
            parts.append(part)
            missing -= len(part)
            self.check_growth(self.position + count - missing)
        return b"".join(parts)

    def unpack(self, most: int) -> bytes:
        """The next bytes, at most so many; none at the end."""
        while True:
            if self.unpacker.eof:  # several gzips may follow each other
                self.waiting = self.unpacker.unused_data.lstrip(b"\0")
                self.unpacker = zlib.decompressobj(GZIP_WINDOW)
                if not self.waiting and not self.read_packed():
                    return b""
            is_packed_end = not self.waiting and not self.read_packed()
            try:
                part = self.unpacker.decompress(self.waiting, min(most, SKIPPED_BYTES))
            except zlib.error as error:
                raise MediaError(f"its gzip is damaged ({error})") from error
            self.waiting = self.unpacker.unconsumed_tail
            if part:
                return part
            if is_packed_end and not self.unpacker.eof:
                return b""  # cut off, as `archive` finds by the missing bytes

    def read_packed(self) -> bool:
        self.waiting = self.packed.read(PACKED_BYTES)
        return bool(self.waiting)

    def check_growth(self, unpacked_bytes: int) -> None:
        if unpacked_bytes > FREE_UNPACKED_BYTES + MOST_UNPACKED_TIMES * self.packed.position:
            raise MediaError(
                f"its gzip unpacks to more than {MOST_UNPACKED_TIMES} times its bytes, as no media do; if it "
                "is meant, unpack it first"
            )

    def close(self) -> None:
        self.packed.close()


def open_bytes(path: str) -> ByteStream:
    """The bytes of a local file or a URL, unpacked where its name ends like a gzip."""
    try:
        stream: ByteStream = RemoteStream(path) if is_url(path) else LocalStream(path)
    except Exception as error:
        raise CutSampleError(f"it cannot be opened: {explain(error)}") from error
    return GzipStream(stream) if path.lower().endswith(GZIP_SUFFIXES) else stream


def explain(error: Exception) -> str:
    """Why bytes cannot be read. Where this machine has run out of something, that ends the run."""
    from ...media.remote.web import explain_error

    if remedy := find_exhausted_resource(error):
        raise ResourceError(remedy) from error
    return explain_error(error)
