"""A JSON Lines index as Arrow tables, a block of lines at a time.

Arrow's reader gets the type of every key: left to itself it makes timestamps of texts that look like dates,
and has no column for a key that its first block lacks. It says neither which line is wrong nor that two
objects share one, so a block that it refuses is read again line by line.
"""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.json

from ..text import one_line
from .columns import WrongRowError, build_table, check_row, learn_types
from .formats import IndexFileError, read_blocks

FIRST_ROWS = 200  # whose keys are known before a block is read

MOST_KEYS = 1_000  # of all rows together
MOST_DEPTH = 200  # of lists and objects in a row: Arrow's parser ends the process at some ten thousands
BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}\n"))
STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')

Types = Mapping[str, pa.DataType]


class NewTypesError(Exception):
    """A row has a key that none before had, or one of a wider type: read the file again with these types."""

    def __init__(self, types: Types) -> None:
        super().__init__("new keys or types")
        self.types = types


def read_json_lines(path: Path, types: Types | None = None) -> Iterator[pa.Table]:
    """The tables of an index, all with the same columns. Raises `NewTypesError`."""
    for first_line, block in read_blocks(path):
        check_depth(path, first_line, block)
        if types is None:
            types = check_lines(path, first_line, block, {}, FIRST_ROWS)
        yield parse_block(path, first_line, block, types)


def check_depth(path: Path, first_line: int, block: bytes) -> None:
    """Refuse rows that are nested so deeply that parsing them could end the process."""
    brackets = block.translate(None, BUT_BRACKETS).split(b"\n")
    for place, some in enumerate(brackets):
        if len(some) > MOST_DEPTH and measure_depth(some) > MOST_DEPTH:
            line = STRING.sub(b"", block.split(b"\n")[place])  # texts may have brackets
            if measure_depth(line.translate(None, BUT_BRACKETS)) > MOST_DEPTH:
                raise IndexFileError(
                    f"{path}, line {first_line + place}: its lists and objects nest too deeply."
                )


def measure_depth(brackets: bytes) -> int:
    return max(accumulate(1 if one in b"[{" else -1 for one in brackets), default=0)


def parse_block(path: Path, first_line: int, block: bytes, types: Types) -> pa.Table:
    """The rows of a block of lines."""
    try:
        table = parse_with_arrow(block, types)
        is_one_a_line = len(table) == block.count(b"\n") + (block[-1:] != b"\n")
        if is_one_a_line and len(table.column_names) == len(types):
            return build_table(table)
        reason = ""
    except (pa.ArrowInvalid, WrongRowError) as error:
        reason = one_line(error)
    new_types = check_lines(path, first_line, block, types)
    if new_types != types:
        raise NewTypesError(new_types)
    if reason:
        raise IndexFileError(f"{path}, from line {first_line} on: the rows cannot be read ({reason}).")
    return build_table(table)  # some lines are blank


def parse_with_arrow(block: bytes, types: Types) -> pa.Table:
    parse = pa.json.ParseOptions(explicit_schema=pa.schema(list(types.items())))
    try:
        return pa.json.read_json(pa.BufferReader(block), pa.json.ReadOptions(), parse)
    except pa.ArrowInvalid as error:
        if "straddling" not in str(error):
            raise
        whole = pa.json.ReadOptions(block_size=len(block) + 1)  # a line is longer than Arrow's blocks
        return pa.json.read_json(pa.BufferReader(block), whole, parse)


def check_lines(
    path: Path, first_line: int, block: bytes, types: Types, most: int | None = None
) -> dict[str, pa.DataType]:
    """The types with those of these rows; an error for the first line that is wrong."""
    learned = dict(types)
    for number, row in islice(parse_lines(path, first_line, block), most):
        try:
            learned = learn_types(row, learned)
            check_row(row)
        except WrongRowError as error:
            raise IndexFileError(f"{path}, line {number}: {error}.") from error
        if len(learned) > MOST_KEYS:
            raise IndexFileError(
                f"{path}, line {number}: the rows have more than {MOST_KEYS:,} different keys."
            )
    return learned


def parse_lines(path: Path, first_line: int, block: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a block with their lines' numbers, without blank lines."""
    for number, line in enumerate(block.split(b"\n"), first_line):
        if not line.strip():
            continue
        try:
            row = parse_json(line)
        except (ValueError, RecursionError) as error:
            raise IndexFileError(
                f"{path}, line {number}: it is no JSON object ({one_line(error)})."
            ) from error
        if not isinstance(row, dict):
            raise IndexFileError(f"{path}, line {number}: it must be a JSON object; got {line[:60]!r}.")
        yield number, row


def parse_json(text: bytes) -> Any:
    """Parse what every parser of JSON reads alike; a ValueError or RecursionError for the rest."""
    value = json.loads(text, parse_constant=refuse_constant, object_pairs_hook=build_row)
    json.dumps(value, ensure_ascii=False).encode()  # halves of a surrogate pair are no text
    return value


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def build_row(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        raise ValueError("a key is there twice")
    return row
