"""Checks whether the tagger works on this machine, with a remedy for each problem.

The checks print, download and change nothing. Sections are generators, because imports alone take seconds and
each finding should be shown immediately.
"""

from collections.abc import Iterator

from .decoders import check_decoders
from .devices import check_devices
from .libraries import Finding, State, check_versions
from .models import check_models

__all__ = ["Finding", "State", "examine"]


def examine(model: str | None = None, revision: str | None = None) -> Iterator[tuple[str, Iterator[Finding]]]:
    """Every section with its findings. `model=None` checks the default model.

    >>> for title, findings in examine("demo"):  # doctest: +SKIP
    ...     print(title, [finding.state for finding in findings])
    """
    yield "Versions", check_versions()
    yield "Decoders", check_decoders()
    yield "Devices", check_devices()
    yield "Models", check_models(model, revision)
