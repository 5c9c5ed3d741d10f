"""The options of recipes and operators. Each is declared once, as a field of a dataclass:

    @dataclass
    class Loudness(Filter):
        min_loudness: float = option(-60.0, read_number)

and `parse_options` reads what a recipe gives for them.
"""

from collections.abc import Callable, Mapping
from dataclasses import field, fields
from typing import Any, TypeVar

from ..checks import COUNT, invalid, is_count, is_number

T = TypeVar("T")
Read = Callable[[str, Any], T]  # takes the option's name and what a recipe gives for it


def option(default: T, read: Read[T]) -> T:
    """A field of a dataclass that recipes may set. `read` returns the value or raises `SettingsError`."""
    value: T = field(default=default, metadata={"read": read})
    return value


def find_options(declared: type) -> dict[str, Read[Any]]:
    """The options that a dataclass declares, by name."""
    return {one.name: one.metadata["read"] for one in fields(declared) if "read" in one.metadata}


def parse_options(declared: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are given for a dataclass' options. Null counts as not given."""
    readers = find_options(declared)
    return {name: read(name, given[name]) for name, read in readers.items() if given.get(name) is not None}


def read_text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise invalid(name, value, "a text that is not empty")
    return value


def read_flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise invalid(name, value, "true or false")
    return value


def read_count(name: str, value: Any) -> int:
    if not is_count(value):
        raise invalid(name, value, COUNT)
    return int(value)


def read_number(name: str, value: Any) -> float:
    if not is_number(value):
        raise invalid(name, value, "a number")
    return float(value)


def read_choice(*choices: str) -> Read[str]:
    def read(name: str, value: Any) -> str:
        if value not in choices:
            raise invalid(name, value, f"one of {', '.join(choices)}")
        return str(value)

    return read
