"""The samples that a recipe names: files of Data-Juicer's formats, their media paths made absolute."""

import os
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset, Json, List, Value

from ..cells import is_url
from ..errors import SettingsError, TaggerError
from ..sources.data_files import concatenate, load_files
from ..sources.source import SourceError, check_utf8_names
from .recipe import Note, Recipe

READERS = {
    **dict.fromkeys((".jsonl", ".json", ".jsonl.gz", ".json.gz", ".jsonl.zst", ".json.zst"), "json"),
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
SUFFIXES = ", ".join(READERS)
WEIGHT = re.compile(r"\.?\d[\d.]*(e-?\d+)?", re.IGNORECASE)


def load_samples(recipe: Recipe, note: Note) -> Dataset:
    """The recipe's samples, without those whose text is null."""
    groups = [group for source in find_sources(recipe.dataset_path) for group in group_files(source)]
    check_utf8_names(*(file for files, _ in groups for file in files))
    try:
        tables = [load_table(files, folders, media_columns(recipe)) for files, folders in groups]
        samples = concatenate(recipe.dataset_path, tables)
    except SourceError as error:
        raise TaggerError(str(error)) from error  # a fault of the samples, not of a setting
    return drop_null_texts(samples, recipe.text_keys, note)


def find_inputs(recipe: Recipe) -> list[Path]:
    """The files and folders in `dataset_path`, and every samples file in them."""
    sources = find_sources(recipe.dataset_path)
    return [*sources, *(file for source in sources for files, _ in group_files(source) for file in files)]


def media_columns(recipe: Recipe) -> list[str]:
    """The columns that hold paths: those of the recipe, and those of single operators."""
    names = ("image_key", "audio_key", "video_key")
    keys = [getattr(recipe, name) for name in names]
    keys += [step.options.get(name) for step in recipe.process for name in names]
    return [key for key in dict.fromkeys(keys) if isinstance(key, str)]


def find_sources(dataset_path: str) -> list[Path]:
    """The files and folders of a `dataset_path`, which may list several: "0.5 a.jsonl 0.5 b.jsonl".

    Without `max_sample_num` the weights change nothing: every sample of each is taken.
    """
    if Path(dataset_path).exists():
        return [Path(dataset_path).absolute()]
    try:
        tokens = shlex.split(dataset_path)
    except ValueError:
        tokens = [dataset_path]
    sources = [Path(token).absolute() for token in tokens if not WEIGHT.fullmatch(token)]
    for source in sources or [Path(dataset_path).absolute()]:
        if not source.exists():
            raise SettingsError(f"dataset_path={dataset_path!r}: there is no file or folder {source}.")
    return sources


def group_files(source: Path) -> list[tuple[list[Path], tuple[Path, ...]]]:
    """Files to read together, with the folders that their relative paths may start from.

    Paths are relative to the folder of their file. Data-Juicer uses the dataset's folder for files in
    subfolders too, so that is tried second. As in Data-Juicer, only the files of a folder's most frequent
    format are read.
    """
    if source.is_file():
        if find_reader(source) is None:
            raise SettingsError(f"{source}: samples are read from {SUFFIXES}.")
        return [([source], (source.parent,))]
    readers = {path: find_reader(path) for path in sorted(source.rglob("*")) if path.is_file()}
    counts = Counter(reader for reader in readers.values() if reader is not None)
    if not counts:
        raise SettingsError(f"{source}: it has no samples file ({SUFFIXES}).")
    [(most_frequent, _)] = counts.most_common(1)
    by_folder: dict[Path, list[Path]] = {}
    for path, reader in readers.items():
        if reader == most_frequent:
            by_folder.setdefault(path.parent, []).append(path)
    return [(files, tuple(dict.fromkeys((folder, source)))) for folder, files in sorted(by_folder.items())]


def find_reader(path: Path) -> str | None:
    return READERS.get("".join(path.suffixes[-2:]).lower()) or READERS.get(path.suffix.lower())


def load_table(files: Sequence[Path], folders: tuple[Path, ...], columns: Iterable[str]) -> Dataset:
    """Rows of files with one builder. Relative paths in the media columns are made absolute."""
    reader = find_reader(files[0])
    assert reader is not None
    samples: Dataset = load_files("csv", files, sep="\t") if reader == "tsv" else load_files(reader, files)
    columns = [column for column in columns if has_paths(samples.features.get(column))]
    if not columns:
        return samples
    return samples.map(
        lambda *cells: {
            column: [make_absolute(cell, folders) for cell in column_cells]
            for column, column_cells in zip(columns, cells, strict=True)
        },
        batched=True,
        input_columns=columns,
        features=samples.features,
        load_from_cache_file=False,  # the choice depends on the files that exist now
    )


def has_paths(feature: Any) -> bool:
    strings = (Value("string"), Value("large_string"))
    is_list = isinstance(feature, List) and feature.feature in strings
    return feature in strings or is_list or isinstance(feature, Json)  # JSON: cells of mixed kinds


def make_absolute(cell: Any, folders: tuple[Path, ...]) -> Any:
    """A cell with absolute paths. URLs, bytes and the like stay as they are."""
    if isinstance(cell, list):
        return [make_absolute(one, folders) for one in cell]
    if not isinstance(cell, str) or is_url(cell) or os.path.isabs(cell):
        return cell
    candidates = [os.path.join(folder, cell) for folder in folders]
    return next((path for path in candidates if os.path.exists(path)), candidates[0])


def drop_null_texts(samples: Dataset, text_keys: tuple[str, ...] | None, note: Note) -> Dataset:
    names = samples.column_names
    if text_keys is None:
        text_keys = ("text",) if "text" in names else ()
    for key in text_keys:
        if key not in names:
            raise SettingsError(f"text_keys: there is no column {key!r} among {', '.join(names)}.")
    if not any(samples.data.column(key).null_count for key in text_keys):
        return samples
    kept = samples.filter(lambda *texts: None not in texts, input_columns=list(text_keys))
    note(f"Left out: {len(samples) - len(kept)} samples without text ({', '.join(text_keys)})")
    return kept
