"""Finds the media columns of a dataset; removes them or embeds their files."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from datasets import Audio, Dataset, LargeList, List, Value, Video

from ..compat.datasets_internals import is_decodable
from ..errors import ColumnError, SettingsError
from ..media_column import FILE_NAME_COLUMNS, pick_column
from ..media_paths import find_root, find_shared_folder, read_paths, shorten_paths
from ..tagger import Tagger

Splits = dict[str, Dataset]


def find_media_column(dataset: Dataset, tagger: Tagger | None) -> str | None:
    """The tagger's column, else the one that names and features tell; None if there is none, or several."""
    with suppress(ColumnError):
        return pick_column(dataset.column_names, tagger.column if tagger else None, lambda: dataset.features)
    return None


def holds_media(feature: Any) -> bool:
    """True for features that `datasets` decodes, bytes, samples, and lists or structs of these.

    >>> holds_media(List(Video())), holds_media({"path": Value("string"), "bytes": Value("binary")})
    (True, True)
    >>> holds_media(Value("string"))
    False
    """
    if is_decodable(feature):
        return True
    if isinstance(feature, Value):
        return feature.dtype in ("binary", "large_binary")
    if isinstance(feature, (List, LargeList)):
        return holds_media(feature.feature)
    if isinstance(feature, dict):
        return {"array", "sampling_rate"} <= set(feature) or any(map(holds_media, feature.values()))
    return False


def cast_paths(dataset: Dataset, column: str | None) -> Dataset:
    """Cast a column of paths to `Video()`, or `Audio()` if called "audio": `push_to_hub` embeds these."""
    if column is None:
        names = ", ".join(map(repr, dataset.column_names))
        raise ColumnError(f"embed_media=True needs a column of media. The dataset has: {names}.")
    feature = dataset.features[column]
    decoded = Audio() if column == "audio" else Video()
    if feature == Value("string"):
        return dataset.cast_column(column, decoded)
    if isinstance(feature, (List, LargeList)) and feature.feature == Value("string"):
        return dataset.cast_column(column, type(feature)(decoded))
    return dataset


def select_tags(
    splits: Splits, media_column: str | None, key_columns: Sequence[str] | None, tag_columns: Sequence[str]
) -> Splits:
    """The columns that identify rows, and the tags. A key column of media becomes the names of its files."""
    first = next(iter(splits.values()))
    names_rows = media_column in FILE_NAME_COLUMNS  # relative names, which identify rows
    media = [
        name
        for name, feature in first.features.items()
        if (name == media_column and not names_rows) or holds_media(feature)
    ]
    others = [name for name in first.column_names if name not in media and name not in tag_columns]
    if key_columns is None and not others and not media:
        raise missing_keys("the dataset has only tags")
    keys = key_columns if key_columns is not None else others or [media_column or media[0]]
    if missing := [name for name in keys if name not in first.column_names]:
        names = ", ".join(map(repr, first.column_names))
        raise ColumnError(f"key_columns names {missing[0]!r}; the dataset has: {names}.")
    kept = [name for name in first.column_names if name in keys or name in tag_columns]
    splits = {split: dataset.select_columns(kept) for split, dataset in splits.items()}
    for name in kept:
        if name in media:
            splits = replace_by_names(splits, name)
    return splits


def missing_keys(reason: str) -> SettingsError:
    return SettingsError(
        f"only_tags=True leaves no column that identifies rows: {reason}. Add one of ids, such as "
        "ds.add_column('id', list(range(len(ds))))."
    )


def replace_by_names(splits: Splits, column: str) -> Splits:
    """Replace a column of media by the names of their files.

    A name is the path without the folder that all files share.
    """
    cells = {split: read_paths(dataset, column) for split, dataset in splits.items()}
    lists = [cell if isinstance(cell, list) else [cell] for values in cells.values() for cell in values]
    paths = [path for cell in lists for path in cell if path is not None]
    if not paths:
        raise missing_keys(f"{column!r} holds no names of files")
    start = len(find_shared_folder(paths))

    def cut(cell: Any) -> Any:
        return [cut(path) for path in cell] if isinstance(cell, list) else cell and cell[start:]

    replaced = {}
    for split, dataset in splits.items():
        is_list = isinstance(dataset.features[column], (List, LargeList))
        feature = List(Value("string")) if is_list else Value("string")
        names = list(map(cut, cells[split]))
        named = dataset.remove_columns(column).add_column(column, names, feature=feature)
        replaced[split] = named.select_columns(dataset.column_names)
    return replaced


def shorten_errors(splits: Splits, media_column: str | None, error_columns: Sequence[str]) -> Splits:
    """The splits with errors that name files below the folder that all files share."""
    columns = [name for name in error_columns if all(name in one.column_names for one in splits.values())]
    errors = {split: {name: list(one[name]) for name in columns} for split, one in splits.items()}
    if not any(map(holds_text, (cells for some in errors.values() for cells in some.values()))):
        return splits
    root = find_root([path for one in splits.values() for path in list_paths(one, media_column)])

    def shorten(cell: Any) -> Any:
        if isinstance(cell, list):
            return [shorten(one) for one in cell]
        return shorten_paths(cell, root) if isinstance(cell, str) else cell

    shortened = {}
    for split, dataset in splits.items():
        for name, cells in errors[split].items():
            if holds_text(cells):
                order, feature = dataset.column_names, dataset.features[name]
                texts = list(map(shorten, cells))
                dataset = dataset.remove_columns(name).add_column(name, texts, feature=feature)
                dataset = dataset.select_columns(order)
        shortened[split] = dataset
    return shortened


def holds_text(cell: Any) -> bool:
    return any(map(holds_text, cell)) if isinstance(cell, list) else isinstance(cell, str)


def list_paths(dataset: Dataset, column: str | None) -> list[str]:
    """All paths of a column."""
    cells = [] if column is None else read_paths(dataset, column)
    paths = [path for cell in cells for path in (cell if isinstance(cell, list) else [cell])]
    return [path for path in paths if isinstance(path, str)]
