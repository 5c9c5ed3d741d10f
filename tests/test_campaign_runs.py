"""The campaigns `kill` and `disk` in short forms, and what they notice of a broken package."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from campaigns import commands, disk, kill
from campaigns.materials import write_clips
from campaigns.options import Options
from hf_audio_tagger import tagger

pytestmark = [
    pytest.mark.campaign,
    pytest.mark.timeout(120),
    pytest.mark.usefixtures("one_thread_everywhere"),
]


@pytest.fixture
def two_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kill, "FORMS", {name: kill.FORMS[name] for name in ("jsonl", "label")})
    monkeypatch.setattr(kill, "CLIPS", 9)


@pytest.mark.usefixtures("two_forms")
def test_kill_in_short(tmp_path: Path) -> None:
    report = kill.run(Options(tmp_path, count=3))
    assert report.is_whole, report.text()
    assert report.figures[0].value >= 3


@pytest.mark.usefixtures("two_forms")
def test_a_lost_worker_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is killed while it writes, and the run goes on to its end without it."""

    def kill_a_writer(command: commands.Command, round: kill.Round) -> None:
        while not list(round.dest.parent.rglob(".shard-*.tmp")):
            assert not command.is_over
        command.kill(command.workers()[0])
        round.kills["worker"] += 1

    monkeypatch.setattr(kill, "kill_sometime", kill_a_writer)
    report = kill.run(Options(tmp_path, only="0"))
    assert report.is_whole, report.text()
    assert report.figures[0].value == 1


def test_a_labelling_run_removes_what_a_killed_one_was_writing(tmp_path: Path) -> None:
    clips = write_clips(tmp_path / "clips", 2)
    left = [".hf_audio_tagger/.label.json.7.tmp", "audio_pred/.a.npy.7.tmp", ".audio_pred.json.7.tmp"]
    for path in [tmp_path / "out" / name for name in left]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    make, _ = kill.FORMS["label"]
    command = commands.run_to_end(make(clips, clips, tmp_path / "out"), tmp_path / "log")
    assert command.code == 0, command.describe_end()
    assert commands.find_leftovers(tmp_path / "out") == []


def test_kill_notices_rows_that_change_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, two_forms: None
) -> None:
    """A package whose answers depend on how often it was asked before."""
    call, calls = tagger.Tagger.__call__, tmp_path / "calls"
    enough = 4  # of a run of 9 clips that nobody kills: shards of 5, batches of 3

    def broken(self: Any, rows: Any, rank: Any = None) -> Any:
        with open(calls, "ab") as file:
            file.write(b"x")
        answer = call(self, rows, rank)
        place = answer.column_names.index("video_audio_tags")
        wrong = pa.array([["wrong"]] * len(answer), answer.schema.field(place).type)
        is_early = calls.stat().st_size <= enough
        return answer if is_early else answer.set_column(place, "video_audio_tags", wrong)

    monkeypatch.setattr(tagger.Tagger, "__call__", broken)
    report = kill.run(Options(tmp_path, count=1, only="0"))
    assert [one.name for one in report.broken] == ["round-0-jsonl"]
    assert "'wrong'" in report.broken[0].why
    assert (report.broken[0].folders[0] / "out.jsonl").exists()
    assert not report.is_whole


def test_results_that_differ_are_told() -> None:
    rows = [{"a": 1}, {"a": 2}]
    assert commands.difference(rows, [*rows]) is None
    assert commands.difference(rows[:1], rows) == "1 rows, and uninterrupted 2"
    assert commands.difference([*rows, rows[0]], rows) == "3 rows, and uninterrupted 2"
    assert "row 1 is {'a': 3}" in str(commands.difference([rows[0], {"a": 3}], rows))
    scores = np.ones((3, 2), np.float32)
    labelled = {"predictions": list[str]()}, {"a.npy": scores}, ""
    assert commands.difference((labelled[0], {"a.npy": scores + np.float32(1e-6)}, ""), labelled) is None
    for other in ({"a.npy": scores + 1}, {"a.npy": scores[:2]}, {}, {"a.npy": scores, "b.npy": scores}):
        assert "npy" in str(commands.difference((labelled[0], other, ""), labelled))
    for index, failures in (({}, ""), (labelled[0], "a failure")):
        assert "audio_pred.json" in str(commands.difference((index, labelled[1], failures), labelled))


def test_what_is_not_whole_or_left_behind_is_told(tmp_path: Path) -> None:
    for dest in (tmp_path / "out", tmp_path / "out.jsonl"):
        shards = (dest if not dest.suffix else commands.state_folder(dest)) / "data"
        shards.mkdir(parents=True)
        pq.write_table(pa.table({"a": [1, 2]}), shards / "shard-00000.parquet")
        assert (commands.find_half_written(dest), commands.find_leftovers(dest)) == ([], [])
        assert not kill.is_writing(dest)
        (shards / "shard-00001.parquet").write_bytes((shards / "shard-00000.parquet").read_bytes()[:-9])
        (shards / ".shard-00002.parquet.7.tmp").touch()
        assert commands.find_half_written(dest) == [str(shards / "shard-00001.parquet")]
        assert commands.find_leftovers(dest) == [str(shards / ".shard-00002.parquet.7.tmp")]
        assert kill.is_writing(dest)


@pytest.mark.parametrize("may_mount", [True, False])
def test_disk_in_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, may_mount: bool) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no mounting today")

    if not may_mount:
        monkeypatch.setattr(disk, "mount_small", refuse)
    monkeypatch.setattr(disk, "CLIPS", 12)
    report = disk.run(Options(tmp_path, jobs=1, only="jsonl-10%"))
    assert report.is_whole, report.text()
    assert [figure.value for figure in report.figures[:2]] == [1, 1]
    if not may_mount:
        assert "no mounting today" in report.notes[0]


@pytest.mark.parametrize(
    ("code", "said", "fault"),
    [
        (2, "The disk is full (No space left on device).", None),
        (2, "Reading or writing failed (File too large).", None),
        (3, "All of it found room.", None),
        (2, "Two workers were lost.", "does not say so"),
        (70, "OSError: No space left on device", "exit code 70"),
        (1, "Traceback (most recent call last): No space left on device", "exit code 1"),
        (-9, "", "SIGKILL"),
    ],
)
def test_disk_notices_how_a_run_ends(tmp_path: Path, code: int, said: str, fault: str | None) -> None:
    (tmp_path / "log").write_text(said)
    place = disk.Place(tmp_path, tmp_path / "disk")
    kind = disk.Kind("toy", lambda place: [], lambda place: place.disk / "out")
    faults = disk.faults_when_full(commands.Command(0, tmp_path / "log", code), place, kind)
    assert len(faults) == (fault is not None)
    assert fault is None or fault in faults[0]
