"""The bytes of a tar in sequence: a local file, one behind a URL, or a gzip of either.

No byte is read twice, and what is skipped is not read where the file can seek. At most one block of a remote
file is kept in memory beside what was asked for.
"""

import os
import time
import zlib
from typing import Any

from ...cells import is_url
from ...errors import MediaError, ResourceError
from ...media.container import check_regular_file
from ...media.failures import find_exhausted_resource
from .problems import BrokenTarError, CutSampleError

BLOCK_BYTES = 8 << 20  # of a remote file in one request
HEADER_BLOCK_BYTES = 32 << 10  # where members are passed over, and only headers are read
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
        self.file = open(check_regular_file(path, path), "rb")  # noqa: SIM115
        self.length = os.fstat(self.file.fileno()).st_size

    def fetch(self, count: int) -> bytes:
        return self.file.read(count)

    def skip_to(self, position: int) -> None:
        self.file.seek(position)
        self.position = position

    def close(self) -> None:
        self.file.close()


class RemoteStream(ByteStream):
    """A file behind a URL, read by large ranges, or in one request where the server knows no ranges."""

    def __init__(self, url: str, token: str | bool | None, block_bytes: int) -> None:
        from ...media.remote.seekable import Reading
        from ...media.remote.url_chain import open_ranges

        self.block_bytes = block_bytes
        self.reading = Reading()
        self.ranges = open_ranges(url, self.reading, token)
        self.length = self.ranges.size
        self.block = memoryview(b"")
        self.stream: Any = None  # of a server without ranges

    def fetch(self, count: int) -> bytes:
        parts = [self.block[:count]]
        self.block = self.block[count:]
        missing = count - len(parts[0])
        while missing:
            start = self.position + count - missing
            block = memoryview(self.fetch_block(start, max(missing, self.block_bytes)))
            if not len(block):
                break
            parts.append(block[:missing])
            missing -= len(parts[-1])
            self.block = block[len(parts[-1]) :]
        return b"".join(parts)

    def fetch_block(self, start: int, count: int) -> bytes:
        """The bytes from a place on, at most so many; none at the end."""
        from ...media.remote.web import READING_SECONDS, NoRangesError

        self.reading.ends = time.monotonic() + READING_SECONDS  # the limit of retries is one of this block
        if self.stream is None and self.length is not None and start >= self.length:
            return b""
        try:
            if self.stream is None:
                block = self.ranges.fetch(start, start + count)
                self.length = self.ranges.size
                return block
        except NoRangesError:
            self.stream, self.length = self.ranges.open_stream(), None
            while start > 0:  # a run that goes on in the middle
                start -= len(self.stream.read(min(SKIPPED_BYTES, start))) or start
        data: bytes = self.stream.read(min(count, BLOCK_BYTES))
        return data

    def skip_to(self, position: int) -> None:
        kept = position - self.position
        if kept <= len(self.block):
            self.block = self.block[kept:]
            self.position = position
        elif self.stream is not None:
            super().skip_to(position)
        else:
            self.block = memoryview(b"")
            self.position = position

    def close(self) -> None:
        if self.stream is not None:
            self.stream.close()
        self.reading.resources.close()


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


def open_bytes(path: str, token: str | bool | None = None, block_bytes: int | None = None) -> ByteStream:
    """The bytes of a local file or a URL, unpacked where its name ends like a gzip.

    Args:
        token: of the Hub.
        block_bytes: of a remote file in one request.
    """
    try:
        stream: ByteStream = (
            RemoteStream(path, token, block_bytes or BLOCK_BYTES) if is_url(path) else LocalStream(path)
        )
    except Exception as error:
        raise CutSampleError(f"it cannot be opened: {explain(error)}") from error
    return GzipStream(stream) if path.partition("?")[0].lower().endswith(GZIP_SUFFIXES) else stream


def explain(error: Exception) -> str:
    """Why bytes cannot be read. Where this machine has run out of something, that ends the run."""
    from ...media.remote.web import explain_error

    if remedy := find_exhausted_resource(error):
        raise ResourceError(remedy) from error
    return explain_error(error)
