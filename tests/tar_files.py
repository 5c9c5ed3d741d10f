"""Tars in WebDataset's layout: written by `tarfile`, or byte by byte where it would not write them."""

import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from small_runs import write_clip

BLOCK = 512
END = bytes(2 * BLOCK)


def pack(members: Iterable[tuple[str, bytes]], format: int = tarfile.GNU_FORMAT, mode: str = "w") -> bytes:
    """A tar of files, by name."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=format) as tar:  # type: ignore[call-overload]
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def make_header(name: str, size: int = 0, kind: bytes = b"0", **fields: Any) -> bytes:
    """A header with any size and kind, and a right checksum."""
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(tarfile.GNU_FORMAT)


def pad(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def make_clips(folder: Path, count: int) -> list[bytes]:
    """Clips of a third of a second."""
    path, clips = folder / "clip.mp4", []
    for number in range(count):
        write_clip(path, number)
        clips.append(path.read_bytes())
    path.unlink()
    return clips


def make_samples(clips: Sequence[bytes], first: int = 0) -> list[tuple[str, bytes]]:
    """A JSON, a clip and a text for each."""
    members: list[tuple[str, bytes]] = []
    for number, clip in enumerate(clips, first):
        about = json.dumps({"number": number, "name": "é"}).encode()
        members += [
            (f"{number:03d}.json", about),
            (f"{number:03d}.mp4", clip),
            (f"{number:03d}.txt", b"t%d" % number),
        ]
    return members


def write_tars(folder: Path, clips: Sequence[bytes], per_tar: int) -> list[Path]:
    paths = []
    for index, first in enumerate(range(0, len(clips), per_tar)):
        paths.append(folder / f"{index:03d}.tar")
        paths[-1].write_bytes(pack(make_samples(clips[first : first + per_tar], first)))
    return paths


def find_offset(tar: bytes, name: str) -> int:
    """Where a member's data begin, according to `tarfile`."""
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        return opened.getmember(name).offset_data


def drop_urls(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "__url__"} for row in rows]
