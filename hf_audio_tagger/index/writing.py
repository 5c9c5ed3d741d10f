"""`write_index`: a Dataset as a JSON Lines index, as `json.dump` writes it, byte for byte.

The text is made of whole columns in Arrow, several times as fast as one row after the other.
"""

import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset

from ..audioset.labels import check_dataset, read_labels
from ..audioset.ontology import ontology
from ..cells import COLUMNS
from ..checks import open_output
from ..compat.datasets_internals import is_decodable
from ..errors import ColumnError
from ..text import one_line
from .clip_paths import is_whole_path
from .columns import SECONDS, TEXT, TEXTS, TYPES_IN_FILES, WORDS, WrongRowError, build_table, check_row

ROWS_AT_ONCE = 10_000
TIMES = ("bos", "eos")
TAGGERS_COLUMNS = "video_audio_"  # how those begin that a tagger adds
ESCAPED = r"[^ !#-\[\]-~]"  # in JSON: quotes, backslashes, control characters and all that is not ASCII


def write_index(ds: Dataset, path: str | os.PathLike[str], labels: str | None = None) -> None:
    """Write rows as an index of AudioSet's clips: JSON Lines, as vipant and audioset-dl write and read them.

    Columns become keys in their order; a null is left out. `bos` and `eos` are written as "30.000". Left out
    are columns of media, such as the `audio` of `read_index`, and those that a tagger added (video_audio_*).
    Reading the file gives equal rows, and writing what was read gives equal bytes, where all rows of the file
    had their keys in one order. The file is written whole or not at all.

    Args:
        labels: the column that becomes `labels`, as mids: "video_audio_tags", "video_audio_top", that of a
            `roll_up`, or "labels" itself with names or a ClassLabel. None: the column `labels` as it is.

    >>> from datasets import Dataset
    >>> ds = Dataset.from_dict({"id": ["a1B2c3D4e5F"], "bos": [30.0], "video_audio_tags": [["Dog"]]})
    >>> write_index(ds, "src.csv", labels="video_audio_tags")
    >>> print(open("src.csv").read(), end="")
    {"id": "a1B2c3D4e5F", "bos": "30.000", "labels": ["/m/0bt9lr"]}
    """
    check_dataset(ds)
    names = [name for name in ds.column_names if is_key(ds, name) and not (labels and name == "labels")]
    check_columns(ds, names)
    mids = None if labels is None else find_mids(ds, labels)
    with open_output(path) as file:
        for first, table in iterate_tables(ds, names):
            if mids is not None:
                table = table.append_column("labels", pa.chunked_array([mids.slice(first, len(table))]))
            file.write(format_rows(table))


def is_key(ds: Dataset, name: str) -> bool:
    """False for media, also as plain paths: with such a key a file would be a table of clips."""
    is_media = name in COLUMNS or is_decodable(ds.features[name])
    return not is_media and not name.startswith(TAGGERS_COLUMNS)


def check_columns(ds: Dataset, names: list[str]) -> None:
    """Refuse what `read_index` would not read again."""
    if "id" not in names:
        raise ColumnError("An index needs a column 'id'. Rename the one that has the clips' names.")
    schema = ds.features.arrow_schema
    for name in names:
        kind, allowed = schema.field(name).type, TYPES_IN_FILES.get(name)
        is_time = name in TIMES and (pa.types.is_integer(kind) or pa.types.is_floating(kind))
        if allowed and kind not in allowed and not is_time and not pa.types.is_null(kind):
            advice = ' labels="labels" writes names as mids.' if name == "labels" else ""
            expected = " or ".join(WORDS[one] for one in allowed)
            raise ColumnError(f"{name!r} must hold {expected} in an index; got {kind}.{advice}")


