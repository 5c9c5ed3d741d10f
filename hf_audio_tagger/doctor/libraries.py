"""Checks Python, this package and its required libraries: versions and imports."""

import importlib
import platform
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Literal

from packaging.requirements import Requirement

from .._version import __version__
from ..text import one_line

LIBRARIES = ("torch", "torchaudio", "transformers", "datasets", "numpy")  # for decoders see `decoders`
OTHER_NAMES = {"decord": "eva-decord"}  # the same module in its macOS package
TORCH_PAIR = ("torch", "torchaudio")  # a torchaudio wheel works with its own torch build only
# "error": tagging cannot work. "warning": something optional is broken. "note": something optional is absent.
State = Literal["ok", "note", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """The result of one check, with a remedy if it failed."""

    subject: str
    state: State
    detail: str
    remedy: str | None = None


def check_versions() -> Iterator[Finding]:
    yield Finding("Python", "ok", platform.python_version())  # pip refuses incompatible versions
    yield Finding("hf-audio-tagger", "ok", __version__)
    yield from map(check_library, LIBRARIES)


def check_library(name: str) -> Finding:
    """Whether a required library is installed, new enough, and can be imported."""
    version, requirement = find_version(name), read_requirements().get(name)
    if version is None:
        fault = "is not installed"
    elif requirement and not requirement.specifier.contains(version, prereleases=True):
        fault = f"{version}, but {requirement.specifier} is needed"
    elif reason := find_import_error(name):
        beside = f" beside torch {find_version('torch')}" if name == "torchaudio" else ""
        fault = f"{version} does not load{beside}: {reason}"
    else:
        return Finding(name, "ok", version)
    return Finding(name, "error", fault, install_command(name))


def shorten(error: BaseException) -> str:
    """An error message in one short line."""
    return re.sub(r"\[Errno -?\d+\] ", "", one_line(error, 200)).rstrip(".")


def find_version(name: str) -> str | None:
    for distribution in (name, OTHER_NAMES.get(name, name)):
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return None


def find_import_error(name: str) -> str | None:
    """Why a module cannot be imported, or None. Broken builds raise all kinds of errors."""
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
        found = map(Requirement, metadata.requires("hf-audio-tagger") or [])
    except metadata.PackageNotFoundError:
        return {}
    return {one.name: one for one in found if one.marker is None or one.marker.evaluate({"extra": "fast"})}


def install_command(*names: str) -> str:
    """The command that installs libraries in the versions that this package needs; torch with torchaudio."""
    together = TORCH_PAIR if set(names) & set(TORCH_PAIR) else names
    known = read_requirements()
    required = [f"{name}{known[name].specifier}" if name in known else name for name in together]
    return "pip install --upgrade " + " ".join(f'"{one}"' for one in required)
