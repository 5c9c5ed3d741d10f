"""A Data-Juicer recipe, read safely: what it says and, where it is silent, Data-Juicer's own defaults."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..errors import SettingsError
from .bounded_yaml import MOST_BYTES, parse_json, parse_yaml

MOST_SHOWN = 200  # characters of a value in an error
EXPORT_SUFFIXES = (".jsonl", ".json", ".parquet")

KEYS = (
    "dataset_path",
    "export_path",
    "np",
    "text_keys",
    "image_key",
    "audio_key",
    "video_key",
    "keep_stats_in_res_ds",
    "skip_op_error",
    "process",
)


@dataclass(frozen=True)
class Step:
    """One entry of the process list: an operator's name and what the recipe sets for it."""

    operator: str
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Recipe:
    """What of a recipe is followed. The defaults are those of py-data-juicer 1.6.1."""

    dataset_path: str
    export_path: Path = Path("./outputs/hello_world/hello_world.jsonl")
    processes: int = 4  # `np`
    text_keys: tuple[str, ...] | None = None  # None: the recipe is silent, and "text" need not exist
    image_key: str = "images"
    audio_key: str = "audios"
    video_key: str = "videos"
    keep_stats: bool = False  # `keep_stats_in_res_ds`
    skip_errors: bool = True  # `skip_op_error`
    steps: tuple[Step, ...] = ()
    ignored: tuple[str, ...] = ()  # keys that it has and nothing here reads


def read_recipe(path: str | Path) -> Recipe:
    """Read a `.yaml`, `.yml` or `.json` recipe. Nothing in it is run, whatever its YAML tags say.

    >>> read_recipe("recipe.yaml").video_key  # doctest: +SKIP
    'videos'
    """
    given = parse(Path(path))
    try:
        return recipe_of(given)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None


def parse(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        text = data.decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise SettingsError(f"{path}: the recipe cannot be read ({reason}).") from error
    if len(data) > MOST_BYTES:
        raise SettingsError(f"{path}: the recipe is too large: more than {MOST_BYTES:,} bytes.")
    try:
        given = (parse_json if path.suffix.lower() == ".json" else parse_yaml)(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split())[:300]
        raise SettingsError(f"{path}: the recipe cannot be parsed ({reason}).") from error
    if not isinstance(given, dict):
        raise SettingsError(f"{path}: a recipe maps keys to values; this is {described(given)}.")
    return given


def recipe_of(given: Mapping[str, Any]) -> Recipe:
    """A recipe's mapping, checked. A null counts as silence."""
    said = {key: value for key, value in given.items() if value is not None}
    silent = Recipe(dataset_path="")
    return Recipe(
        dataset_path=dataset_path_of(said),
        export_path=export_path_of(said, silent.export_path),
        processes=processes_of(said, silent.processes),
        text_keys=text_keys_of(said),
        image_key=name_of(said, "image_key", silent.image_key),
        audio_key=name_of(said, "audio_key", silent.audio_key),
        video_key=name_of(said, "video_key", silent.video_key),
        keep_stats=flag_of(said, "keep_stats_in_res_ds", silent.keep_stats),
        skip_errors=flag_of(said, "skip_op_error", silent.skip_errors),
        steps=steps_of(said),
        ignored=tuple(str(key) for key in given if key not in KEYS),
    )


def dataset_path_of(said: Mapping[str, Any]) -> str:
    if "dataset_path" not in said:
        instead = " The key 'dataset' is not read." if "dataset" in said else ""
        raise SettingsError(f"dataset_path is missing: the file or folder of samples.{instead}")
    return name_of(said, "dataset_path", "")


def export_path_of(said: Mapping[str, Any], default: Path) -> Path:
    path = name_of(said, "export_path", str(default))
    if "://" in path:
        raise SettingsError(f"export_path={path!r}: only local files are written.")
    if Path(path).suffix.lower() not in EXPORT_SUFFIXES:
        raise SettingsError(f"export_path={path!r} must end in {', '.join(EXPORT_SUFFIXES)}.")
    return Path(path)


def processes_of(said: Mapping[str, Any], default: int) -> int:
    count = said.get("np", default)
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise wrong("np", count, "a whole number from 1 on")
    return count


def text_keys_of(said: Mapping[str, Any]) -> tuple[str, ...] | None:
    keys = said.get("text_keys")
    if keys is None:
        return None
    keys = [keys] if isinstance(keys, str) else keys
    if not isinstance(keys, list) or not all(isinstance(key, str) and key for key in keys):
        raise wrong("text_keys", keys, "a column's name or a list of names")
    return tuple(keys)


def steps_of(said: Mapping[str, Any]) -> tuple[Step, ...]:
    entries = said.get("process", [])
    if not isinstance(entries, list):
        raise wrong("process", entries, "a list of operators")
    return tuple(step_of(entry) for entry in entries)


def step_of(entry: Any) -> Step:
    """One entry: `operator: {option: value, ...}`, or `operator:` alone."""
    if not isinstance(entry, dict) or len(entry) != 1:
        raise SettingsError(
            f"process: {shown(entry)} is no entry; one is `- operator_name:` with its options below."
        )
    name, options = next(iter(entry.items()))
    options = {} if options is None else options
    if not isinstance(options, dict):
        raise SettingsError(f"process: the options of {name} are {described(options)}, not a mapping.")
    return Step(str(name), options)


def name_of(said: Mapping[str, Any], key: str, default: str) -> str:
    value = said.get(key, default)
    if not isinstance(value, str) or not value.strip():
        raise wrong(key, value, "a name" if key.endswith(("key", "name")) else "a path")
    return value


def flag_of(said: Mapping[str, Any], key: str, default: bool) -> bool:
    value = said.get(key, default)
    if not isinstance(value, bool):
        raise wrong(key, value, "true or false")
    return value


def wrong(key: str, value: Any, what: str) -> SettingsError:
    return SettingsError(f"{key}={shown(value)} cannot be; it is {what}.")


def shown(value: Any) -> str:
    """A value in an error, cut where it is long."""
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def described(value: Any) -> str:
    return "empty" if value is None else f"of type {type(value).__name__}"
