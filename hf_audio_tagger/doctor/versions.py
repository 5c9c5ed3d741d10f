"""Versions of Python, this package and its libraries."""

import platform
from collections.abc import Iterator

from .._version import __version__
from .finding import Finding
from .libraries import LIBRARIES, find_import_error, find_version, install_command, read_requirements


def check_versions() -> Iterator[Finding]:
    yield Finding("Python", "ok", platform.python_version())  # pip refuses versions that do not fit
    yield Finding("hf-audio-tagger", "ok", __version__)
    for name in LIBRARIES:
        yield check_library(name)


def check_library(name: str) -> Finding:
    """Whether a required library is installed, new enough, and can be imported."""
    version = find_version(name)
    if version is None:
        return Finding(name, "error", "is not installed", install_command(name))
    requirement = read_requirements().get(name)
    if requirement and not requirement.specifier.contains(version, prereleases=True):
        detail = f"{version}, but {requirement.specifier} is needed"
        return Finding(name, "error", detail, install_command(name))
    if reason := find_import_error(name):
        beside = f" beside torch {find_version('torch')}" if name == "torchaudio" else ""
        return Finding(name, "error", f"{version} does not load{beside}: {reason}", install_command(name))
    return Finding(name, "ok", version)
