"""Checks of arguments that several modules share, and the one form that their errors have."""

from numbers import Real
from typing import Any

from .errors import SettingsError

COUNT = "a whole number of at least 1"


def invalid(name: str, value: Any, expected: str) -> SettingsError:
    """The error for an argument whose value is not what it must be.

    >>> print(invalid("windows", "some", "one of 'first', 'all'"))
    windows must be one of 'first', 'all'; got 'some'.
    """
    return SettingsError(f"{name} must be {expected}; got {value!r:.200}.")


def is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def check_counts(**counts: int | None) -> None:
    """Refuse an argument that is neither None nor a count."""
    for name, value in counts.items():
        if value is not None and not is_count(value):
            raise invalid(name, value, COUNT)
