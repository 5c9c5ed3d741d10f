"""The benchmarks' tables, their files, and the protocol to the processes they measure. Nothing is timed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import report
from benchmarks.cases import CASES, Case
from benchmarks.cases.bench import Bench, compare_tags, make_rows
from benchmarks.child import ROOT, Answer, NotMeasuredError, Runs, Subject, ask_in_turn
from benchmarks.materials import Materials
from benchmarks.outcome import Figure, Outcome, Row
from benchmarks.scale import TINY

MACHINE = {"name": "2 cores, Toy CPU @ 1.0GHz", "memory": "4 GiB"}


def answers(seconds: list[float], tags: list[str]) -> list[Answer]:
    return [Answer(one, 2 * one, 100.0 + one, {"tags": tags}) for one in seconds]


@pytest.fixture
def runs() -> Runs:
    """Two rounds alike and one in which the machine was slow: for both."""
    ours, theirs = answers([1.0, 1.0, 5.0], ["Siren", "Music"]), answers([3.0, 3.0, 20.0], ["Siren", "Wind"])
    return Runs({"ours": ours, "theirs": theirs}, {"absent": "it is not installed"})


def as_case(outcome: Outcome) -> dict[str, Any]:
    return {
        "title": "a toy",
        "date": "2026-11-21",
        "scale": "quick",
        "load": "0.1",
        "minutes": 0.1,
        **outcome.as_json(),
    }


def test_rounds_are_compared_pair_by_pair(runs: Runs) -> None:
    assert runs.times_faster("ours", "theirs") == 3.0
    assert runs.times_faster("theirs", "ours") == pytest.approx(1 / 3)
    assert runs.fastest(["theirs", "ours", "absent"]) == "ours"
    row = make_rows(runs, 2, "theirs")[0]
    assert row["s a clip"] == 0.5
    assert row["clips a second"] == 2.0
    assert row["CPU s a clip"] == 1.0
    assert row["peak MB"] == 105
    assert compare_tags(runs, "theirs") == ["Tags as theirs has them (2 different): ours 1 of 2."]
    assert runs.notes() == ["absent was left out: it is not installed."]


@pytest.mark.parametrize(
    ("figure", "reached", "bound"),
    [
        (Figure("speed", 1.3, "times", at_least=1.3), True, "at least 1.3"),
        (Figure("speed", 1.29, "times", at_least=1.3), False, "at least 1.3"),
        (Figure("memory", 31.0, "MB", at_most=30), False, "at most 30"),
        (Figure("memory", 30.0, "MB", at_most=30), True, "at most 30"),
        (Figure("for the record", 30.0, "MB"), None, ""),
    ],
)
def test_a_figure_is_held_against_its_bound(figure: Figure, reached: bool | None, bound: str) -> None:
    assert (figure.reached, figure.bound) == (reached, bound)


def test_tables_line_up_and_leave_gaps_where_a_row_has_no_value() -> None:
    rows: list[Row] = [{"who": "a|b", "s": 1.5}, {"who": "c", "s": 123.4, "MB": 7}]
    assert report.text_table(rows).splitlines() == ["who    s  MB", "a|b  1.5", "c    123   7"]
    assert report.markdown_table(rows).splitlines() == [
        "| who | s | MB |",
        "| --- | ---: | ---: |",
        "| a\\|b | 1.5 |  |",
        "| c | 123 | 7 |",
    ]


def test_results_are_written_and_one_case_leaves_the_others(tmp_path: Path, runs: Runs) -> None:
    outcome = Outcome(
        make_rows(runs, 2, "theirs"), [Figure("speed", 3.0, "times", at_least=1.3)], runs.notes()
    )
    report.write(tmp_path, MACHINE, {"clips": as_case(outcome)})
    page = report.write(tmp_path, MACHINE, {"gpu": as_case(Outcome(left_out="there is no GPU"))})
    assert page == tmp_path / "2-cores-toy-cpu-1-0ghz.md"
    kept = json.loads(page.with_suffix(".json").read_text())
    assert kept["machine"] == MACHINE
    assert list(kept["cases"]) == ["clips", "gpu"]
    assert kept["cases"]["clips"]["figures"] == [
        {
            "name": "speed",
            "value": 3.0,
            "unit": "times",
            "at_least": 1.3,
            "at_most": None,
            "bound": "at least 1.3",
            "reached": True,
        }
    ]
    lines = page.read_text().splitlines()
    assert "| clips | speed | 3 times | at least 1.3 | yes |" in lines
    assert "Left out: there is no GPU" in lines
    assert "- absent was left out: it is not installed." in lines


@pytest.mark.timeout(60)
def test_subjects_are_asked_in_processes_of_their_own(tmp_path: Path) -> None:
    """A real maker makes a real file; a subject that cannot run leaves the other its turn."""
    subjects = {"maker": Subject("maker", {}), "absent": Subject("no_such_subject", {})}
    job = {"kind": "tiny", "path": str(tmp_path / "clips"), "count": 1}
    runs = ask_in_turn(subjects, job, rounds=1, logs=tmp_path / "logs")
    assert list(runs.answers) == ["maker"]
    assert "no_such_subject" in runs.left_out["absent"]
    answer = runs.answers["maker"][0]
    assert answer.seconds > 0
    assert answer.peak_mb > 10
    assert (tmp_path / "clips" / "00000.mp4").stat().st_size > 1_000


def test_what_is_measured_apart_goes_the_packages_own_way(tmp_path: Path) -> None:
    """Decoding alone, of AST's first window and of all of YAMNet's."""
    from benchmarks.subjects import first_window, maker, yamnet

    clip, weights = str(tmp_path / "clip.mp4"), str(tmp_path / "yamnet.pth")
    maker.prepare({})({"kind": "clip", "path": clip, "seconds": 12, "codec": "mpeg4", "seed": 0})
    maker.prepare({})({"kind": "yamnet", "path": weights})
    assert [len(samples) for samples in first_window.decoded([clip], "pyav")] == [163_840]
    run = yamnet.prepare({"weights": weights, "tagger": {}, "warm": clip})
    assert run({"part": "decoding", "video": clip}) == {"patches": 25}  # one every 0.48 s, the last one short


def test_a_case_that_cannot_be_measured_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import __main__ as command

    def fails(_: Bench) -> Outcome:
        raise NotMeasuredError("the peer is out")

    monkeypatch.setitem(CASES, "toy", Case("toy", "a toy", fails))
    case = command.run("toy", Bench(Materials(tmp_path), TINY))
    assert case["left_out"] == "the peer is out"
    assert report.case_text(case) == "Left out: the peer is out"


def test_the_command_lists_its_cases_and_imports_nothing_heavy() -> None:
    """A parent with torch in it would be measured along with its children."""
    code = (
        "import sys; sys.argv = ['benchmarks', '--list']; from benchmarks.__main__ import main; main(); "
        "print([name for name in ('torch', 'numpy', 'av', 'hf_audio_tagger') if name in sys.modules])"
    )
    printed = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).splitlines()
    assert [line.split()[0] for line in printed[:-1]] == list(CASES)
    assert printed[-1] == "[]"
