"""Indexes in all published forms, a few made-up rows each."""

import json
import wave
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

ROWS: list[dict[str, Any]] = [
    {
        "dir": "all_70000_105000",
        "aclip": ["p0.mp3"],
        "frame": ["p0.4_01.jpg", "p0.4_02.jpg"],
        "id": "a1B2c3D4e5F",
        "bos": "30.000",
        "eos": "40.000",
        "labels": ["/m/04rlf", "/m/09x0r"],
    },
    {
        "dir": "all_0_35000",
        "aclip": ["p0.mp3", "p1.mp3"],
        "frame": [],
        "id": "-p0_withDash",
        "bos": "0.500",
        "eos": "9.250",
        "labels": ["/m/0bt9lr"],
    },
    {
        "dir": "",
        "aclip": ["p0.mp3"],
        "frame": ["p0.4_01.jpg"],
        "aclip_128": "p0.npz",
        "id": "ABCDEFGHIJK",
        "bos": "10.000",
        "eos": "20.000",
        "labels": [],
        "captions": ["a dog", "ein H\u00fcndchen"],
    },
]
SEGMENTS = """# Segments csv created Sun Mar  5 10:54:31 2017
# num_ytids=2, num_segs=2, num_unique_labels=3, num_positive_labels=3
# YTID, start_seconds, end_seconds, positive_labels
--PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088"
-aE2O5G5WE_, 0.500, 9.250, "/m/04rlf"
"""
AUDIOCAPS = """audiocap_id,youtube_id,start_time,caption
103549,ABCDEFGHIJK,70,"A dog, barking"
103548,a1B2c3D4e5F,0,Rain falls
103541,ABCDEFGHIJK,70,"Caf\u00e9 noise"
"""
AST = {
    "data": [
        {"video_id": "--4gqARaEJE", "wav": "eval/--4gqARaEJE_0.000.flac", "labels": "/m/068hy,/m/0bt9lr"},
        {"video_id": "ABCDEFGHIJK", "wav": "eval/ABCDEFGHIJK_30.000.flac", "labels": ""},
    ]
}


def dump_lines(rows: Iterable[Any]) -> str:
    """As json.dump writes them, one a line."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def write_rows(path: Path, rows: Iterable[Any] = ROWS) -> Path:
    path.write_text(dump_lines(rows), "utf-8")
    return path


def write_noise(path: Path, seconds: float, rate_hz: int = 8_000) -> None:
    """A clip of noise, in WAV whatever its name."""
    noise = np.random.default_rng(0).integers(-3_000, 3_000, round(seconds * rate_hz), dtype=np.int16)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(noise.tobytes())


def row(**changes: Any) -> dict[str, Any]:
    """The first row with other values; None leaves a key out."""
    return {name: value for name, value in {**ROWS[0], **changes}.items() if value is not None}
