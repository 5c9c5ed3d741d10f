"""Checks that several modules share: of arguments, with a common form of errors, and of stored JSON."""

import json
import types
from functools import cache
from numbers import Real
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import SettingsError

T = TypeVar("T")

COUNT = "a whole number of at least 1"


def invalid(name: str, value: Any, expected: str) -> SettingsError:
    """The error for an argument with an invalid value.

    >>> print(invalid("windows", "some", "one of 'first', 'all'"))
    windows must be one of 'first', 'all'; got 'some'.
    """
    return SettingsError(f"{name} must be {expected}; got {value!r:.200}.")


def is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def is_whole_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def check_counts(**counts: int | None) -> None:
    """Raise an error for an argument that is neither None nor a count."""
    for name, value in counts.items():
        if value is not None and not is_count(value):
            raise invalid(name, value, COUNT)


def read_as(kind: type[T], text: bytes | str) -> T:
    """Parse a dataclass from a JSON object of its fields; raises ValueError for other content."""
    try:
        return check_types(kind(**json.loads(text)))
    except (TypeError, RecursionError) as error:
        raise ValueError(f"not a {kind.__name__} ({error})") from error


def check_types(value: T) -> T:
    """Return the dataclass; raises TypeError if a value is not of its field's type."""
    kind: type = type(value)
    for name, hint in read_hints(kind).items():
        if not has_type(getattr(value, name), hint):
            raise TypeError(f"{name} is {getattr(value, name)!r}")
    return value


read_hints = cache(get_type_hints)


def has_type(value: object, hint: Any) -> bool:
    """Whether a value is of a type. An int is a float too, and a bool is not a number.

    >>> has_type(1, float), has_type(True, int), has_type(None, int | None), has_type([], dict[str, int])
    (True, False, True, False)
    """
    if get_origin(hint) in (types.UnionType, Union):
        return any(has_type(value, one) for one in get_args(hint))
    kind = get_origin(hint) or hint
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)
