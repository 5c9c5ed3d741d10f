"""Many clips wait for servers side by side, while only as many as there are cores decode.

A thread that decodes a remote clip holds one of a few turns. It hands the turn on while it waits for a server
(`waiting`), which takes no core. `stop` ends all waits, so that an error or Ctrl-C ends the threads at once.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar


class Turns:
    """The turns of the threads of one pipeline."""

    def __init__(self, count: int) -> None:
        self.free = threading.Semaphore(count)
        self.stopped: Future[None] = Future()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold a turn in this thread."""
        token = _turns.set(self)
        self.free.acquire()
        try:
            yield
        finally:
            self.free.release()
            _turns.reset(token)

    def stop(self) -> None:
        """End all waits of all threads, present and future ones."""
        if not self.stopped.done():
            self.stopped.set_result(None)


_turns: ContextVar[Turns | None] = ContextVar("turns", default=None)


@contextmanager
def waiting() -> Iterator[Future[None] | None]:
    """Hand this thread's turn on for the time of a wait. Gives what is done when the wait should end."""
    turns = _turns.get()
    if turns is None:
        yield None
        return
    turns.free.release()
    try:
        yield turns.stopped
    finally:
        turns.free.acquire()
