"""A URL as one seekable file, with one time limit for everything that is read of the clip.

Client timeouts do not cover every slow read: a byte a second, an archive that unpacks for hours, a library
that retries. So a helper thread reads, and the caller waits for it until the clip's time limit. The thread
then stops: a request to a web server is cancelled, other reads end at the next `Reading.check`.
"""

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from ...errors import MediaError, ResourceError
from ..failures import find_exhausted_resource
from ..turns import waiting
from . import web
from .seekable import Reading, SeekableFile
from .url_chain import open_chain

CLOSING_SECONDS = 5.0  # to wait for a helper to close its connections
IDLE_SECONDS = 30.0  # after which a helper without a job ends

T = TypeVar("T")


class Helper:
    """A thread that runs one job at a time. A daemon, because an executor's threads would delay the exit."""

    def __init__(self) -> None:
        self.jobs: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
        threading.Thread(target=self.work, name="remote media", daemon=True).start()

    def work(self) -> None:
        while True:
            try:
                function, future = self.jobs.get(timeout=IDLE_SECONDS)
            except Empty:
                try:
                    IDLE.remove(self)
                except ValueError:
                    continue  # a file has it
                return
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)
            del function, future  # the reference to the file

    def start(self, function: Callable[[], T]) -> "Future[T]":
        future: Future[T] = Future()
        self.jobs.put((function, future))
        return future


# Idle helpers. They are reused because fsspec keeps stores' file systems and connections per thread.
IDLE: list[Helper] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=IDLE.clear)  # threads do not survive a fork


class RemoteFile(SeekableFile):
    """The file object for a decoder. `failure` is the error of a failed read, which the decoder may hide."""

    file: SeekableFile

    def __init__(self, name: str) -> None:
        # Not `name`: by that of a URL, FFmpeg would read a second or more ahead into a buffer of its own.
        self.clip_name = name
        try:
            self.helper = IDLE.pop()
        except IndexError:
            self.helper = Helper()
        self.reading = Reading()
        self.spent_seconds, self.read_bytes = 0.0, 0
        self.failure: Exception | None = None
        self.job: Future[Any] | None = None  # the helper's last

    def expect_span(self, start: int, stop: int) -> None:
        self.file.expect_span(start, stop)

    def expect_bytes(self, count: int) -> None:
        self.file.expect_bytes(count)

    def read_at(self, position: int, size: int) -> bytes:
        if self.failure:  # raised before; decoders print an error that is raised a second time
            return b""
        held = self.file.find_held(position, size)
        if held is not None and len(held) == size:
            return held  # without the helper: most reads are short
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

        is_done = False
        if self.left_seconds() > 0:
            self.reading.ends = time.monotonic() + self.left_seconds()
            self.job = future = self.helper.start(job)
            is_done = self.wait_for(future)
        if not is_done:
            self.reading.cancel()
            limit = f"the limit is {self.limit_seconds():.3g} s of reading a clip"
            self.failure = MediaError(
                f"{self.clip_name}: {failed}: it sent {self.received_bytes():,} bytes in "
                f"{self.spent_seconds:.3g} s; {limit}."
            )
            raise self.failure
        error = future.exception()
        if error is None:
            return future.result()
        if remedy := find_exhausted_resource(error):
            self.failure = ResourceError(f"{self.clip_name} could not be read: {remedy}")
        else:
            self.failure = MediaError(f"{self.clip_name}: {failed}: {web.explain_error(error)}.")
        raise self.failure from error

    def wait_for(self, job: "Future[Any]") -> bool:
        """Wait until a job is done, the clip's time is over, or the pipeline stops. True if it is done."""
        started, before = time.monotonic(), self.spent_seconds
        with waiting() as stopped:
            ends = [job] if stopped is None else [job, stopped]
            while True:  # what arrives meanwhile raises the limit
                is_done = bool(wait(ends, self.left_seconds(), FIRST_COMPLETED).done)
                self.spent_seconds = before + time.monotonic() - started
                if is_done or self.left_seconds() <= 0:
                    return job.done()

    def received_bytes(self) -> int:
        return max(sum(body.total_bytes for body in self.reading.bodies), self.read_bytes)

    def limit_seconds(self) -> float:
        """How long the clip may be read: longer the more has arrived."""
        slowest = self.received_bytes() / web.SLOW_BYTES_PER_SECOND
        return min(web.READING_SECONDS, web.STALLED_SECONDS + slowest)

    def left_seconds(self) -> float:
        return self.limit_seconds() - self.spent_seconds

    def close(self) -> None:
        """Close the connections and return the helper to the idle ones when it has finished."""
        if self.closed:
            return
        super().close()
        self.reading.cancel()
        wait_seconds = CLOSING_SECONDS if self.job is None or self.job.done() else 0
        closing = self.helper.start(self.reading.resources.close)
        self.helper.start(partial(IDLE.append, self.helper))  # drop the reference to the file
        wait([closing], wait_seconds)


def open_url(url: str, name: str, token: str | bool | None = None) -> RemoteFile:
    """A seekable file. Only the blocks that are read are downloaded. `token` is for the Hub alone."""
    file = RemoteFile(name)
    try:
        file.file = file.run(lambda: open_chain(url, file.reading, token), "it could not be opened")
    except BaseException:
        file.close()
        raise
    return file
