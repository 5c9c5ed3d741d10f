"""SIGTERM as Ctrl-C, in the process of the command alone."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """Raise KeyboardInterrupt at SIGTERM, which a scheduler sends before it kills a preempted process.

    Forked workers inherit the handler, and `datasets` ends its pools by SIGTERM: an exception there may be
    swallowed (in a `__del__`), and the pool would wait for that worker without an end. They die at once.
    """
    own = os.getpid()

    def interrupt(number: int, frame: Any) -> None:
        if os.getpid() == own:
            signal.default_int_handler(number, frame)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
