"""Reads Data-Juicer recipes safely, with Data-Juicer's defaults for missing keys.

The options of recipes and operators are declared as fields of dataclasses, each with a default and a
parser: `min_loudness: float = option(-60.0, read_number)`. `parse_options` reads the given values.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import yaml

from ..checks import COUNT, invalid, is_count, is_number, is_whole_number
from ..errors import SettingsError
from ..text import one_line
from .bounded_yaml import MAX_BYTES, BoundedLoader, check_depth

T = TypeVar("T")
Read = Callable[[str, Any], Any]  # takes an option's name and its value in the recipe
Note = Callable[[str], None]  # takes a message for the user

DEFAULT_EXPORT = Path("./outputs/hello_world/hello_world.jsonl")
EXPORT_SUFFIXES = (".jsonl", ".json", ".parquet")


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
    """A `read` that returns the value unchanged."""

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
read_whole_number = reader("a whole number", is_whole_number)


@dataclass(frozen=True)
class Step:
    """One entry of the process list: an operator's name and its options."""

    operator: str
    options: Mapping[str, Any]


def read_file(name: str, value: Any) -> Path:
    path = read_text(name, value)
    if "://" in path:
        raise invalid(name, value, "a local file")
    return Path(path)


def read_export_path(name: str, value: Any) -> Path:
    path = read_file(name, value)
    if path.suffix.lower() not in EXPORT_SUFFIXES:
        raise invalid(name, value, f"a file that ends in {', '.join(EXPORT_SUFFIXES)}")
    return path


def read_names(name: str, value: Any) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(one, str) and one for one in names):
        raise invalid(name, value, "a name or a list of names")
    return tuple(names)


def read_steps(name: str, value: Any) -> tuple[Step, ...]:
    """Entries of the form `operator: {option: value, ...}`, or `operator:` alone."""
    if not isinstance(value, list):
        raise invalid(name, value, "a list of operators")
    steps = []
    for entry in value:
        if not isinstance(entry, dict) or len(entry) != 1:
            raise invalid("an entry of process", entry, "`- operator_name:` with its options below")
        [(operator, options)] = entry.items()
        options = {} if options is None else options
        if not isinstance(options, dict):
            raise invalid(f"process: {operator}", options, "a mapping of options to values")
        steps.append(Step(str(operator), options))
    return tuple(steps)


@dataclass(frozen=True)
class Recipe:
    """The supported keys of a recipe, with the defaults of py-data-juicer 1.6.1."""

    dataset_path: str = field(metadata={"read": read_text})
    export_path: Path = option(DEFAULT_EXPORT, read_export_path)  # noqa: RUF009
    np: int = option(4, read_count)  # processes
    text_keys: tuple[str, ...] | None = option(None, read_names)  # None: "text", if that column exists
    image_key: str = option("images", read_text)
    audio_key: str = option("audios", read_text)
    video_key: str = option("videos", read_text)
    keep_stats_in_res_ds: bool = option(False, read_flag)
    skip_op_error: bool = option(True, read_flag)
    process: tuple[Step, ...] = option((), read_steps)
    ignored: tuple[str, ...] = ()  # keys of the recipe that are not supported


def read_recipe(path: str | Path) -> Recipe:
    """Read a `.yaml`, `.yml` or `.json` recipe. YAML tags are never executed.

    >>> read_recipe("recipe.yaml").video_key  # doctest: +SKIP
    'videos'
    """
    try:
        given = load_mapping(Path(path))
        if given.get("dataset_path") is None:
            hint = " The key 'dataset' is not read." if "dataset" in given else ""
            raise SettingsError(f"dataset_path is missing: the file or folder of samples.{hint}")
        ignored = tuple(str(key) for key in given if key not in find_options(Recipe))
        return Recipe(**parse_options(Recipe, given), ignored=ignored)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error.__cause__


def load_mapping(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        text = data.decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(f"the recipe cannot be read ({reason}).") from error
    if len(data) > MAX_BYTES:
        raise SettingsError(f"the recipe is too large: more than {MAX_BYTES:,} bytes.")
    try:
        is_json = path.suffix.lower() == ".json"
        given = json.loads(text) if is_json else yaml.load(text, BoundedLoader)
        check_depth(given)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise SettingsError(f"the recipe cannot be parsed ({one_line(error)}).") from error
    if not isinstance(given, dict):
        kind = "empty" if given is None else f"of type {type(given).__name__}"
        raise SettingsError(f"a recipe must map keys to values; this one is {kind}.")
    return given
