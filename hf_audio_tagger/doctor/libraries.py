"""The libraries that this package needs: which versions it requires, which are installed, which load."""

import importlib
import re
import warnings
from functools import cache
from importlib import metadata

from packaging.requirements import Requirement

from ..text import one_line

LIBRARIES = (
    "torch",
    "torchaudio",
    "transformers",
    "datasets",
    "numpy",
)  # decoders have a section of their own
OTHER_NAMES = {"decord": "eva-decord"}  # the same module, packaged for macOS
TORCH_PAIR = ("torch", "torchaudio")  # a torchaudio wheel refuses torch builds that it was not made for
REASON_LETTERS = 200


def shorten(error: BaseException | str) -> str:
    """The message of an error in one short line."""
    if isinstance(error, str):
        error = Exception(error)
    return re.sub(r"\[Errno -?\d+\] ", "", one_line(error, REASON_LETTERS)).rstrip(".")


def find_version(name: str) -> str | None:
    for distribution in filter(None, (name, OTHER_NAMES.get(name))):
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return None


def find_import_error(name: str) -> str | None:
    """Why a module does not load; None where it does. Broken builds raise all kinds of errors."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module(name)
    except Exception as error:
        return shorten(error)
    return None


@cache
def read_requirements() -> dict[str, Requirement]:
    """This package's requirements by name, with those of its extra "fast"."""
    try:
        lines = metadata.requires("hf-audio-tagger") or []
    except metadata.PackageNotFoundError:
        return {}
    found = map(Requirement, lines)
    return {one.name: one for one in found if one.marker is None or one.marker.evaluate({"extra": "fast"})}


def install_command(*names: str) -> str:
    """The command that installs libraries in the versions that this package needs; torch with torchaudio."""
    together = TORCH_PAIR if set(names) & set(TORCH_PAIR) else names
    known = read_requirements()
    required = [f"{name}{known[name].specifier}" if name in known else name for name in together]
    return "pip install --upgrade " + " ".join(f'"{one}"' for one in required)
