"""What the commands share of the terminal: two consoles, and libraries that keep quiet beside them."""

import os
import sys
import warnings
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from ..text import safe_text

# Read by each library when it is imported, here or in a worker that is spawned. A person's own choice stays.
QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "DATASETS_VERBOSITY": "error",
    "HF_HUB_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
}
NO_MAP_BAR = {"HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
NO_HUB_BARS = {"HF_HUB_DISABLE_PROGRESS_BARS": "1"}

MARKS = {  # a state's sign, the sign in ASCII, its colour
    "ok": ("✓", "+", "green"),
    "note": ("·", "-", "dim"),
    "warning": ("!", "!", "yellow"),
    "error": ("✗", "x", "red"),
}


class SafeConsole(Console):
    """A console that shows the controls in a text, such as a file's name, and does not send them.

    A string is changed before it is laid out, so that tables fit; whatever comes another way, behind that.
    """

    def safe(self, text: str) -> str:
        shown = safe_text(text, keep="\n\t")
        return shown.encode(self.encoding, "backslashreplace").decode(self.encoding)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(self.safe(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(self.safe(segment.text), segment.style)


def stdout() -> Console:
    """For results. Made anew each time: the streams may be redirected between two calls."""
    return SafeConsole(highlight=False, emoji=False)


def stderr() -> Console:
    """For notes, progress and errors."""
    return SafeConsole(stderr=True, highlight=False, emoji=False)


def fail(message: str) -> None:
    """An error in one line, however wide the terminal is."""
    stderr().print(" ".join(message.splitlines()), style="red", markup=False, soft_wrap=True)


def note(message: str) -> None:
    """A line for the person at the terminal."""
    stderr().print(safe_text(message), style="dim", markup=False, soft_wrap=True)


def mark(console: Console, state: str) -> Text:
    """A tick, or what stands for "note", "warning", "error"; in ASCII where the terminal knows no more."""
    sign, plain_sign, style = MARKS[state]
    return Text(sign if console.encoding.startswith("utf") else plain_sign, style)


def quiet_libraries(*, map_bar: bool = False, hub_bars: bool = False) -> None:
    """Silence logs and bars of transformers, datasets and huggingface_hub; a command calls it first.

    `map_bar` and `hub_bars` leave the bars of `datasets.map` and of downloads where these are the
    command's own. FFmpeg needs nothing: PyAV and torchcodec keep its messages to themselves.
    """
    quiet = {**QUIET, **({} if map_bar else NO_MAP_BAR), **({} if hub_bars else NO_HUB_BARS)}
    for name, value in quiet.items():
        os.environ.setdefault(name, value)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
