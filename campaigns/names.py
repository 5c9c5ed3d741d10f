"""File names and files that mean harm, in a folder that is tagged and labelled from the shell."""

import os
import re
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .commands import Command, read_result, run_to_end
from .kill import DONE, RUN
from .remote import good_clip

GOOD = "good clip.mp4"
UNREADABLE = b"this is no video" * 50
# What a terminal obeys, or shows in another order: ESC and other controls, bidi marks.
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")

NAMES: Mapping[str, bytes] = {
    "no UTF-8": b"lat\xe9in.mp4",
    "escape sequences": b"\x1b[2J\x1b[31m\x1b]0;owned\x07.mp4",
    "C1 controls": "\x9b31m.mp4".encode(),
    "newline": b"a\nb.mp4",
    "carriage return": b"good\r\x08bad.mp4",
    "bidi": "\u202egpj.4pm\u2066.mp4".encode(),
    "very long": b"a" * 251 + b".mp4",
    "dash": b"-rf.mp4",
    "dots": b"x..mp4",
    "backslashes": b"x\\..\\..\\y.mp4",
    "quotes": b"'\"`$(id);&.mp4",
    "html": b"<img src=x onerror=alert(1)>&amp;.mp4",
    "markup": b"[bold red]x[blink].mp4",
    "markdown": b"| a | `b` | ![x](y).mp4",
    "protocol": b"concat:a|b.mp4",
    "chained url": b"zip::a::b.mp4",
    "pattern": b"%d{}*?[a].mp4",
    "spaces": b"  \t .mp4",
    "emoji": "\U0001f600\u200d\U0001f525.mp4".encode(),
    "braces": b"{0.__class__}.mp4",
}


def name_fault(what: str, home: Path) -> str | None:
    """What is wrong with how a name was dealt with, by `tag`, `label`, a dry run and a run that raises."""
    clips = home / "clips"
    clips.mkdir(parents=True)
    (clips / GOOD).write_bytes(good_clip())
    hostile = os.fsencode(clips) + b"/" + NAMES[what]
    Path(os.fsdecode(hostile)).write_bytes(good_clip())
    fault = folder_fault(clips, home, rows=2, is_named_oddly=True)
    if fault is not None:
        return fault
    Path(os.fsdecode(hostile)).write_bytes(UNREADABLE)
    os.remove(clips / GOOD)
    for words in (["--dry-run"], ["--out", str(home / "raised"), "--on-error", "raise"]):
        command = run_to_end(["tag", str(clips), *words, *RUN], home / "words.txt")
        if fault := fault_on_screen(command, codes=(*DONE, 1, 2)):
            return f"{words[0]}: {fault}"
    return None


def folder_fault(clips: Path, home: Path, rows: int, is_named_oddly: bool) -> str | None:
    """Tag and label a folder with one good clip in it; every file has its row, and the good one its tag."""
    command = run_to_end(["tag", str(clips), "--out", str(home / "tagged"), *RUN], home / "tag.txt")
    if fault := fault_on_screen(command, DONE):
        return f"tag: {fault}"
    made = {row["file_name"]: row for row in read_result(home / "tagged")}
    if len(made) != rows:
        return f"tag: {len(made)} rows for {rows} files"
    if made[GOOD]["video_audio_tags"] == [None]:
        return f"tag: the clip beside it suffered: {made[GOOD]['video_audio_error']}"
    for name, row in made.items():
        if name != GOOD and not is_named_oddly and row["video_audio_tags"] != [None]:
            return f"tag: {name} was read: {row['video_audio_tags']}"
    command = run_to_end(["label", str(clips), "--out", str(home / "labelled"), *RUN], home / "label.txt")
    if fault := fault_on_screen(command, DONE):
        return f"label: {fault}"
    index, _, failures = read_result(home / "labelled")
    clips_told = len(index["predictions"]) + len(index["without_sound"]) + len(failures.splitlines())
    return None if clips_told == rows else f"label: {clips_told} of {rows} files are told of"


def fault_on_screen(command: Command, codes: tuple[int, ...]) -> str | None:
    """A command that command wrongly, or printed what a terminal would obey."""
    if command.code not in codes:
        return command.describe_end()
    said = command.log.read_bytes().decode(errors="replace").replace("\r\n", "\n")
    if "Traceback" in said:
        return command.describe_end()
    found = CONTROLS.search(said)
    return f"{found.group()!r} reaches the terminal" if found else None


# Files that are none


def make_link(path: Path, target: str) -> None:
    path.symlink_to(target)


def pipe_beside(path: Path) -> str:
    os.mkfifo(path.with_name("p"))
    return "p"


def make_socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's path is short
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(here)


SPECIALS: Mapping[str, Callable[[Path], Any]] = {
    "pipe": os.mkfifo,
    "socket": make_socket,
    "link to a device": lambda path: make_link(path, "/dev/zero"),
    "link to a clip outside": lambda path: make_link(path, str(outside(path))),
    "link to passwd": lambda path: make_link(path, "/etc/passwd"),
    "link with dots": lambda path: make_link(path, f"../{outside(path).name}"),
    "link to nothing": lambda path: make_link(path, "nowhere.mp4"),
    "link to itself": lambda path: make_link(path, path.name),
    "link to a pipe": lambda path: make_link(path, pipe_beside(path)),
    "empty file": lambda path: path.touch(),
}
FOLDERS: Mapping[str, Callable[[Path], Any]] = {  # of which nothing may become a row
    "folder named as a clip": Path.mkdir,
    "link to a folder outside": lambda path: make_link(path, str(outside(path).parent)),
    "link to its own folder": lambda path: make_link(path, "."),
}


def outside(path: Path) -> Path:
    """A good clip that lies in no folder that is tagged."""
    clip = path.parent.parent / "outside.mp4"
    clip.write_bytes(good_clip())
    return clip


def special_fault(what: str, home: Path) -> str | None:
    """What is wrong with how a file that is none was dealt with."""
    clips = home / "clips"
    clips.mkdir(parents=True)
    (clips / GOOD).write_bytes(good_clip())
    {**SPECIALS, **FOLDERS}[what](clips / "x.mp4")
    return folder_fault(clips, home, rows=2 if what in SPECIALS else 1, is_named_oddly=False)
