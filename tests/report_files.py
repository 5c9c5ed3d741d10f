"""Reads what a report holds, as its page does: each script is one call with JSON."""

import base64
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

TYPES = {
    "state": "u1",
    "flags": "u1",
    "tag": "<u2",
    "score": "<f4",
    "seconds": "<f4",
    "reason": "<u2",
    "name_rank": "<u4",
    "sound_counts": "u1",
    "sounds": "<u2",
    "sound_scores": "<u2",
}


def unpack(text: str, kind: str) -> list[Any]:
    values: list[Any] = np.frombuffer(base64.b64decode(text), kind).tolist()
    return values


def read_call(data: bytes) -> tuple[str, list[Any]]:
    """A script's function and what it hands over."""
    text = data.decode("ascii")
    match = re.fullmatch(r"report\.(\w+)\((.*)\);\n", text, re.DOTALL)
    assert match is not None
    assert not set(text) & set("<>&")
    return match[1], json.loads(f"[{match[2]}]")


class Report:
    """The data of a report's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.head: dict[str, Any] = self.read("head")[0]
        self.names = [sound["name"] for sound in self.head["sounds"]]
        count = -(-self.head["facts"]["clips"] // self.head["clips_per_part"])
        self.parts = [self.read(f"clips-{part:05}")[1] for part in range(count)]
        self.clips: list[dict[str, Any]] = [clip for part in self.parts for clip in part["clips"]]
        self.columns: Mapping[str, list[Any]] = {name: [] for name in TYPES}
        for path in sorted((folder / "data").glob("columns-*.js")):
            _, (_, values) = read_call(path.read_bytes())
            for name, kind in TYPES.items():
                self.columns[name].extend(unpack(values[name], kind))
        texts = sorted((folder / "data").glob("text-*.js"))
        self.lines = [line for path in texts for line in read_call(path.read_bytes())[1][1].split("\n")]

    def read(self, name: str) -> list[Any]:
        _, values = read_call((self.folder / "data" / f"{name}.js").read_bytes())
        return values

    def name(self, sound: int) -> str | None:
        return None if sound == 65_535 else self.names[sound]

    def tags(self) -> list[str | None]:
        return [self.name(sound) for sound in self.columns["tag"]]

    def all_text(self) -> str:
        """Everything that the page has, as text."""
        return "".join(path.read_text("utf-8") for path in sorted((self.folder / "data").iterdir()))
