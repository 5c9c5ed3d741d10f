"""What a search looks through: a line of text for each clip, written as it comes."""

import json
import re
import unicodedata
from pathlib import Path
from typing import BinaryIO

from .clips import Clip
from .scripts import ESCAPES

LINES_PER_PART = 100_000
MOST_CHARACTERS = 500  # of a line
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def make_line(clip: Clip) -> str:
    """A clip's name and metadata, in lower case and in one normal form."""
    text = " | ".join([clip.name, *(value for _, value in clip.metadata)])[: 2 * MOST_CHARACTERS]
    return CONTROLS.sub(" ", unicodedata.normalize("NFC", text).lower())[:MOST_CHARACTERS]


class LineFiles:
    """Files of lines, each a call with one text."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0
        self.file: BinaryIO | None = None

    def add(self, line: str) -> None:
        part, place = divmod(self.count, LINES_PER_PART)
        self.count += 1
        if place == 0:
            self.close()
            self.file = open(self.folder / f"text-{part:03}.js", "wb")  # noqa: SIM115 - closed in `close`
            self.file.write(f'report.text({part}, "'.encode())
        assert self.file is not None
        text = json.dumps(line if place == 0 else f"\n{line}")[1:-1]
        self.file.write(text.translate(ESCAPES).encode("ascii"))

    def close(self) -> None:
        """End the file that is open."""
        if self.file is not None:
            self.file.write(b'");\n')
            self.file.close()
            self.file = None
