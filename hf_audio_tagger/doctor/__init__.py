"""What of this machine can run the tagger, and a remedy for what cannot.

Nothing here prints, downloads or changes anything. Sections are generators, because imports alone take
seconds: each finding can be shown as soon as it is known.
"""

from collections.abc import Iterator

from .decoders import check_decoders
from .devices import check_devices
from .libraries import Finding, State, check_versions
from .models import check_models

__all__ = ["Finding", "State", "examine"]


def examine(model: str | None = None, revision: str | None = None) -> Iterator[tuple[str, Iterator[Finding]]]:
    """Every section with its findings. No model: the default one.

    >>> for title, findings in examine("demo"):  # doctest: +SKIP
    ...     print(title, [finding.state for finding in findings])
    """
    yield "Versions", check_versions()
    yield "Decoders", check_decoders()
    yield "Devices", check_devices()
    yield "Models", check_models(model, revision)
