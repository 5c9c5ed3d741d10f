"""JSON that a run wrote, read back as the dataclass that it was: other content is an error, never a value."""

import json
import types
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def read_as(kind: type[T], text: bytes | str) -> T:
    """A dataclass from the JSON object of its fields. ValueError for what is none."""
    try:
        return checked(kind(**json.loads(text)))
    except (TypeError, RecursionError) as error:
        raise ValueError(f"not {kind.__name__} as it was written ({error})") from error


def checked(value: T) -> T:
    """A dataclass whose values are of their fields' types; TypeError where one is not."""
    kind: type = type(value)
    for name, hint in hints_of(kind).items():
        if not is_of(getattr(value, name), hint):
            raise TypeError(f"{name} is {getattr(value, name)!r}")
    return value


@cache
def hints_of(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def is_of(value: object, hint: Any) -> bool:
    """True for a value of a type; a whole number is a float too, and True is no number.

    >>> is_of(1, float), is_of(True, int), is_of(None, int | None), is_of([], dict[str, int])
    (True, False, True, False)
    """
    if get_origin(hint) in (types.UnionType, Union):
        return any(is_of(value, one) for one in get_args(hint))
    kind = get_origin(hint) or hint
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)
