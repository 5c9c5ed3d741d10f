"""Checks whether the tagger works on this machine, with a remedy for each problem.

The checks print, download and change nothing. Sections are generators, because imports alone take seconds and
each finding should be shown immediately.
"""

from collections.abc import Iterator
from functools import cache, partial

from .decoders import check_decoders
from .devices import check_devices
from .libraries import Finding, State, check_versions
from .machine import check_machine
from .models import check_models, examine_model
from .speed import check_speed

__all__ = ["Finding", "State", "examine"]


def examine(
    model: str | None = None, revision: str | None = None, speed: bool = True
) -> Iterator[tuple[str, Iterator[Finding]]]:
    """Every section with its findings. `model=None` checks the default model.

    `speed=False` leaves out the timing, which loads the model once for each engine and dtype.

    >>> for title, findings in examine("demo"):  # doctest: +SKIP
    ...     print(title, [finding.state for finding in findings])
    """
    yield "Versions", check_versions()
    yield "Decoders", check_decoders()
    yield "Devices", check_devices()
    yield "Memory and disk", check_machine()
    examined = cache(partial(examine_model, model, revision))  # two sections need it, and it may ask the Hub
    yield "Models", check_models(examined)
    if speed:
        yield "Speed", check_speed(model, revision, examined)
