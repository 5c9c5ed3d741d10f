"""The samples that a recipe names: files of Data-Juicer's formats, their media paths made absolute."""

import os
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset, Json, List, Value, concatenate_datasets, load_dataset

from ..cells import is_url
from ..errors import SettingsError, TaggerError
from ..sources.source import refuse_odd_names
from .contract import Note
from .recipe import Recipe

READERS: dict[str, tuple[str, dict[str, Any]]] = {  # suffix: the module of datasets that reads it
    ".jsonl": ("json", {}),
    ".json": ("json", {}),
    ".jsonl.gz": ("json", {}),
    ".json.gz": ("json", {}),
    ".jsonl.zst": ("json", {}),
    ".json.zst": ("json", {}),
    ".csv": ("csv", {}),
    ".tsv": ("csv", {"sep": "\t"}),
    ".parquet": ("parquet", {}),
}
DEFAULT_TEXT_KEY = "text"


def load_samples(recipe: Recipe, note: Note) -> Dataset:
    """The recipe's samples, without those whose text is null."""
    parts = [
        with_absolute_paths(load_files(files), media_keys(recipe), folders)
        for source in sources_of(recipe.dataset_path)
        for files, folders in files_by_folder(source)
    ]
    try:
        samples = parts[0] if len(parts) == 1 else concatenate_datasets(parts)
    except ValueError as error:
        raise TaggerError(
            f"{recipe.dataset_path}: the files' columns do not go together ({error})."
        ) from error
    return with_text(samples, recipe.text_keys, note)


def files_of(recipe: Recipe) -> list[Path]:
    """Every file that holds samples, and the folders that were named for theirs."""
    sources = sources_of(recipe.dataset_path)
    files = [file for source in sources for some, _ in files_by_folder(source) for file in some]
    return [*(source for source in sources if source.is_dir()), *files]


def media_keys(recipe: Recipe) -> list[str]:
    """The columns that hold paths: those of the recipe, and those of single operators."""
    of_steps = [
        step.options.get(key) for step in recipe.steps for key in ("video_key", "audio_key", "image_key")
    ]
    keys = [recipe.image_key, recipe.audio_key, recipe.video_key, *of_steps]
    return [key for key in dict.fromkeys(keys) if isinstance(key, str)]


def sources_of(dataset_path: str) -> list[Path]:
    """The files and folders of a `dataset_path`, which may list several, each with a weight before it.

    Without `max_sample_num` a weight changes nothing: every sample of each is taken.

    >>> sources_of("0.5 a.jsonl 0.5 b.jsonl")  # doctest: +SKIP
    [Path('/data/a.jsonl'), Path('/data/b.jsonl')]
    """
    if Path(dataset_path).exists():
        return [Path(dataset_path).absolute()]
    try:
        tokens = shlex.split(dataset_path)
    except ValueError:
        tokens = [dataset_path]
    sources = [Path(token).absolute() for token in tokens if not is_number(token)]
    for source in sources or [Path(dataset_path).absolute()]:
        if not source.exists():
            raise SettingsError(f"dataset_path={dataset_path!r}: there is no file or folder {source}.")
    return sources


def is_number(token: str) -> bool:
    try:
        float(token)
    except ValueError:
        return False
    return True


def files_by_folder(source: Path) -> list[tuple[list[Path], tuple[Path, ...]]]:
    """Files to read together, with the folders that their relative paths may start from.

    A path starts from the folder of the file that names it. Data-Juicer takes the dataset's folder
    for files in its subfolders too, so that comes second.
    """
    if source.is_file():
        if reader_of(source) is None:
            raise SettingsError(f"{source}: samples are read from {', '.join(READERS)}.")
        return [([source], (source.parent,))]
    files = files_of_folder(source)
    folders = sorted({file.parent for file in files})
    return [
        ([file for file in files if file.parent == folder], tuple(dict.fromkeys((folder, source))))
        for folder in folders
    ]


def files_of_folder(folder: Path) -> list[Path]:
    """The folder's files of the format that most of them have, as Data-Juicer picks them, sorted."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and reader_of(path))
    if not files:
        raise SettingsError(f"{folder}: it holds no file of samples ({', '.join(READERS)}).")
    (most_frequent, _), *_ = Counter(str(reader_of(path)) for path in files).most_common(1)
    return [path for path in files if str(reader_of(path)) == most_frequent]


def reader_of(path: Path) -> tuple[str, dict[str, Any]] | None:
    endings = ("".join(path.suffixes[-2:]).lower(), path.suffix.lower())
    return next((READERS[ending] for ending in endings if ending in READERS), None)


def load_files(files: Sequence[Path]) -> Dataset:
    reader = reader_of(files[0])
    assert reader is not None
    module, options = reader
    refuse_odd_names(*files)
    try:
        loaded = load_dataset(module, data_files=[str(file) for file in files], split="train", **options)
        loaded.data.table.validate(full=True)  # text that is no UTF-8 would end the run at its row
        return loaded
    except Exception as error:  # whatever a parser meets in a file
        reason = " ".join(str(error.__cause__ or error).split())[:300]
        raise TaggerError(f"{files[0].parent}: the samples cannot be read ({reason}).") from error


def with_absolute_paths(samples: Dataset, keys: Iterable[str], folders: tuple[Path, ...]) -> Dataset:
    """Relative paths in the media columns made absolute. URLs, bytes and the like stay as they are."""
    columns = [key for key in keys if holds_paths(samples.features.get(key))]
    if not columns:
        return samples
    return samples.map(
        lambda *cells: {
            column: [absolute_cell(cell, folders) for cell in column_cells]
            for column, column_cells in zip(columns, cells, strict=True)
        },
        batched=True,
        input_columns=columns,
        features=samples.features,
        load_from_cache_file=False,  # which folder it is depends on the files that exist now
    )


def holds_paths(feature: Any) -> bool:
    strings = (Value("string"), Value("large_string"))
    is_list = isinstance(feature, List) and feature.feature in strings
    return feature in strings or is_list or isinstance(feature, Json)  # JSON: cells of mixed kinds


def absolute_cell(cell: Any, folders: tuple[Path, ...]) -> Any:
    """
    >>> absolute_cell(["clips/a.mp4", "/b.mp4", None], (Path("/data"),))
    ['/data/clips/a.mp4', '/b.mp4', None]
    """
    if isinstance(cell, list):
        return [absolute_cell(one, folders) for one in cell]
    if not isinstance(cell, str) or is_url(cell) or os.path.isabs(cell):
        return cell
    candidates = [os.path.join(folder, cell) for folder in folders]
    return next((path for path in candidates if os.path.exists(path)), candidates[0])


def with_text(samples: Dataset, text_keys: tuple[str, ...] | None, note: Note) -> Dataset:
    """The samples whose texts are not null."""
    names = samples.column_names
    if text_keys is None:
        text_keys = (DEFAULT_TEXT_KEY,) if DEFAULT_TEXT_KEY in names else ()
    for key in text_keys:
        if key not in names:
            raise SettingsError(
                f"text_keys: the samples have no column {key!r}. They have: {', '.join(names)}."
            )
    if not any(samples.data.column(key).null_count for key in text_keys):
        return samples
    kept = samples.filter(lambda *texts: None not in texts, input_columns=list(text_keys))
    note(f"Left out: {len(samples) - len(kept)} samples without text ({', '.join(text_keys)})")
    return kept
