"""A Data-Juicer recipe, read safely: what it says and, where it is silent, Data-Juicer's own defaults."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ..checks import invalid
from ..errors import SettingsError
from ..text import one_line
from .bounded_yaml import MAX_BYTES, parse_json, parse_yaml
from .options import find_options, option, parse_options, read_count, read_flag, read_text

DEFAULT_EXPORT = Path("./outputs/hello_world/hello_world.jsonl")
EXPORT_SUFFIXES = (".jsonl", ".json", ".parquet")

Note = Callable[[str], None]  # takes a line for the person who runs the recipe


@dataclass(frozen=True)
class Step:
    """One entry of the process list: an operator's name and what the recipe sets for it."""

    operator: str
    options: Mapping[str, Any]


def read_export_path(name: str, value: Any) -> Path:
    path = read_text(name, value)
    if "://" in path:
        raise invalid(name, value, "a local file")
    if Path(path).suffix.lower() not in EXPORT_SUFFIXES:
        raise invalid(name, value, f"a file that ends in {', '.join(EXPORT_SUFFIXES)}")
    return Path(path)


def read_names(name: str, value: Any) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(one, str) and one for one in names):
        raise invalid(name, value, "a column's name or a list of names")
    return tuple(names)


def read_steps(name: str, value: Any) -> tuple[Step, ...]:
    if not isinstance(value, list):
        raise invalid(name, value, "a list of operators")
    return tuple(read_step(entry) for entry in value)


def read_step(entry: Any) -> Step:
    """One entry: `operator: {option: value, ...}`, or `operator:` alone."""
    if not isinstance(entry, dict) or len(entry) != 1:
        raise invalid("an entry of process", entry, "`- operator_name:` with its options below")
    name, options = next(iter(entry.items()))
    options = {} if options is None else options
    if not isinstance(options, dict):
        raise invalid(f"process: {name}", options, "a mapping of options to values")
    return Step(str(name), options)


@dataclass(frozen=True)
class Recipe:
    """What is followed of a recipe, under its own keys. The defaults are those of py-data-juicer 1.6.1."""

    dataset_path: str = field(metadata={"read": read_text})
    export_path: Path = option(DEFAULT_EXPORT, read_export_path)  # noqa: RUF009
    np: int = option(4, read_count)  # processes
    text_keys: tuple[str, ...] | None = option(None, read_names)  # None: "text", where there is such a column
    image_key: str = option("images", read_text)
    audio_key: str = option("audios", read_text)
    video_key: str = option("videos", read_text)
    keep_stats_in_res_ds: bool = option(False, read_flag)
    skip_op_error: bool = option(True, read_flag)
    process: tuple[Step, ...] = option((), read_steps)
    ignored: tuple[str, ...] = ()  # keys that the recipe has and nothing here reads


def read_recipe(path: str | Path) -> Recipe:
    """Read a `.yaml`, `.yml` or `.json` recipe. Nothing in it is run, whatever its YAML tags say.

    >>> read_recipe("recipe.yaml").video_key  # doctest: +SKIP
    'videos'
    """
    given = load_mapping(Path(path))
    try:
        if given.get("dataset_path") is None:
            hint = " The key 'dataset' is not read." if "dataset" in given else ""
            raise SettingsError(f"dataset_path is missing: the file or folder of samples.{hint}")
        ignored = tuple(str(key) for key in given if key not in find_options(Recipe))
        return Recipe(**parse_options(Recipe, given), ignored=ignored)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None


def load_mapping(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        text = data.decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(f"{path}: the recipe cannot be read ({reason}).") from error
    if len(data) > MAX_BYTES:
        raise SettingsError(f"{path}: the recipe is too large: more than {MAX_BYTES:,} bytes.")
    try:
        given = (parse_json if path.suffix.lower() == ".json" else parse_yaml)(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise SettingsError(f"{path}: the recipe cannot be parsed ({one_line(error)}).") from error
    if not isinstance(given, dict):
        kind = "empty" if given is None else f"of type {type(given).__name__}"
        raise SettingsError(f"{path}: a recipe must map keys to values; this one is {kind}.")
    return given
