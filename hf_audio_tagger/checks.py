"""Checks that several modules share: of arguments, with a common form of errors, and of stored JSON."""

import json
import os
import re
import types
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from functools import cache
from numbers import Real
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, Union, get_args, get_origin, get_type_hints

from .atomic_files import open_atomic
from .choices import OTHER_NAMES
from .errors import SettingsError

T = TypeVar("T")

COUNT = "a whole number of at least 1"
HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")  # "user/name", or "name" alone
MOST_COMPARED = 100  # characters of a wrong value


def invalid(name: str, value: Any, expected: str, choices: Iterable[str] = ()) -> SettingsError:
    """The error for an argument with an invalid value; with the choice that may be meant, if there is one.

    >>> print(invalid("windows", "some", "one of 'first', 'all'"))
    windows must be one of 'first', 'all'; got 'some'.
    """
    near = find_near(value, choices)
    suggestion = f" Did you mean {near!r}?" if near else ""
    return SettingsError(f"{name} must be {expected}; got {value!r:.200}.{suggestion}")


def check_choice(name: str, value: Any, choices: Iterable[str]) -> None:
    """Raise an error for an argument that is none of the choices.

    >>> check_choice("resize", "aspect", ("aspect", "peer"))
    """
    names = list(choices)
    if value not in names:
        raise invalid(name, value, f"one of {', '.join(map(repr, names))}", names)


def find_near(value: Any, choices: Iterable[str]) -> str | None:
    """The choice that a wrong value may mean: another name of it, another spelling, or a mistyped one.

    >>> find_near("bf16", ["float16", "bfloat16"]), find_near("vgg-ish", ["yamnet", "vggish"])
    ('bfloat16', 'vggish')
    >>> find_near("vlc", ["pyav", "decord"])
    """
    text = str(value).casefold().removeprefix("torch.")[:MOST_COMPARED]
    plain = reduce_name(text)
    spellings = {spelling: one for one in choices for spelling in (one.casefold(), reduce_name(one))}
    for one in dict.fromkeys(spellings.values()):
        if text in OTHER_NAMES.get(one, ()) or plain in (reduce_name(one), one):
            return one
    near = get_close_matches(text, spellings, 1, cutoff=0.75)
    return spellings[near[0]] if near else None


def reduce_name(name: str) -> str:
    """A name's letters and digits alone, in lower case."""
    return "".join(filter(str.isalnum, name.casefold()))


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


@contextmanager
def open_output(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file that the user named, to write: whole or not at all."""
    try:
        with open_atomic(Path(path).expanduser()) as file:
            yield file
    except OSError as error:
        raise SettingsError(f"{path}: it cannot be written ({error.strerror}).") from error
