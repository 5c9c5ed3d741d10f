"""Which kind of index a file is, by its first bytes: a JSON Lines index may well be named .csv."""

import re
from collections.abc import Iterator
from pathlib import Path

from ..errors import SettingsError

JSON_LINES, SEGMENTS, AUDIOCAPS, AST = "JSON Lines", "AudioSet's segments", "AudioCaps", "AST"
CAPTION_PAIRS = "caption pairs"

HEAD_BYTES = 1 << 16
BLOCK_BYTES = 8 << 20  # of a file in memory at once
LONGEST_LINE_BYTES = 64 << 20
BOM = b"\xef\xbb\xbf"

SEGMENT = re.compile(rb'[\w-]{11}, ?\d+\.\d+, ?\d+\.\d+, ?"/[mtg]/')
AST_ROWS = re.compile(rb'\{\s*"data"\s*:\s*\[\s*\{[^}]*"(wav|video_id)"\s*:')
PAIR = re.compile(rb'\[\s*("[^"]*"\s*,\s*\[|-?\d+\s*,\s*")')
# A row that names its media itself is one of a table, such as a tagged index that was written as .jsonl.
MEDIA_KEY = re.compile(rb'"(video|videos|audio)"\s*:')

KNOWN = (
    "JSON Lines with 'id' and 'aclip', or 'id', 'bos' and 'eos'; AudioSet's lists of segments; AudioCaps' "
    'csv; AST\'s {"data": [...]}'
)


class IndexFileError(SettingsError):
    """An index that cannot be read; the message names the file, and the line where there is one."""


def find_kind(path: Path, is_asked: bool = False) -> str | None:
    """The kind of index in a file; None where it is something else.

    JSON Lines without the keys that make them an index are one only if the user says so (`is_asked`).
    """
    with open(path, "rb") as file:
        head = file.read(HEAD_BYTES).removeprefix(BOM).lstrip()
    first_line = head.partition(b"\n")[0]
    if first_line.lower().startswith(b"# segments csv") or SEGMENT.match(first_line):
        return SEGMENTS
    if head.startswith(b"{"):
        if AST_ROWS.match(head):
            return AST
        return JSON_LINES if has_index_keys(first_line, is_asked) else None
    if PAIR.match(head):
        return CAPTION_PAIRS
    return AUDIOCAPS if b"audiocap_id" in re.split(rb'[,"\r]', first_line) else None


def has_index_keys(line: bytes, is_asked: bool) -> bool:
    """Whether the text of a JSON object has an index's keys, and no media of its own."""
    keys = set(re.findall(rb'"(id|aclip|bos|eos)"\s*:', line))
    is_index = b"id" in keys and (is_asked or b"aclip" in keys or keys >= {b"bos", b"eos"})
    return is_index and not MEDIA_KEY.search(line)


def read_blocks(path: Path) -> Iterator[tuple[int, bytes]]:
    """A file's text in blocks of whole lines, each with the number of its first line. It must be UTF-8."""
    first_line, rest = 1, b""
    with open(path, "rb") as file:
        while chunk := file.read(BLOCK_BYTES):
            chunk = chunk.removeprefix(BOM) if first_line == 1 and not rest else chunk
            end = chunk.rfind(b"\n") + 1
            if not end:
                rest += chunk
                if len(rest) > LONGEST_LINE_BYTES:
                    most = f"{LONGEST_LINE_BYTES >> 20} MB"
                    raise IndexFileError(f"{path}, line {first_line}: it is longer than {most}.")
                continue
            block, rest = rest + chunk[:end], chunk[end:]
            check_utf8(path, first_line, block)
            yield first_line, block
            first_line += block.count(b"\n")
    if rest:
        check_utf8(path, first_line, rest)
        yield first_line, rest


def check_utf8(path: Path, first_line: int, block: bytes) -> None:
    if block.isascii():
        return
    try:
        block.decode("utf-8")
    except UnicodeDecodeError as error:
        line = first_line + block.count(b"\n", 0, error.start)
        raise IndexFileError(f"{path}, line {line}: it is not UTF-8 text.") from error
