"""What is reported, as Arrow tables of the columns that are asked for, without the bytes of media.

A run's Parquet files are read row group by row group: nothing is copied into the cache of `datasets`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset, Features

from ..media_paths import path_type, select_paths
from ..provenance import Provenance, read_provenance, read_schema_provenance
from ..results.tagged_rows import naming, open_parquet
from ..stores import Place

ROWS_AT_ONCE = 1_000


class Tables(Protocol):
    """Rows to report."""

    features: Features
    row_count: int
    provenance: Provenance

    def read(self, names: Sequence[str], paths_of: str | None) -> Iterator[pa.Table]:
        """Tables of some columns, all rows in order. Of the column `paths_of`, only the paths."""

    def read_cell(self, column: str, row: int) -> Any:
        """One cell whole, as a Python value."""


@dataclass(eq=False)
class DatasetTables:
    """The rows of a `Dataset`, from Arrow's mapped memory."""

    dataset: Dataset
    provenance: Provenance = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.features, self.row_count = self.dataset.features, len(self.dataset)
        self.provenance = self.provenance or read_provenance(self.dataset)

    def read(self, names: Sequence[str], paths_of: str | None) -> Iterator[pa.Table]:
        if not names or not self.row_count:
            return
        for table in self.dataset.select_columns([*names]).with_format("arrow").iter(ROWS_AT_ONCE):
            yield with_paths(table, paths_of)

    def read_cell(self, column: str, row: int) -> Any:
        return self.dataset.select_columns([column]).with_format("arrow")[row][column][0].as_py()


@dataclass(eq=False)
class ParquetTables:
    """The rows of Parquet files."""

    files: Sequence[Place]

    def __post_init__(self) -> None:
        self.counts: list[int] = []
        schemas = []
        for path in self.files:
            with open_parquet(path) as file:
                schemas.append(file.schema_arrow)
                self.counts.append(file.metadata.num_rows)
        self.features = Features.from_arrow_schema(schemas[0])
        self.row_count = sum(self.counts)
        self.provenance = read_schema_provenance(schemas)
        self.group: tuple[Any, list[Any]] | None = None  # the last group that cells were read of

    def read(self, names: Sequence[str], paths_of: str | None) -> Iterator[pa.Table]:
        for path in self.files:
            with naming(path), open_parquet(path) as file:
                columns = [name for name in names if name != paths_of]
                columns += [] if paths_of is None else list_texts(file, paths_of)
                for batch in file.iter_batches(ROWS_AT_ONCE, columns=columns):
                    yield with_paths(pa.Table.from_batches([batch]), paths_of)

    def read_cell(self, column: str, row: int) -> Any:
        for path, count in zip(self.files, self.counts, strict=True):
            if row < count:
                return self.read_group(path, column, row)
            row -= count
        raise IndexError(row)

    def read_group(self, path: Place, column: str, row: int) -> Any:
        """A cell of a row group, which is kept for the cells that follow."""
        with open_parquet(path) as file:
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                if row < rows:
                    key = (path, group, column)
                    if self.group is None or self.group[0] != key:
                        self.group = None  # at most one is in memory
                        self.group = key, file.read_row_group(group, columns=[column])[column].to_pylist()
                    return self.group[1][row]
                row -= rows
        raise IndexError(row)


def list_texts(file: pq.ParquetFile, name: str) -> list[str]:
    """The texts within a column, such as the paths beside the bytes of files."""
    leaves = map(file.schema.column, range(len(file.schema)))
    return [
        leaf.path
        for leaf in leaves
        if leaf.logical_type.type == "STRING" and f"{leaf.path}.".startswith(f"{name}.")
    ]


def with_paths(table: pa.Table, column: str | None) -> pa.Table:
    """The table with the paths of a column in its place; null where it has none."""
    if column is None or column not in table.column_names:
        return table
    cells = table[column]
    if isinstance(cells.type, pa.JsonType):
        paths = pa.nulls(len(table), pa.string())
    else:
        kind = path_type(cells.type)
        paths = pa.chunked_array([select_paths(chunk) for chunk in cells.chunks], kind)
    return table.set_column(table.column_names.index(column), column, paths)
