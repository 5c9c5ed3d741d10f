"""What the commands share of the terminal: two consoles, and libraries that keep quiet beside them."""

import os
import sys
import warnings

from rich.console import Console
from rich.text import Text

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


def stdout() -> Console:
    """For results. Made anew each time: the streams may be redirected between two calls."""
    return Console(highlight=False)


def stderr() -> Console:
    """For notes, progress and errors."""
    return Console(stderr=True, highlight=False)


def fail(message: str) -> None:
    """An error in one line, however wide the terminal is."""
    stderr().print(" ".join(message.splitlines()), style="red", markup=False, soft_wrap=True)


def note(message: str) -> None:
    stderr().print(message, style="dim", markup=False, soft_wrap=True)


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
