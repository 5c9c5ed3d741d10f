"""The columns of an index, and of which types the keys of a JSON Lines index may be."""

import math
import re
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

TEXT, TEXTS, SECONDS = pa.string(), pa.list_(pa.string()), pa.float64()
COLUMNS: dict[str, pa.DataType] = {
    "id": TEXT,
    "dir": TEXT,
    "aclip": TEXTS,
    "frame": TEXTS,
    "bos": SECONDS,
    "eos": SECONDS,
    "labels": TEXTS,
    "captions": TEXTS,
}
# What a file may hold under a key: its first value that is not null says which, for all of its rows.
TYPES_IN_FILES: dict[str, tuple[pa.DataType, ...]] = {
    **{name: (kind,) for name, kind in COLUMNS.items()},
    **dict.fromkeys(("aclip", "frame", "clip"), (TEXTS, TEXT)),  # a plain text in npz_*.csv
    **dict.fromkeys(("bos", "eos"), (TEXT, SECONDS)),  # "30.000"
    "captions": (TEXTS, pa.list_(pa.int64())),  # numbers of captions in another file
}
WORDS = {
    TEXT: "a text",
    TEXTS: "a list of texts",
    SECONDS: "a number",
    pa.list_(pa.int64()): "a list of whole numbers",
}
EMPTY_LISTS = pa.list_(pa.null())  # until a row says of what
NAMES = ("id", "dir", "aclip", "clip", "frame")  # that paths are made of
# Leaves the root ("..", absolute, a drive), is separated otherwise on another system, or is read as a URL.
UNSAFE_PATH = r"(^|/)\.\.(/|$)|^/|^[A-Za-z]:|\\|\x00|://|::"
UNSAFE = re.compile(UNSAFE_PATH)
NUMBER = re.compile(r"-?\d+(\.\d*)?([eE][-+]?\d+)?", re.ASCII)


class WrongRowError(ValueError):
    """A row that is not one of an index. The message says what is wrong; who raises on knows the line."""


def learn_types(row: Mapping[str, Any], known: Mapping[str, pa.DataType]) -> dict[str, pa.DataType]:
    """The types of all keys: the known ones and those of a row, a new key behind the one before it there."""
    types, before = dict(known), None
    for key, value in row.items():
        kind = learn_type(key, value, types.get(key, pa.null()))
        if key not in types and before is not None:
            place = list(types).index(before) + 1
            pairs = list(types.items())
            types = dict([*pairs[:place], (key, kind), *pairs[place:]])
        types[key] = kind
        before = key
    return types


def learn_type(key: str, value: Any, known: pa.DataType) -> pa.DataType:
    """The type that a key's values have in a file, given another value."""
    if value is None:
        return known
    if key not in TYPES_IN_FILES:
        return widen(key, value, known)
    is_open = known in (pa.null(), EMPTY_LISTS)
    allowed = TYPES_IN_FILES[key] if is_open else (known,)
    for kind in allowed:
        if fits(value, kind):
            return EMPTY_LISTS if is_open and value == [] else kind
    expected = " or ".join(WORDS[kind] for kind in allowed)
    raise WrongRowError(f"{key!r} must be {expected}, as in the rows before; got {value!r:.80}")


def fits(value: Any, kind: pa.DataType) -> bool:
    if pa.types.is_list(kind):
        return isinstance(value, list) and all(fits(one, kind.value_type) for one in value)
    if kind == SECONDS:
        return isinstance(value, int | float) and not isinstance(value, bool)
    wanted = str if kind == TEXT else int
    return isinstance(value, wanted) and not isinstance(value, bool)


def widen(key: str, value: Any, known: pa.DataType) -> pa.DataType:
    """The type of a key that is not known, which holds its earlier values and this one."""
    try:
        kind = pa.infer_type([value])
        return pa.unify_schemas(
            [pa.schema([("", known)]), pa.schema([("", kind)])], promote_options="permissive"
        )[0].type
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise WrongRowError(f"{key!r} is of another type than in the rows before: {value!r:.80}") from error


def build_table(table: pa.Table) -> pa.Table:
    """A table as read, with all columns of an index in their types, in the order of the file's keys.

    Raises `WrongRowError` or `pa.ArrowInvalid` if `check_row` would raise for one of its rows.
    """
    columns = {name: convert(name, table[name]) for name in table.column_names}
    missing = (name for name in COLUMNS if name not in columns)
    columns |= {name: pa.chunked_array([pa.nulls(len(table), COLUMNS[name])]) for name in missing}
    if columns["id"].null_count or pc.any(pc.equal(columns["id"], "")).as_py():
        raise WrongRowError("a row has no 'id'")
    for name in ("bos", "eos"):
        if not pc.all(pc.is_finite(columns[name]), min_count=0).as_py():
            raise WrongRowError(f"{name!r} is not a time")
    for name in NAMES:
        if name in columns and has_unsafe(columns[name]):
            raise WrongRowError(f"{name!r} leaves the folder")
    return pa.table(columns)


def convert(name: str, cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column in its type: texts as lists of one, times as seconds."""
    if cells.type in (pa.null(), EMPTY_LISTS) and name in COLUMNS:
        return cells.cast(COLUMNS[name])
    if name in TYPES_IN_FILES and TYPES_IN_FILES[name] == (TEXTS, TEXT) and cells.type == TEXT:
        return pa.chunked_array([make_lists_of_one(chunk) for chunk in cells.chunks], type=TEXTS)
    return cells.cast(SECONDS) if name in ("bos", "eos") else cells


def make_lists_of_one(texts: pa.Array) -> pa.Array:
    ends = pc.cumulative_sum(texts.is_valid().cast(pa.int32()))
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends])
    return pa.ListArray.from_arrays(offsets, texts.drop_null(), mask=texts.is_null())


def has_unsafe(names: pa.ChunkedArray) -> bool:
    """Whether any of these parts of paths leads out of the root."""
    texts = pc.list_flatten(names) if pa.types.is_list(names.type) else names
    if texts.type != TEXT:
        return False
    return bool(pc.any(pc.match_substring_regex(pc.unique(texts), UNSAFE_PATH)).as_py())


def check_row(row: Mapping[str, Any]) -> None:
    """The checks of `build_table` for one row, with a message that says what is wrong."""
    if not row.get("id"):
        raise WrongRowError("'id' is missing")
    for name in ("bos", "eos"):
        if (value := row.get(name)) is not None and parse_seconds(value) is None:
            raise WrongRowError(f'{name!r} must be seconds, such as "30.000"; got {value!r:.80}')
    for name in NAMES:
        value = row.get(name)
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and UNSAFE.search(text):
                raise WrongRowError(f"{name!r} leaves the folder of the clips: {text!r:.80}")


def parse_seconds(value: Any) -> float | None:
    """The number of seconds; None for what Arrow would not read as one either."""
    if isinstance(value, str) and not NUMBER.fullmatch(value):
        return None
    try:
        seconds = float(value)
    except (TypeError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) else None
