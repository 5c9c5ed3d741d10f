"""The libraries this package stands on: which versions it asks for, which are here, which load."""

import importlib
import re
import warnings
from functools import cache
from importlib import metadata

from packaging.requirements import Requirement

OTHER_NAMES = {"decord": "eva-decord"}  # the same module, packaged for macOS
TORCH_PAIR = ("torch", "torchaudio")  # torchaudio's wheels refuse torch builds that they were not made for
MOST_OF_A_REASON = 200  # characters; the rest of it is for a traceback


def brief(error: BaseException | str) -> str:
    """An error in some words of one line."""
    words = re.sub(r"\[Errno -?\d+\] ", "", " ".join(str(error).split()))
    return words[:MOST_OF_A_REASON].rstrip(".") or type(error).__name__


def installed_version(name: str) -> str | None:
    for distribution in filter(None, (name, OTHER_NAMES.get(name))):
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return None


def import_trouble(name: str) -> str | None:
    """Why a module does not load; None where it does. Broken builds raise all kinds of errors."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module(name)
    except Exception as error:
        return brief(error)
    return None


@cache
def requirements() -> dict[str, Requirement]:
    """What this package asks of others, by name, as it was installed with its extra "fast"."""
    try:
        lines = metadata.requires("hf-audio-tagger") or []
    except metadata.PackageNotFoundError:
        return {}
    asked = map(Requirement, lines)
    return {one.name: one for one in asked if one.marker is None or one.marker.evaluate({"extra": "fast"})}


def install(*names: str) -> str:
    """The command that brings libraries in the versions that this package needs. torch never goes alone."""
    together = TORCH_PAIR if set(names) & set(TORCH_PAIR) else names
    known = requirements()
    asked = [f"{name}{known[name].specifier}" if name in known else name for name in together]
    return "pip install --upgrade " + " ".join(f'"{one}"' for one in asked)
