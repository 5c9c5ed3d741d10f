"""Processes and reports of the campaigns; `hostile` in short, and what it notices of a broken package."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from benchmarks.outcome import Figure
from campaigns import __main__ as command
from campaigns import commands, fuzz, hostile, kill, names, remote
from campaigns.child import Limits, Worker, ask_all
from campaigns.options import Options
from campaigns.report import Broken, Report, keep
from hf_audio_tagger import chunks
from hf_audio_tagger.media.audio import open_sound

pytestmark = [
    pytest.mark.campaign,
    pytest.mark.timeout(120),
    pytest.mark.usefixtures("one_thread_everywhere"),
]

ROOM = Limits(seconds=60.0, grown_mb=1_000.0)


# Children


def test_children_that_end_are_told_and_the_next_job_goes_on(tmp_path: Path) -> None:
    def work(job: str) -> str:
        if job == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if job == "raise":
            raise AttributeError("'NoneType' object has no attribute 'channels'")
        if job == "leave":
            os._exit(3)
        return job.upper()

    jobs = ["a", "crash", "b", "raise", "leave", "c"]
    results = list(ask_all([Worker(work, tmp_path / "log")], jobs, ROOM))
    assert [job for job, _ in results] == jobs
    hows = ["answered", "died", "answered", "raised", "died", "answered"]
    assert [one.how for _, one in results] == hows
    assert [one.value for _, one in results if one.is_answer] == ["A", "B", "C"]
    assert "SIGSEGV" in results[1][1].value
    assert "AttributeError" in results[3][1].value
    assert "exit code 3" in results[4][1].value


def test_what_broke_is_kept_and_cannot_leave_its_folder(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    os.mkfifo(tmp_path / "made" / "pipe")
    (tmp_path / "made" / "file").write_text("x")
    files = {"../../a\x1b.mp4": b"data"}
    place = keep(Broken("../x/y", "hang", "why", "again", files, [tmp_path / "made"]), tmp_path / "kept")
    assert place.parent == tmp_path / "kept"
    assert sorted(path.name for path in place.iterdir()) == [".._.._a_.mp4", "made", "reason.txt"]
    assert [path.name for path in (place / "made").iterdir()] == ["file"]
    assert "To repeat it:\n  again" in (place / "reason.txt").read_text()


@pytest.mark.parametrize("broken", [(), (Broken("x", "hang", "why \x1b[2J", "again"),)])
def test_the_exit_code_says_whether_anything_broke(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    broken: tuple[Broken, ...],
) -> None:
    monkeypatch.setattr(command, "set_environment", lambda _: None)
    monkeypatch.setattr(fuzz, "run", lambda options: Report("a toy", broken=broken))
    assert command.main(["fuzz", "--keep", str(tmp_path)]) == len(broken)
    printed = capsys.readouterr().out
    assert ("Nothing broke." in printed) == (not broken)
    assert "\x1b" not in printed
    assert (tmp_path / "fuzz" / "x" / "reason.txt").exists() == bool(broken)
    assert not Report("", [Figure("growth", 201.0, "MB", at_most=200)]).is_whole


# hostile

SHORT = {
    "clip": ("a good server", "404", "a gzip bomb"),
    "weights": ("404",),
    "name": ("html",),
    "special": ("pipe",),
    "recipe": ("python object", "deep nesting"),
}


def only(cases: Mapping[str, tuple[str, ...]]) -> Callable[[], list[hostile.Case]]:
    return lambda: [hostile.Case(kind, what) for kind, some in cases.items() for what in some]


def test_hostile_in_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = set(hostile.all_cases())
    monkeypatch.setattr(hostile, "all_cases", only(SHORT))
    assert set(hostile.all_cases()) < known
    report = hostile.run(Options(tmp_path, jobs=1))
    assert report.is_whole, report.text()
    assert report.figures[0].value == 8


def test_hostile_notices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that waits for ever, that follows a server anywhere, and that hears what is not there."""

    @contextmanager
    def broken(media: Any, *given: Any, **settings: Any) -> Iterator[Any]:
        if media.name.endswith("/401"):
            time.sleep(60)
        if media.name.endswith("/404"):
            with suppress(OSError):
                socket.create_connection(("127.0.0.2", 9), timeout=1)
        clip = remote.good_clip() if media.name.endswith("/500") else None
        with open_sound(media if clip is None else type(media)(str(tmp_path / "clip.mp4")), *given) as sound:
            yield sound

    (tmp_path / "clip.mp4").write_bytes(remote.good_clip())
    monkeypatch.setattr(chunks, "open_sound", broken)
    monkeypatch.setattr(hostile, "SECONDS", {"clip": 3.0})
    monkeypatch.setattr(hostile, "all_cases", only({"clip": ("401", "404", "500")}))
    report = hostile.run(Options(tmp_path, jobs=1))
    why = {one.name: one.why for one in report.broken}
    assert "no answer after 3 s" in why["clip: 401"]
    assert why["clip: 404"] == "it went on to 127.0.0.2"
    assert why["clip: 500"].startswith("it was heard as")


def test_what_reaches_the_terminal_is_noticed(tmp_path: Path) -> None:
    def fault(said: str, code: int = 0) -> str | None:
        (tmp_path / "log").write_text(said)
        return names.fault_on_screen(commands.Command(0, tmp_path / "log", code), kill.DONE)

    assert fault("all is well: ü 音 █\n") is None
    for bad in ("\x1b[2J", "\u202e", "\x9b", "\x08"):
        assert "reaches the terminal" in str(fault(f"a{bad}b"))
    assert "exit code 70" in str(fault("", 70))
    assert fault("Traceback (most recent call last):") is not None
