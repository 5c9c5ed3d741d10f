"""Seekable files over URLs: read by ranges, or sequentially into a spool file.

Each link of a chained URL (``zip://a.mp4::gzip://b.zip::https://...``) is one such file over the next.
Nothing is downloaded or unpacked twice. The spool file and a single read (an archive's table) have limits.
"""

import asyncio
import io
import random
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import ExitStack, closing
from typing import Any, TypeVar

from ...errors import MediaError
from .web import READING_SECONDS, find_retry_after, is_transient

MOST_AT_ONCE_BYTES = 32 << 20  # in one read: decoders request less, the table of a zip may be this long
MOST_STORED_BYTES = 2 << 30  # of one sequentially read file, on disk
MEMORY_STORED_BYTES = 8 << 20  # the first bytes stay in memory
CHUNK_BYTES = 1 << 20
RETRY_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)  # pauses before a read is retried, or longer if the server asks
SPREAD = 0.25  # of a pause: clips that failed at the same time are not retried at the same time

T = TypeVar("T")


class Reading:
    """The state of reading one clip: its resources, responses, request, and whether it was cancelled."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self.resources = ExitStack()
        self.bodies: list[Any] = []  # of the HTTP responses; they count bytes as they arrive
        self.request: Future[Any] | None = None  # the one that is waited for
        self.ends = time.monotonic() + READING_SECONDS  # no pause is longer than that

    def check(self) -> None:
        if self.cancelled.is_set():
            raise MediaError("reading was cancelled")

    def cancel(self) -> None:
        """Stop reading, from another thread: at the next check, and a request of `wait` at once."""
        self.cancelled.set()
        if (request := self.request) is not None:
            request.cancel()

    def wait(self, request: "Coroutine[Any, Any, T]", loop: Any) -> T:
        """The result of a request that runs in another thread's event loop."""
        self.request = future = asyncio.run_coroutine_threadsafe(request, loop)
        if self.cancelled.is_set():  # meanwhile
            future.cancel()
        try:
            return future.result()
        finally:
            self.request = None

    def retry(self, function: Callable[[], T]) -> T:
        """Call the function and retry after transient errors, with growing pauses."""
        for pause_seconds in RETRY_SECONDS:
            self.check()
            try:
                return function()
            except Exception as error:
                seconds = max(pause_seconds, find_retry_after(error)) * (1 + SPREAD * random.random())
                if not is_transient(error) or time.monotonic() + seconds >= self.ends:
                    raise
            self.cancelled.wait(seconds)
        self.check()
        return function()

    def spool(self, stream: Any, size: int | None = None) -> "SpooledFile":
        """Make a seekable file of a stream that cannot seek."""
        self.resources.enter_context(closing(stream))
        return self.resources.enter_context(SpooledFile(stream, self, size))


class SeekableFile(io.RawIOBase):
    """Base class of files that can be read at any position."""

    position = 0

    def read_at(self, position: int, size: int) -> bytes:
        raise NotImplementedError

    def length(self) -> int:
        raise NotImplementedError

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            return self.readall()
        if size > MOST_AT_ONCE_BYTES:
            limit = f"the limit is {MOST_AT_ONCE_BYTES:,}"
            raise MediaError(f"reading it needs {size:,} bytes in memory at once; {limit}")
        data = self.read_at(self.position, size) if size else b""
        self.position += len(data)
        return data

    def find_held(self, position: int, size: int) -> bytes | None:
        """Bytes from a position on, at most `size`, if they are in memory."""
        return None

    def expect_span(self, start: int, stop: int) -> None:
        """Tell that these bytes will be read, so that they are fetched in few requests."""

    def expect_bytes(self, count: int) -> None:
        """Tell that about so many bytes will be read in one go, wherever they are."""

    def readall(self) -> bytes:
        parts = []
        while part := self.read(CHUNK_BYTES):
            parts.append(part)
            check_stored_size(self.position)
        return b"".join(parts)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_CUR:
            offset += self.position
        elif whence == io.SEEK_END:
            offset += self.length()
        if offset < 0:
            raise ValueError("a position before the file's beginning")
        self.position = offset
        return offset

    def readable(self) -> bool:
        return True

    seekable = readable


def check_stored_size(size: int) -> None:
    if size > MOST_STORED_BYTES:
        what = f"it downloads or unpacks to {size:,} bytes or more, read front to back"
        raise MediaError(f"{what}; the limit is {MOST_STORED_BYTES:,}")


class SpooledFile(SeekableFile):
    """A stream that cannot seek; the part read so far is stored."""

    def __init__(self, stream: Any, reading: Reading, size: int | None = None) -> None:
        self.stream, self.reading, self.size = stream, reading, size
        self.stored: Any = tempfile.SpooledTemporaryFile(max_size=MEMORY_STORED_BYTES)  # noqa: SIM115
        self.stored_bytes, self.is_complete = 0, False

    def read_at(self, position: int, size: int) -> bytes:
        self.store(position + size)
        self.stored.seek(position)
        return self.stored.read(size)

    def length(self) -> int:
        if self.size is None:
            self.store(None)
            self.size = self.stored_bytes
        return self.size

    def store(self, end: int | None) -> None:
        """Read and store up to a position, or to the end."""
        self.stored.seek(0, io.SEEK_END)
        while not self.is_complete and (end is None or self.stored_bytes < end):
            self.reading.check()
            part = self.stream.read(CHUNK_BYTES if end is None else min(CHUNK_BYTES, end - self.stored_bytes))
            self.is_complete = not part
            self.stored_bytes += len(part)
            check_stored_size(self.stored_bytes)
            self.stored.write(part)

    def close(self) -> None:
        self.stored.close()
        super().close()


class MemberFile(SeekableFile):
    """A part of a file as a file: a member of an archive that is stored as it is."""

    def __init__(self, file: SeekableFile, start: int, size: int) -> None:
        self.file, self.start, self.size = file, start, size

    def read_at(self, position: int, size: int) -> bytes:
        return self.file.read_at(self.start + position, max(0, min(size, self.size - position)))

    def find_held(self, position: int, size: int) -> bytes | None:
        return self.file.find_held(self.start + position, max(0, min(size, self.size - position)))

    def expect_span(self, start: int, stop: int) -> None:
        self.file.expect_span(self.start + start, self.start + min(stop, self.size))

    def expect_bytes(self, count: int) -> None:
        self.file.expect_bytes(count)

    def length(self) -> int:
        return self.size