def find_mids(ds: Dataset, column: str) -> pa.Array:
    """For each row the mids of its labels, in the order of AudioSet's lists, which is that of text."""
    labels = read_labels(ds, column)
    if labels.classes and not labels.is_audioset:
        other = next(name for name in labels.classes if name not in ontology)
        raise ColumnError(f"{column!r} holds {other!r}, which AudioSet does not have: it has no mid.")
    ids = np.array([ontology[name].id for name in labels.classes], dtype=object)
    order = np.argsort(ids.astype(str))
    ranks = np.empty_like(order)
    ranks[order] = np.arange(len(order))
    keys = np.sort(labels.rows * len(ids) + ranks[labels.indices])
    lengths = np.bincount(labels.rows, minlength=labels.row_count)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    mids = pa.array(ids[order], TEXT).take(pa.array(keys % max(1, len(ids))))
    return pa.ListArray.from_arrays(offsets, mids)


def iterate_tables(ds: Dataset, names: list[str]) -> Iterator[tuple[int, pa.Table]]:
    """Tables with the number of their first row."""
    first = 0
    for table in ds.select_columns(names).with_format("arrow").iter(ROWS_AT_ONCE):
        try:
            build_table(table)
        except (WrongRowError, pa.ArrowInvalid) as error:
            check_rows(table, first)
            raise ColumnError(f"The rows from {first} on are none of an index: {one_line(error)}.") from error
        yield first, table
        first += len(table)


def check_rows(table: pa.Table, first: int) -> None:
    """Raise the error of a row that `read_index` would refuse."""
    for number, row in enumerate(table.to_pylist(), first):
        try:
            check_row(row)
        except WrongRowError as error:
            raise ColumnError(f"Row {number}: {error}.") from error


def format_rows(table: pa.Table) -> bytes:
    """The lines of rows."""
    members = []
    for name in table.column_names:
        values = format_column(name, table[name].combine_chunks(), table)
        members.append(pc.binary_join_element_wise(f"{json.dumps(name)}: ", values, ""))
    objects = pc.binary_join_element_wise(*members, ", ", null_handling="skip")
    lines = pc.binary_join_element_wise("{", objects, "}\n", "")
    joined = pc.binary_join(pa.ListArray.from_arrays([0, len(lines)], lines), "")
    return str(joined[0].as_py()).encode()


def format_column(name: str, cells: pa.Array, table: pa.Table) -> pa.Array:
    """The JSON of each cell; null for a null."""
    if name in TIMES and cells.type != TEXT:
        seconds = cells.cast(SECONDS).to_pylist()
        return pa.array([None if value is None else f'"{value:.3f}"' for value in seconds], TEXT)
    if cells.type == TEXT:
        return quote(cells)
    if cells.type == TEXTS and not cells.flatten().null_count:
        lists = format_lists(cells)
        return unwrap_paths(cells, lists, table) if name in ("aclip", "frame", "clip") else lists
    return pa.array([None if value is None else dump(name, value) for value in cells.to_pylist()], TEXT)


def quote(texts: pa.Array) -> pa.Array:
    if pc.any(pc.match_substring_regex(texts, ESCAPED)).as_py():
        return pa.array([None if text is None else json.dumps(text) for text in texts.to_pylist()], TEXT)
    return pc.binary_join_element_wise('"', texts, '"', "")


def format_lists(lists: pa.Array) -> pa.Array:
    lengths = pc.fill_null(pc.list_value_length(lists), 0)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths).cast(pa.int32())])
    quoted = pa.ListArray.from_arrays(offsets, quote(lists.flatten()), mask=lists.is_null())
    return pc.binary_join_element_wise("[", pc.binary_join(quoted, ", "), "]", "")


def unwrap_paths(cells: pa.Array, formatted: pa.Array, table: pa.Table) -> pa.Array:
    """Plain texts again, where they were read from npz_*.csv: paths of rows without `dir`."""
    dirs = table["dir"] if "dir" in table.column_names else None
    if dirs is not None and not dirs.null_count:
        return formatted
    is_path = [
        cell is not None
        and len(cell) == 1
        and is_whole_path(cell[0])
        and (dirs is None or dirs[row].as_py() is None)
        for row, cell in enumerate(cells.to_pylist())
    ]
    return pc.if_else(pa.array(is_path), pc.utf8_slice_codeunits(formatted, 1, -1), formatted)


def dump(name: str, value: Any) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ColumnError(
            f"{name!r} holds a {type(value).__name__} that JSON cannot hold ({error})."
        ) from error
