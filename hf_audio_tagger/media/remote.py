"""A URL as one seekable file, under one limit of time for all that is read of the clip.

A connection can be slow in ways that no client's timeout sees: a byte a second, an archive that unpacks for
hours, a library that waits and tries again. So the reading is done in a helper thread, and the reader
waits for it no longer than the clip has time left. What a helper still does then ends by itself, at the
next check of `Stop` or with the request's own timeout, and harms nobody.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue
from typing import Any, TypeVar

from ..errors import MediaError, ResourceError
from .failures import what_ran_out
from .layers import Layer, Stop, open_chain

CLOSING_SECONDS = 5.0  # to let go of connections; a helper that needs longer does so alone

T = TypeVar("T")


class Helper:
    """A thread that does one job after another. It ends with the process and holds nothing up."""

    def __init__(self) -> None:
        self.jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        threading.Thread(target=self.work, name="remote media", daemon=True).start()

    def work(self) -> None:
        while True:
            self.jobs.get()()

    def start(self, function: Callable[[], T]) -> "Future[T]":
        future: Future[T] = Future()

        def job() -> None:
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)

        self.jobs.put(job)
        return future


IDLE: list[
    Helper
] = []  # helpers without a file; file systems of fsspec and their connections belong to a thread
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=IDLE.clear)  # threads stay behind in the parent


def take_helper() -> Helper:
    try:
        return IDLE.pop()
    except IndexError:
        return Helper()


class RemoteFile(Layer):
    """What a decoder reads. `failure` is why nothing more can be read, whatever the decoder makes of it."""

    layer: Layer

    def __init__(self, name: str) -> None:
        from .web import Sent

        self.name = name
        self.helper = take_helper()
        self.stop, self.sent = Stop(), Sent()
        self.spent_seconds = 0.0
        self.read_bytes = 0
        self.failure: Exception | None = None
        self.job: Future[Any] | None = None  # the last that the helper was given
        self.resources = ExitStack()

    def open(self, url: str) -> None:
        self.layer = self.wait_for(
            lambda: open_chain(url, self.stop, self.resources), "it could not be opened"
        )

    def read_at(self, position: int, size: int) -> bytes:
        if self.failure:  # told already; decoders print what they are told again
            return b""
        data = self.wait_for(lambda: self.layer.read_at(position, size), "reading stopped")
        self.read_bytes += len(data)
        return data

    def length(self) -> int:
        if self.failure:
            return self.position
        return self.wait_for(self.layer.length, "reading stopped")

    def wait_for(self, function: Callable[[], T], what: str) -> T:
        """The function's result from the helper, within the seconds that the clip has left."""
        from . import web

        def job() -> T:
            web.SENT.set(self.sent)
            self.stop.check()
            return function()

        started = time.monotonic()
        left_seconds = web.READING_SECONDS - self.spent_seconds
        if left_seconds <= 0:
            raise self.out_of_time(what)
        self.job = future = self.helper.start(job)
        is_done = bool(wait([future], left_seconds).done)
        self.spent_seconds += time.monotonic() - started
        if not is_done:
            raise self.out_of_time(what)
        error = future.exception()
        if error is None:
            return future.result()
        if remedy := what_ran_out(error):
            raise self.failed(ResourceError(f"{self.name} could not be read: {remedy}")) from error
        raise self.failed(MediaError(f"{self.name}: {what}: {web.reason_of(error)}.")) from error

    def failed(self, error: Exception) -> Exception:
        self.failure = error
        return error

    def out_of_time(self, what: str) -> Exception:
        from .web import READING_SECONDS

        self.stop.set()
        sent_bytes = max(self.sent.bytes, self.read_bytes)
        return self.failed(
            MediaError(
                f"{self.name}: {what}: it sent {sent_bytes:,} bytes in {self.spent_seconds:.3g} s; "
                f"the limit is {READING_SECONDS:g} s of reading a clip."
            )
        )

    def close(self) -> None:
        """Let go of the connections, and of the helper as soon as it is free."""
        if self.closed:
            return
        super().close()
        self.stop.set()
        is_free = self.job is None or self.job.done()
        closing = self.helper.start(self.resources.close)
        self.helper.start(lambda: IDLE.append(self.helper))
        wait([closing], CLOSING_SECONDS if is_free else 0)


def open_url(url: str, name: str) -> RemoteFile:
    """A seekable file over fsspec: only what is read is fetched."""
    file = RemoteFile(name)
    try:
        file.open(url)
    except BaseException:
        file.close()
        raise
    return file


@contextmanager
def remote_failures(source: Any) -> Iterator[None]:
    """Raise why a remote file could not be read on, where a decoder says something else, or nothing."""
    try:
        yield
    except Exception as error:
        failure = getattr(source, "failure", None)
        if failure is None or failure is error:
            raise
        raise failure from error
    if failure := getattr(source, "failure", None):
        raise failure
