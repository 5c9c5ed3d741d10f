"""Indexes that are no JSON Lines: AudioSet's lists of segments, AudioCaps' csv, AST's json."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from ..audioset.labels import MIDS, split_labels
from ..text import one_line
from .columns import SECONDS, TEXT, WrongRowError, build_table, check_row, learn_types, parse_seconds
from .formats import IndexFileError, read_blocks
from .json_lines import Types, parse_json

SEGMENT_COLUMNS = {"id": TEXT, "bos": SECONDS, "eos": SECONDS, "labels": TEXT}
CAPTIONED_SECONDS = 10.0  # AudioCaps states where a clip begins; all are so long
CAPTION_COLUMNS = ("audiocap_id", "youtube_id", "start_time", "caption")
AST_ROWS_AT_ONCE = 10_000


def read_segments(path: Path, types: Types | None = None) -> Iterator[pa.Table]:
    """AudioSet's list: `YTID, start, end, "mid,mid"` after comments; only the labels are quoted."""
    for first_line, block in read_blocks(path):
        comments = re.match(rb"(#[^\n]*(\n|$))*", block) if first_line == 1 else None
        skipped = comments.end() if comments else 0
        first_line += block.count(b"\n", 0, skipped)
        rows = block[skipped:].replace(b", ", b",")
        if rows.strip():
            yield parse_segments(path, first_line, rows)


def parse_segments(path: Path, first_line: int, block: bytes) -> pa.Table:
    try:
        table = pa.csv.read_csv(
            pa.BufferReader(block),
            read_options=pa.csv.ReadOptions(column_names=list(SEGMENT_COLUMNS), block_size=len(block) + 1),
            convert_options=pa.csv.ConvertOptions(column_types=SEGMENT_COLUMNS, strings_can_be_null=False),
        )
        has_mids = pc.match_substring_regex(table["labels"], f"^({MIDS.pattern})$")
        if pc.all(has_mids, min_count=0).as_py() and not any(column.null_count for column in table.columns):
            return build_table(table.set_column(3, "labels", pc.split_pattern(table["labels"], ",")))
        reason = "a value is missing or is not of its column's kind"
    except (pa.ArrowInvalid, WrongRowError) as error:
        reason = one_line(error)
    for number, line in enumerate(block.decode().splitlines(), first_line):
        check_segment(path, number, line)
    raise IndexFileError(f"{path}, from line {first_line} on: the rows cannot be read ({reason}).")


def check_segment(path: Path, number: int, line: str) -> None:
    """Raise the error of a line that is no segment."""
    wrong = None
    try:
        fields = next(csv.reader([line], strict=True), [])
    except csv.Error:
        fields = [line]
    if len(fields) != len(SEGMENT_COLUMNS):
        wrong = f"it has {len(fields)} fields"
    elif None in (parse_seconds(fields[1]), parse_seconds(fields[2])):
        wrong = "its times are not seconds"
    elif not MIDS.fullmatch(fields[3]):
        wrong = f"its labels are not mids: {fields[3]!r:.80}"
    else:
        try:
            check_row({"id": fields[0]})
        except WrongRowError as error:
            wrong = str(error)
    if wrong and fields:
        form = 'YTID, start, end, "mid,mid"'
        raise IndexFileError(f"{path}, line {number}: it must be {form}, but {wrong}.")


def read_audiocaps(path: Path, types: Types | None = None) -> Iterator[pa.Table]:
    """AudioCaps' csv, a row a clip: the five captions of a clip are scattered over the file."""
    text = b"".join(block for _, block in read_blocks(path)).decode()
    lines = csv.DictReader(io.StringIO(text, newline=""), restkey="")
    try:
        clips = gather_captions(path, lines)
    except csv.Error as error:
        raise IndexFileError(
            f"{path}, line {lines.line_num + 1}: it is no csv ({one_line(error)})."
        ) from error
    table = pa.table(
        {
            "id": pa.array([id for id, _ in clips], TEXT),
            "bos": pa.array([start for _, start in clips], SECONDS),
            "eos": pa.array([start + CAPTIONED_SECONDS for _, start in clips], SECONDS),
            **{
                name: pa.array([clip[name] for clip in clips.values()], pa.list_(TEXT))
                for name in ("captions", "audiocap_id")
            },
        }
    )
    try:
        yield build_table(table)
    except WrongRowError as error:
        raise IndexFileError(f"{path}: {error}.") from error


def gather_captions(
    path: Path, lines: "csv.DictReader[str]"
) -> dict[tuple[str, float], dict[str, list[str]]]:
    """For each id and start the captions and their numbers, in order of appearance."""
    if missing := [name for name in CAPTION_COLUMNS if name not in (lines.fieldnames or ())]:
        raise IndexFileError(f"{path}, line 1: it has no column {', '.join(map(repr, missing))}.")
    clips: dict[tuple[str, float], dict[str, list[str]]] = {}
    for line in lines:
        start = parse_seconds(line["start_time"])
        if start is None or "" in line or None in line.values() or not line["youtube_id"]:
            raise IndexFileError(f"{path}, line {lines.line_num}: it must be {','.join(CAPTION_COLUMNS)}.")
        clip = clips.setdefault((line["youtube_id"], start), {"captions": [], "audiocap_id": []})
        clip["captions"].append(line["caption"])
        clip["audiocap_id"].append(line["audiocap_id"])
    return clips


def read_ast(path: Path, types: Types | None = None) -> Iterator[pa.Table]:
    """AST's `{"data": [{"video_id", "wav", "labels": "mid,mid"}]}`; without id, the name of the wav."""
    try:
        entries = parse_json(b"".join(block for _, block in read_blocks(path)))["data"]
    except (ValueError, RecursionError) as error:
        raise IndexFileError(f"{path}: it is no JSON ({one_line(error)}).") from error
    rows: list[dict[str, Any]] = []
    learned: dict[str, pa.DataType] = {}
    for number, entry in enumerate(entries, 1):
        try:
            rows.append(read_ast_entry(entry))
            learned = learn_types(rows[-1], learned)
            check_row(rows[-1])
        except WrongRowError as error:
            raise IndexFileError(f"{path}, entry {number} of 'data': {error}.") from error
    schema = pa.schema(list(learned.items()))
    for first in range(0, len(rows), AST_ROWS_AT_ONCE):
        yield build_table(pa.Table.from_pylist(rows[first : first + AST_ROWS_AT_ONCE], schema))


def read_ast_entry(entry: Any) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise WrongRowError(f"it must be an object; got {entry!r:.80}")
    labels, wav = entry.get("labels"), entry.get("wav")
    if not isinstance(labels, str | None) or not isinstance(wav, str | None):
        raise WrongRowError("'labels' and 'wav' must be texts")
    row = {name: value for name, value in entry.items() if name not in ("video_id", "labels")}
    id = entry.get("video_id") or PurePosixPath(wav or "").stem
    return {"id": id, **row, "labels": None if labels is None else split_labels(labels)}
