"""Output of all commands: two consoles, and libraries silenced."""

import os
import sys
import warnings
from collections.abc import Iterable
from typing import Any, NoReturn

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from ..text import safe_text

PIPE_CLOSED = 141  # what shells expect of a command whose output nobody reads any more: 128 + SIGPIPE

# Read by each library when it is imported, here or in a spawned worker. Existing variables are kept.
QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "DATASETS_VERBOSITY": "error",
    "HF_HUB_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
}
MAP_BAR, HUB_BARS = "HF_DATASETS_DISABLE_PROGRESS_BARS", "HF_HUB_DISABLE_PROGRESS_BARS"

MARKS = {  # of each state: a sign, the sign in ASCII, a colour
    "ok": ("✓", "+", "green"),
    "note": ("·", "-", "dim"),
    "warning": ("!", "!", "yellow"),
    "error": ("✗", "x", "red"),
}


class SafeConsole(Console):
    """A console that escapes control characters in text, such as a file's name.

    Strings are escaped before the layout, so that tables fit; other renderables after it.
    """

    def escape(self, text: str) -> str:
        shown = safe_text(text, keep="\n\t")
        return shown.encode(self.encoding, "backslashreplace").decode(self.encoding)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(self.escape(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(self.escape(segment.text), segment.style)

    def on_broken_pipe(self) -> NoReturn:
        end_after_closed_pipe()


def end_after_closed_pipe() -> NoReturn:
    """End without a word, as other commands do. Python flushes its output once more at its exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(PIPE_CLOSED)


def stdout() -> Console:
    """For results. Created on each call, because the stream may be redirected between two calls."""
    return SafeConsole(highlight=False, emoji=False)


def stderr() -> Console:
    """For notes, progress and errors."""
    return SafeConsole(stderr=True, highlight=False, emoji=False)


def print_text(text: str, console: Console | None = None, style: str | None = None) -> None:
    """Print text without markup and without wrapping its lines."""
    (console or stdout()).print(text, style=style, markup=False, soft_wrap=True)


def fail(message: str) -> None:
    """Print an error in one line."""
    print_text(" ".join(message.splitlines()), stderr(), "red")


def note(message: str) -> None:
    """Print a note in one line."""
    print_text(safe_text(message), stderr(), "dim")


def mark(console: Console, state: str) -> Text:
    """The sign of a state; in ASCII if the terminal's encoding is not UTF."""
    sign, plain_sign, style = MARKS[state]
    return Text(sign if console.encoding.startswith("utf") else plain_sign, style)


def quiet_libraries(*, map_bar: bool = False, hub_bars: bool = False) -> None:
    """Silence logs and bars of transformers, datasets and huggingface_hub; a command calls it first.

    `map_bar` and `hub_bars` keep the bars of `datasets.map` and of downloads. PyAV and torchcodec
    print no messages of FFmpeg.
    """
    bars = {MAP_BAR: map_bar, HUB_BARS: hub_bars}
    for name, value in {**QUIET, **{name: "1" for name, is_kept in bars.items() if not is_kept}}.items():
        os.environ.setdefault(name, value)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
