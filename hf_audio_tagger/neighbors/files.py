"""Files of neighbours: JSON lines, each an object with one key, `{"ID": [["NEIGHBOUR", score], ...]}`.

Neighbours are listed best first. Readers of such files use the order alone and cut at their own k.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, Features

from ..checks import check_counts, is_number, open_output
from ..errors import ColumnError, SettingsError

LINES_AT_ONCE = 1_000
NEIGHBORS = pa.list_(pa.struct([("id", pa.string()), ("score", pa.float32())]))
SCHEMA = pa.schema([("id", pa.string()), ("neighbors", NEIGHBORS)])


def write_neighbors(ds: Dataset, path: str | Path) -> None:
    """Write what `nearest` found as JSON lines, `{"ID": [["NEIGHBOUR", score], ...]}`.

    The file is written whole or not at all. Ids are written as text.

    >>> write_neighbors(nearest(balanced, unbalanced, k=512), "nearest.512")  # doctest: +SKIP
    """
    if not {"id", "neighbors"} <= set(ds.column_names):
        raise ColumnError(
            "write_neighbors takes the columns id and neighbors, as nearest gives them; the dataset has "
            f"{', '.join(map(repr, ds.column_names))}."
        )
    with open_output(path) as file:
        for table in ds.select_columns(["id", "neighbors"]).with_format("arrow").iter(LINES_AT_ONCE):
            ids = table["id"].cast(pa.string()).to_pylist()
            cells = table["neighbors"].combine_chunks()
            ends = np.cumsum(pc.fill_null(pc.list_value_length(cells), 0).to_numpy())
            values = pc.list_flatten(cells)
            names = pc.struct_field(values, "id").cast(pa.string()).to_pylist()
            # As Arrow writes a float32: the shortest number that reads as the same one.
            scores = map(float, pc.struct_field(values, "score").cast(pa.string()).to_pylist())
            pairs = list(zip(names, scores, strict=True))
            for id, start, end in zip(ids, [0, *ends[:-1].tolist()], ends.tolist(), strict=True):
                file.write(json.dumps({id: pairs[start:end]}).encode() + b"\n")


def read_neighbors(path: str | Path, k: int | None = None) -> Dataset:
    """Read a file of neighbours: `id`, and `neighbors`, a list of {id, score}, at most `k` of each.

    >>> near = read_neighbors("nearest.512", k=100)  # doctest: +SKIP
    >>> wanted = {one["id"] for row in near for one in row["neighbors"]}  # doctest: +SKIP
    """
    check_counts(k=k)
    path = Path(path).expanduser()
    tables, seeds, lists = [], [], []
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                seed, pairs = parse_line(line, f"{path}, line {number}")
                seeds.append(seed)
                lists.append(pairs[:k])
                if len(seeds) == LINES_AT_ONCE:
                    tables.append(make_table(seeds, lists))
                    seeds, lists = [], []
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror or error}).") from error
    table = pa.concat_tables([*tables, make_table(seeds, lists)])
    return Dataset(table.combine_chunks()).cast(Features.from_arrow_schema(SCHEMA))


def parse_line(line: bytes, place: str) -> tuple[str, list[Any]]:
    """A seed and its pairs of id and score."""
    try:
        ((seed, pairs),) = json.loads(line).items()
        if all(isinstance(id, str) and is_number(score) for id, score in pairs):
            return seed, pairs
    except (ValueError, TypeError, AttributeError, RecursionError):
        pass
    raise SettingsError(f'{place}: expected {{"ID": [["ID", score], ...]}}; got {line[:80]!r}.')


def make_table(seeds: list[str], lists: list[list[Any]]) -> pa.Table:
    pairs = [pair for some in lists for pair in some]
    ends = np.cumsum([0, *map(len, lists)])
    ids, scores = (
        pa.array([pair[0] for pair in pairs], pa.string()),
        pa.array([pair[1] for pair in pairs], pa.float32()),
    )
    values = pa.StructArray.from_arrays([ids, scores], fields=list(NEIGHBORS.value_type))
    return pa.table(
        [pa.array(seeds, pa.string()), pa.ListArray.from_arrays(pa.array(ends, pa.int32()), values)], SCHEMA
    )
