"""The bar of a run, on a terminal and in a file, with a clock of the test's own."""

import io
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from hf_audio_tagger.activity import COMPILING, LOADING, Activity
from hf_audio_tagger.cli import progress
from hf_audio_tagger.cli.progress import Bar
from hf_audio_tagger.runs import Progress, RunPlan
from hf_audio_tagger.runs.record import Record
from hf_audio_tagger.runs.run_folder import folder_for

WAIT_SECONDS = 20.0
HALF = Progress(50, 2, 50, 100, 0.4, Activity("", 50.4, 60, 322.0), 0.56, 0.56, 3.58)


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def make_bar(folder: Path, is_terminal: bool, **options: Any) -> tuple[Bar, io.StringIO, Clock, RunPlan]:
    output, clock = io.StringIO(), Clock()
    console = Console(file=output, force_terminal=is_terminal, width=options.pop("width", 100))
    record = Record({}, "", "clips", "", 100, 10, None)
    plan = RunPlan(folder_for(folder), record, [], lambda *_: None, 100, 0)
    return Bar(console, lambda _: "the settings", clock=clock, **options), output, clock, plan


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_it_says_what_is_done_how_fast_and_how_long_it_takes(tmp_path: Path) -> None:
    bar, output, clock, plan = make_bar(tmp_path, False)
    assert bar.describe() == "Starting"
    bar.planned(plan)
    assert output.getvalue() == "the settings\n"
    assert bar.describe() == "Loading the libraries, 0/100 rows"
    for stage in (LOADING, COMPILING):
        bar.moved(Progress(0, 0, 0, 100, 0.0, Activity(stage)))
        assert bar.describe() == f"{stage}, 0/100 rows"
    bar.progressed(HALF)
    assert bar.describe() == "Tagging, 50/100 rows, 1.8 s a clip, 3.6x realtime, 1min 29s left, 2 failed"
    clock.seconds += 29
    assert "1min 0s left" in bar.describe()
    clock.seconds += 300
    assert "left" not in bar.describe()  # it took longer than expected
    bar.moved(replace(HALF, clips_per_second=10.0, times_realtime=100.0, total_rows=None, failed_rows=0))
    assert bar.describe() == "Tagging, 50 rows, 10 clips/s, 100x realtime"
    bar.stopping()
    assert bar.describe().startswith(
        "Stopping; the rows in progress are finished. Ctrl-C again stops at once"
    )


def test_on_a_terminal_it_is_drawn_whether_or_not_anything_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "DRAW_SECONDS", 0.01)
    bar, output, clock, plan = make_bar(tmp_path, True, work="Labelling", rows="files")

    def show() -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.getvalue())

    with bar:
        bar.planned(plan)
        bar.moved(HALF)
        wait_until(lambda: "1min 29s left" in show())
        clock.seconds += 30  # nobody tells anything
        wait_until(lambda: "59s left" in show())
    assert "Labelling ━" in show()
    assert "50/100 files" in show()
    size = len(output.getvalue())
    time.sleep(0.05)
    assert len(output.getvalue()) == size  # it has ended
    assert not bar.thread.is_alive()


@pytest.mark.parametrize("width", [60, 80, 200])
def test_it_fits_the_terminal(tmp_path: Path, width: int) -> None:
    bar, output, _, plan = make_bar(tmp_path, True, width=width)
    with bar:
        bar.planned(plan)
        bar.moved(HALF)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.getvalue()).replace("\r", "\n").splitlines()
    last = [line for line in lines if "Tagging" in line][-1]
    assert len(last) <= width
    figures = "50/100 rows  1.8 s a clip  3.6x realtime  1min 29s left  2 failed"
    assert (figures if width > 80 else "1min 29s left  2 failed") in last


def test_in_a_file_it_is_a_line_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "DRAW_SECONDS", 0.01)
    bar, output, clock, plan = make_bar(tmp_path, False)
    with bar:
        bar.planned(plan)
        bar.moved(Progress(0, 0, 0, 100, 0.0, Activity(COMPILING)))
        for minute in (1, 2):
            clock.seconds += 60
            wait_until(lambda minute=minute: output.getvalue().count("\n") == minute + 1)  # type: ignore[misc]
        time.sleep(0.05)
    assert output.getvalue().splitlines() == ["the settings", *2 * ["Compiling the model, 0/100 rows"]]
