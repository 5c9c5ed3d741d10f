"""The decoders by name. A decoder is one line in `DECODERS`, and a file of its name with two functions:

    import_library()                             raises where the decoder cannot work in this process
    open_sound(container, source, name, channels)   the container's first audio stream as a `Sound`

`container` is `source`, which `open_container` has checked and opened.
"""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from ...errors import SettingsError
from ..failures import describe_error, find_exhausted_resource


@dataclass(frozen=True)
class Decoder:
    library: str  # the import name of the library that it needs
    install: str  # the command that installs it
    use: str  # why to install it


DECODERS = {
    "torchcodec": Decoder(
        "torchcodec",
        'pip install "hf-audio-tagger[fast]"',
        "it is the fastest where FFmpeg is on the system",
    ),
    "pyav": Decoder("av", "pip install av", "every decoder needs it"),
    "decord": Decoder("decord", "pip install decord", "nothing needs it"),
}
DECODER_NAMES = ("auto", *DECODERS)  # "auto" picks one for each clip


def check_decoder(name: str) -> None:
    """Raise an error if a decoder cannot be used in this process."""
    if reason := unavailable_reason(name):
        raise SettingsError(f"decoder={name!r} cannot be used here: {reason}")


def load_decoder(name: str) -> Any:
    """The decoder's module. Its own library is imported with the first clip."""
    return import_module(f".{name}", __name__)


@cache
def unavailable_reason(name: str) -> str | None:
    """Why a decoder cannot be used in this process, and what to do about it; None where it can.

    >>> unavailable_reason("pyav") is None
    True
    """
    if name == "auto":
        return None
    try:
        load_decoder(name).import_library()
    except (ImportError, RuntimeError, OSError) as error:
        if find_exhausted_resource(error):
            raise  # not a fault of the decoder, and would be cached
        if isinstance(error, ModuleNotFoundError):
            return f"{name} is not installed; {DECODERS[name].install}."
        if isinstance(error, ImportError):
            return f"{name} does not load ({describe_error(error)[:200]})."
        return (
            f"{name} is installed but finds no FFmpeg libraries that it supports; install FFmpeg "
            "(apt-get, brew or conda install ffmpeg) or use decoder='pyav', which brings its own."
        )
    return None
