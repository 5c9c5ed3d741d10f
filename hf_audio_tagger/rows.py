"""Read what `map` passes (a row, a batch, a bare value or an Arrow table) and return columns in its form.

An unformatted `Dataset` passes different types for a row and for a batch. A plain dict (streaming,
`with_format`, `with_transform`) or a bare list (`input_columns`) may be either; if that is ambiguous, the
error names `batched=`, which decides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset, Features

from .cells import is_file_struct, is_list_cell, is_samples_struct, read_cells
from .checks import invalid
from .columns import Columns, Types, build_columns
from .compat.datasets_internals import (
    is_lazy_batch,
    is_lazy_row,
    stored_column,
    stored_features,
)
from .errors import ColumnError, SettingsError
from .media_column import FIRST_VALUES, pick_column


@dataclass(frozen=True)
class Rows:
    """Rows as `map` passed them, and their media cells: one per row, in order."""

    given: Any
    is_batch: bool
    cells: list[Any]

    def get_column(self, name: str) -> list[Any] | None:
        """A column of the rows as Python values, one per row; None if the column does not exist."""
        if isinstance(self.given, pa.Table):
            return self.given[name].to_pylist() if name in self.given.column_names else None
        if isinstance(self.given, Mapping) and name in self.given and not is_cell_struct(self.given):
            return to_python(list(self.given[name]) if self.is_batch else [self.given[name]])  # type: ignore[no-any-return]
        return None

    def build_output(self, columns: Columns, types: Types) -> Any:
        """The new columns with their types, in the form that `map` expects for these rows."""
        if not isinstance(self.given, pa.Table):
            return build_columns(columns, types, self.is_batch, is_lazy_row(self.given))
        table = self.given
        for name, values in columns.items():
            place, column = table.schema.get_field_index(name), pa.array(values, type=types[name])
            table = table.append_column(name, column) if place < 0 else table.set_column(place, name, column)
        return table


def read_rows(given: Any, column: str | None, batched: bool | None) -> Rows:
    """Detect the form of the input, and read its media cells."""
    if isinstance(given, pa.Table):
        return Rows(given, True, read_cells(given[find_table_column(given, column)]))
    if is_lazy_row(given) or is_lazy_batch(given):
        is_batch, name = is_lazy_batch(given), find_lazy_column(given, column)
        # As Arrow stores them, undecoded. A column that an earlier function has edited is not stored.
        if (stored := stored_column(given, name)) is not None:
            return Rows(given, is_batch, read_cells(stored))
        return Rows(given, is_batch, list(given[name]) if is_batch else [given[name]])
    if type(given).__name__ == "DataFrame":
        raise SettingsError(
            "A DataFrame holds no typed columns; map over ds.with_format(None) or with_format('arrow')."
        )
    if isinstance(given, Mapping) and not (is_cell_struct(given) and column not in given):
        name = find_row_column(given, column)
        is_batch = is_batch_of_dicts(given, name) if batched is None else batched
        return Rows(given, is_batch, list(given[name]) if is_batch else [given[name]])
    if batched is None and is_list_cell(given):
        raise ambiguous_error("a list")
    return Rows(given, bool(batched), list(given) if batched else [given])


def find_table_column(table: pa.Table, column: str | None) -> str:
    """The column with the media of an Arrow table."""

    def read_values(name: str) -> list[Any]:
        return read_first_values(table[name])

    return pick_column(
        table.column_names, column, partial(Features.from_arrow_schema, table.schema), read_values
    )


def find_lazy_column(rows: Mapping[str, Any], column: str | None) -> str:
    """The column with the media of a row or batch from an unformatted `Dataset`, which decodes nothing."""

    def read_values(name: str) -> Sequence[Any]:
        stored = stored_column(rows, name)
        return read_first_values(stored) if stored is not None else [rows[name]]

    return pick_column(list(rows), column, partial(stored_features, rows), read_values)


def find_row_column(row: Mapping[str, Any], column: str | None) -> str:
    """The column with the media of a plain dict. A batch's list looks like a row's list of videos."""
    return pick_column(list(row), column, read_values=lambda name: [row[name]])


def read_first_values(column: pa.ChunkedArray) -> list[Any]:
    return read_cells(column.drop_null()[:FIRST_VALUES])


def to_python(value: Any) -> Any:
    """A value in Python's own types: the arrays and tensors of a format become lists of numbers."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {name: to_python(one) for name, one in value.items()}
    return [to_python(one) for one in value] if isinstance(value, (list, tuple)) else value


def is_cell_struct(value: Mapping[str, Any]) -> bool:
    """True for a mapping that is one cell, as `input_columns` passes it, and not a row."""
    is_struct = is_file_struct(value) or is_samples_struct(value)
    return is_struct and set(value) <= {"path", "bytes", "array", "sampling_rate"}


def is_batch_of_dicts(given: Mapping[str, Any], name: str) -> bool:
    """False for a plain dict with a value that cannot be a batch's list: it is a row."""
    if not is_list_cell(given[name]):
        return False
    columns = [value for value in given.values() if is_list_cell(value) or isinstance(value, np.ndarray)]
    if len(columns) < len(given) or len(set(map(len, columns))) > 1:
        return False
    raise ambiguous_error("a dict of lists")


def ambiguous_error(what: str) -> SettingsError:
    return SettingsError(
        f"map passed {what}, which may be one row with several videos or a batch of rows. Pass "
        "build_tagger(batched=True) with map(..., batched=True), else build_tagger(batched=False)."
    )


def read_stored_row(ds: Any, index: int, names: Sequence[str] | None = None) -> dict[str, Any]:
    """One row of a `Dataset` as Arrow stores it, or these columns of it: nothing is decoded.

    `ds[index]` would decode `Video()` and `Audio()` columns, for which `datasets` needs FFmpeg on the system.
    """
    if isinstance(ds, Mapping):
        raise SettingsError(
            f"An index is that of a row of one split, such as ds[{next(iter(ds), 'train')!r}]."
        )
    if not isinstance(ds, Dataset):
        raise SettingsError(
            f"An index is that of a row of a Dataset; got {type(ds).__name__}. Pass a row itself; of a "
            "stream, next(iter(ds.decode(False)))."
        )
    if not isinstance(index, (int, np.integer)) or isinstance(index, bool) or not -len(ds) <= index < len(ds):
        raise invalid("index", index, f"that of one of the dataset's {len(ds):,} rows")
    for name in names or []:
        if name not in ds.column_names:
            raise ColumnError(f"There is no column {name!r} among {', '.join(map(repr, ds.column_names))}.")
    table = (ds if names is None else ds.select_columns(list(names))).with_format("arrow")[int(index)]
    return {name: read_cells(table[name])[0] for name in table.column_names}
