"""Which columns of a dataset hold media, and the dataset without them or with them made whole."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from datasets import Audio, Dataset, LargeList, List, Value, Video
from datasets.features.features import require_decoding

from ..cells import COLUMNS
from ..errors import ColumnError, SettingsError
from ..media_paths import read_paths

Splits = dict[str, Dataset]


def keys_and_tags(
    splits: Splits, column: str | None, key_columns: Sequence[str] | None, tag_columns: Sequence[str]
) -> Splits:
    """The rows without their media: the columns that tell them apart, and the tags.

    A key column that holds media becomes the names of the files, as text.
    """
    first = next(iter(splits.values()))
    media = media_columns(first, column)
    keys = list(key_columns) if key_columns is not None else default_keys(first, media, tag_columns)
    if missing := [name for name in keys if name not in first.column_names]:
        there = ", ".join(map(repr, first.column_names))
        raise ColumnError(f"key_columns= names {missing[0]!r}; the dataset has: {there}.")
    kept = [name for name in first.column_names if name in keys or name in tag_columns]
    splits = {split: dataset.select_columns(kept) for split, dataset in splits.items()}
    for name in [name for name in kept if name in media]:
        splits = with_file_names(splits, name)
    return splits


def default_keys(dataset: Dataset, media: Sequence[str], tag_columns: Sequence[str]) -> list[str]:
    """Every column that is neither media nor tags; where there is none, the media's names."""
    others = [name for name in dataset.column_names if name not in media and name not in tag_columns]
    if not others and not media:
        raise no_keys("the dataset has tags alone")
    return others or list(media[:1])


def no_keys(why: str) -> SettingsError:
    return SettingsError(
        f"only_tags=True leaves nothing that tells rows apart: {why}. Add a column of ids, as in "
        "ds.add_column('id', list(range(len(ds))))."
    )


def media_columns(dataset: Dataset, column: str | None) -> list[str]:
    """Columns that hold media, the one that was heard first: it may hold them as paths, which are text."""
    heard = heard_column(dataset, column)
    others = [name for name, feature in dataset.features.items() if name != heard and holds_media(feature)]
    return ([] if heard is None else [heard]) + others


def heard_column(dataset: Dataset, column: str | None) -> str | None:
    """The column that a tagger hears."""
    candidates = COLUMNS if column is None else (column,)
    return next((name for name in candidates if name in dataset.column_names), None)


def holds_media(feature: Any) -> bool:
    """True for what `datasets` decodes, bytes, samples, and whatever has one of these inside.

    >>> holds_media(List(Video())), holds_media({"path": Value("string"), "bytes": Value("binary")})
    (True, True)
    >>> holds_media(Value("string"))
    False
    """
    if require_decoding(feature, ignore_decode_attribute=True):
        return True
    if isinstance(feature, Value):
        return feature.dtype in ("binary", "large_binary")
    if isinstance(feature, (List, LargeList)):
        return holds_media(feature.feature)
    if isinstance(feature, dict):
        return {"array", "sampling_rate"} <= set(feature) or any(map(holds_media, feature.values()))
    return False


def kind_of_media(dataset: Dataset, column: str | None, is_embedded: bool) -> str:
    """How a pushed dataset has the media that were heard: "embedded", "by path", or "left out"."""
    heard = heard_column(dataset, column)
    if heard is None:
        return "left out"
    return "embedded" if is_embedded and holds_media(dataset.features[heard]) else "by path"


def with_typed_paths(dataset: Dataset, column: str | None) -> Dataset:
    """The column of paths that was heard as `Video()`, or `Audio()` for "audio": these are embedded."""
    heard = heard_column(dataset, column)
    if heard is None:
        there = ", ".join(map(repr, dataset.column_names))
        raise ColumnError(f"embed_media=True finds no column of media. The dataset has: {there}.")
    feature = dataset.features[heard]
    typed = Audio() if heard == "audio" else Video()
    if feature == Value("string"):
        return dataset.cast_column(heard, typed)
    if isinstance(feature, (List, LargeList)) and feature.feature == Value("string"):
        return dataset.cast_column(heard, type(feature)(typed))
    return dataset


def with_file_names(splits: Splits, name: str) -> Splits:
    """A column of media as the names of their files: what lies below the folder that all share.

    That folder tells of a machine; what lies below it tells the files apart.
    """
    cells = {split: read_paths(dataset, name) for split, dataset in splits.items()}
    paths = [path for column in cells.values() for path in flat(column) if path is not None]
    if not paths:
        raise no_keys(f"{name!r} holds no names of files")
    shared = len(shared_folder(paths))
    named = {}
    for split, dataset in splits.items():
        order = dataset.column_names
        names = [cut(cell, shared) for cell in cells[split]]
        is_list = isinstance(dataset.features[name], (List, LargeList))
        feature = List(Value("string")) if is_list else Value("string")
        dataset = dataset.remove_columns(name).add_column(name, names, feature=feature)
        named[split] = dataset.select_columns(order)
    return named


def flat(cells: Iterable[Any]) -> Iterator[str | None]:
    for cell in cells:
        yield from cell if isinstance(cell, list) else [cell]


def cut(cell: Any, length: int) -> Any:
    """A path, or each of a list, from a position on."""
    if isinstance(cell, list):
        return [cut(value, length) for value in cell]
    return None if cell is None else cell[length:]


def shared_folder(paths: Sequence[str]) -> str:
    """The longest folder that all paths begin with, to its last slash.

    >>> shared_folder(["/home/me/clips/a/1.mp4", "/home/me/clips/b/1.mp4"])
    '/home/me/clips/'
    """
    first, last = min(paths), max(paths)
    length = next((at for at, pair in enumerate(zip(first, last, strict=False)) if len(set(pair)) > 1), None)
    prefix = first if length is None else first[:length]
    return prefix[: max(prefix.rfind("/"), prefix.rfind("\\")) + 1]
