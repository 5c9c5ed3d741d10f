"""How a command ends: exit codes, errors and signals."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from ..errors import ColumnError, SettingsError, TaggerError
from .console import fail

WRONG_USE = 1  # also for a mistyped option, where click exits with 2
STOPPED, SOME_FAILED = 2, 3
INTERRUPTED = 130  # what shells expect after Ctrl-C
TRACEBACK_VARIABLE = "HF_AUDIO_TAGGER_TRACEBACK"


def wants_traceback(context: Any) -> bool:
    is_asked = context.find_root().params.get("traceback")
    return bool(is_asked) or os.environ.get(TRACEBACK_VARIABLE, "0") not in ("", "0")


@contextmanager
def exit_codes(context: typer.Context, *others: type[Exception]) -> Iterator[None]:
    """Exit with `STOPPED` after an error during a run, also one of `others`; the app handles wrong use."""
    errors: tuple[type[Exception], ...] = (TaggerError, *others)
    try:
        yield
    except (SettingsError, ColumnError):
        raise
    except errors as error:
        if wants_traceback(context):
            raise
        fail(str(error))
        raise typer.Exit(STOPPED) from None


@contextmanager
def terminated_like_ctrl_c() -> Iterator[None]:
    """A scheduler that takes the machine back sends SIGTERM first: there is time to save finished rows."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
