"""A URL as one seekable file, with one time limit for everything that is read of the clip.

A connection can be slow in ways that no client's timeout covers: a byte a second, an archive that unpacks for
hours, a library that retries. So a helper thread reads, and is waited for as long as the clip has time left.
After that it stops at the next `Reading.check`, or with the request's own timeout.
"""

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

from ...errors import MediaError, ResourceError
from ..failures import find_exhausted_resource
from . import web
from .seekable import Reading, SeekableFile
from .url_chain import open_chain

CLOSING_SECONDS = 5.0  # to close connections; a helper that needs longer is not waited for

T = TypeVar("T")


class Helper:
    """A thread that does one job after another. A daemon: an executor's threads would delay the exit."""

    def __init__(self) -> None:
        self.jobs: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
        threading.Thread(target=self.work, name="remote media", daemon=True).start()

    def work(self) -> None:
        while True:
            function, future = self.jobs.get()
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)

    def start(self, function: Callable[[], T]) -> "Future[T]":
        future: Future[T] = Future()
        self.jobs.put((function, future))
        return future


# Helpers without a file. They are kept since fsspec's file systems and their connections belong to a thread.
IDLE: list[Helper] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=IDLE.clear)  # threads do not survive a fork


class RemoteFile(SeekableFile):
    """What a decoder reads. `failure` is why reading failed, whatever the decoder makes of it."""

    file: SeekableFile

    def __init__(self, name: str) -> None:
        self.name = name
        try:
            self.helper = IDLE.pop()
        except IndexError:
            self.helper = Helper()
        self.reading = Reading()
        self.spent_seconds, self.read_bytes = 0.0, 0
        self.failure: Exception | None = None
        self.job: Future[Any] | None = None  # the helper's last

    def read_at(self, position: int, size: int) -> bytes:
        if self.failure:  # raised already; decoders print what is raised a second time
            return b""
        data = self.run(lambda: self.file.read_at(position, size), "reading stopped")
        self.read_bytes += len(data)
        return data

    def length(self) -> int:
        if self.failure:
            return self.position
        return self.run(self.file.length, "reading stopped")

    def run(self, function: Callable[[], T], failed: str) -> T:
        """Run in the helper, for at most the seconds that the clip has left. `failed` begins the error."""

        def job() -> T:
            web.BODIES.set(self.reading.bodies)
            self.reading.check()
            return function()

        left_seconds = web.READING_SECONDS - self.spent_seconds
        is_done = False
        if left_seconds > 0:
            started = time.monotonic()
            self.job = future = self.helper.start(job)
            is_done = bool(wait([future], left_seconds).done)
            self.spent_seconds += time.monotonic() - started
        if not is_done:
            self.reading.cancelled.set()
            received_bytes = max(sum(body.total_bytes for body in self.reading.bodies), self.read_bytes)
            self.failure = MediaError(
                f"{self.name}: {failed}: it sent {received_bytes:,} bytes in {self.spent_seconds:.3g} s; "
                f"the limit is {web.READING_SECONDS:g} s of reading a clip."
            )
            raise self.failure
        error = future.exception()
        if error is None:
            return future.result()
        if remedy := find_exhausted_resource(error):
            self.failure = ResourceError(f"{self.name} could not be read: {remedy}")
        else:
            self.failure = MediaError(f"{self.name}: {failed}: {web.explain_error(error)}.")
        raise self.failure from error

    def close(self) -> None:
        """Close the connections; the helper becomes idle as soon as it is free."""
        if self.closed:
            return
        super().close()
        self.reading.cancelled.set()
        wait_seconds = CLOSING_SECONDS if self.job is None or self.job.done() else 0
        closing = self.helper.start(self.reading.resources.close)
        self.helper.start(partial(IDLE.append, self.helper))  # it keeps no file alive
        wait([closing], wait_seconds)


def open_url(url: str, name: str) -> RemoteFile:
    """A seekable file over fsspec: only what is read is downloaded."""
    file = RemoteFile(name)
    try:
        file.file = file.run(lambda: open_chain(url, file.reading), "it could not be opened")
    except BaseException:
        file.close()
        raise
    return file
