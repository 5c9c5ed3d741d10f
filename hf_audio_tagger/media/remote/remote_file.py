"""A URL as one seekable file, with one time limit for everything that is read of the clip.

Client timeouts do not cover every slow read: a byte a second, an archive that unpacks for hours, a library
that retries. So a helper thread reads, and the caller waits for it until the clip's time limit. The thread
then stops at the next `Reading.check` or at the timeout of the request.
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

CLOSING_SECONDS = 5.0  # to wait for a helper to close its connections

T = TypeVar("T")


class Helper:
    """A thread that runs one job at a time. A daemon, because an executor's threads would delay the exit."""

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


# Idle helpers. They are reused because fsspec keeps file systems and connections per thread.
IDLE: list[Helper] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=IDLE.clear)  # threads do not survive a fork


class RemoteFile(SeekableFile):
    """The file object for a decoder. `failure` is the error of a failed read, which the decoder may hide."""

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
        if self.failure:  # raised before; decoders print an error that is raised a second time
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
        """Close the connections and return the helper to the idle ones when it has finished."""
        if self.closed:
            return
        super().close()
        self.reading.cancelled.set()
        wait_seconds = CLOSING_SECONDS if self.job is None or self.job.done() else 0
        closing = self.helper.start(self.reading.resources.close)
        self.helper.start(partial(IDLE.append, self.helper))  # drop the reference to the file
        wait([closing], wait_seconds)


def open_url(url: str, name: str) -> RemoteFile:
    """A seekable file over fsspec. Only the ranges that are read are downloaded."""
    file = RemoteFile(name)
    try:
        file.file = file.run(lambda: open_chain(url, file.reading), "it could not be opened")
    except BaseException:
        file.close()
        raise
    return file
