"""How a command ends: what the shell is told, and what a signal does."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from ..errors import ColumnError, SettingsError, TaggerError
from .console import fail

STOPPED, SOME_FAILED, INTERRUPTED = 2, 3, 130  # exit codes beside 0 and 1


@contextmanager
def exit_codes(context: typer.Context) -> Iterator[None]:
    """What a shell is told of what went wrong. Wrong settings go on to where all commands tell them."""
    from . import wants_traceback

    try:
        yield
    except (SettingsError, ColumnError):
        raise
    except TaggerError as error:
        if wants_traceback(context.find_root()):
            raise
        fail(str(error))
        raise typer.Exit(STOPPED) from None


@contextmanager
def terminated_like_ctrl_c() -> Iterator[None]:
    """A scheduler that takes the machine back sends SIGTERM first: time enough to keep what was heard."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
