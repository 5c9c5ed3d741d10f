"""The paths in a column of media, read without the bytes beside them and without decoding."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset

ROWS_AT_ONCE = 1_000


def read_paths(dataset: Dataset, column: str) -> list[Any]:
    """A column's paths: for each row a path, a list of paths, or None."""
    tables = dataset.select_columns([column]).with_format("arrow").iter(ROWS_AT_ONCE)
    return [
        path for table in tables for chunk in table[column].chunks for path in select_paths(chunk).to_pylist()
    ]


def select_paths(cells: pa.Array, only_files: bool = False) -> pa.Array:
    """The paths of cells in Arrow, in the same lists; null where there is none.

    `only_files` leaves out the names of bytes and samples, which are not files to open.
    """
    kind = cells.type
    if is_list(kind):
        lengths = pc.fill_null(pc.list_value_length(cells), 0).cast(pa.int32())
        offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])
        paths = select_paths(pc.list_flatten(cells), only_files)
        return pa.ListArray.from_arrays(offsets, paths, mask=pc.is_null(cells))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return cells.cast(pa.string())
    fields = [field.name for field in kind] if pa.types.is_struct(kind) else []
    if "path" not in fields or (only_files and "array" in fields):
        return pa.nulls(len(cells), pa.string())
    paths = select_paths(pc.struct_field(cells, "path"))
    if only_files and "bytes" in fields:
        is_file = pc.is_null(pc.struct_field(cells, "bytes"))
        return pc.if_else(is_file, paths, pa.scalar(None, pa.string()))
    return paths


def path_type(kind: pa.DataType) -> pa.DataType:
    """The type of the paths that `select_paths` returns for cells of a type."""
    return pa.list_(path_type(kind.value_type)) if is_list(kind) else pa.string()


def is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))
