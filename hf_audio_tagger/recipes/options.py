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
Read = Callable[[str, Any], Any]  # takes the option's name and what a recipe gives for it


def option(default: T, read: Read) -> T:
    """A field of a dataclass that recipes may set. `read` returns the value or raises `SettingsError`."""
    value: T = field(default=default, metadata={"read": read})
    return value


def find_options(declared: type) -> dict[str, Read]:
    """The options that a dataclass declares, by name."""
    return {one.name: one.metadata["read"] for one in fields(declared) if "read" in one.metadata}


def parse_options(declared: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are given for a dataclass' options. Null counts as not given."""
    readers = find_options(declared)
    return {name: read(name, given[name]) for name, read in readers.items() if given.get(name) is not None}


def reader(expected: str, is_valid: Callable[[Any], bool]) -> Read:
    """A `read` for values that are used as they are given."""

    def read(name: str, value: Any) -> Any:
        if not is_valid(value):
            raise invalid(name, value, expected)
        return value

    return read


def one_of(*choices: str) -> Read:
    return reader(f"one of {', '.join(choices)}", lambda value: value in choices)


read_text = reader("a text that is not empty", lambda value: isinstance(value, str) and bool(value.strip()))
read_flag = reader("true or false", lambda value: isinstance(value, bool))
read_count = reader(COUNT, is_count)
read_number = reader("a number", is_number)
