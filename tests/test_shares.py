"""`shard="2/8"`: several commands that do one run together, here one after the other, or within another."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, IterableDataset
from small_runs import TAGGER, Seeing, rows_of

from hf_audio_tagger import atomic_files, build_tagger
from hf_audio_tagger.atomic_files import temporary_path
from hf_audio_tagger.errors import SettingsError
from hf_audio_tagger.file_locks import hold_lock
from hf_audio_tagger.results.facts import Summary
from hf_audio_tagger.runs import Progress, Watcher, load_result, locks, tag_dataset

pytestmark = pytest.mark.timeout(60)

NAMES = [f"not there {number}.mp4" for number in range(10)]
MISSING = Dataset.from_dict({"video": NAMES})  # ten rows that fail at once
RUN: dict[str, Any] = {"shard_rows": 2}  # five shards


def tag_share(dest: Path, shard: str | None, **more: Any) -> Summary:
    return tag_dataset(MISSING, dest, TAGGER, shard=shard, **{**RUN, **more})


class During(Watcher):
    """Does something once, when the first rows are done."""

    def __init__(self, action: Callable[[], object]) -> None:
        self.action: Callable[[], object] | None = action

    def progressed(self, progress: Progress) -> None:
        if self.action is not None:
            action, self.action = self.action, None
            action()


@pytest.fixture
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "LOCK_WAIT_SECONDS", 0.2)
    monkeypatch.setattr(locks, "FINISH_WAIT_SECONDS", 0.2)


def shards_of(dest: Path) -> list[int]:
    return [int(path.stem[-5:]) for path in sorted((dest / "data").glob("shard-*"))]


def read_failures(path: str | None) -> list[int]:
    assert path is not None
    return [json.loads(line)["row"] for line in Path(path).read_text().splitlines()]


# What each does


def test_each_command_does_its_share_and_the_last_one_finishes(tmp_path: Path) -> None:
    dest = tmp_path / "out"
    first = tag_share(dest, "2/3")
    assert shards_of(dest) == [1, 4]
    assert (first.shard, first.rows, first.failed, first.rows_left) == ("2/3", 4, 4, 6)
    assert read_failures(first.failures) == [2, 3, 8, 9]
    assert "have done 4 of 10 rows; 6 are left to 1/3, 3/3 (running now: none)" in first.notes[-1]
    second = tag_share(dest, "3/3")
    assert (second.rows, second.rows_left, shards_of(dest)) == (2, 4, [1, 2, 4])
    last = tag_share(dest, "1/3")
    assert (last.shard, last.rows, last.processed_now, last.rows_left) == (None, 10, 4, 0)
    assert read_failures(last.failures) == list(range(10))
    assert {path.name for path in (dest / ".hf_audio_tagger").glob("failures*")} == {"failures.jsonl"}
    tag_dataset(MISSING, tmp_path / "whole", TAGGER, **RUN)
    assert rows_of(dest) == rows_of(tmp_path / "whole")
    assert tag_share(dest, "3/3").processed_now == 0


def test_a_file_as_dest_is_joined_by_the_last_command(tmp_path: Path) -> None:
    dest = tmp_path / "out.jsonl"
    assert tag_share(dest, "1/2").rows_left == 4
    assert not dest.exists()
    tag_share(dest, "2/2")
    assert [json.loads(line)["video"] for line in dest.read_text().splitlines()] == NAMES


def test_a_command_for_all_rows_does_what_is_left_and_finishes(tmp_path: Path) -> None:
    dest = tmp_path / "out.parquet"
    tag_share(dest, "4/4")
    watcher = Seeing()
    whole = tag_share(dest, None, watcher=watcher)
    assert (whole.rows, whole.processed_now, dest.exists()) == (10, 8, True)
    assert list(load_result(dest)["video"]) == NAMES
    (plan,) = watcher.plans
    assert [job.index for job in plan.jobs] == [0, 1, 2, 4]


def test_a_command_whose_share_is_empty_says_so_and_is_no_error(tmp_path: Path) -> None:
    summary = tag_share(tmp_path / "out", "7/8")
    assert (summary.rows, summary.processed_now, summary.rows_left) == (0, 0, 10)


def test_failed_rows_are_tried_again_by_their_own_command(tmp_path: Path) -> None:
    for shard in ("1/2", "2/2"):
        tag_share(tmp_path, shard)
    watcher = Seeing()
    tag_share(tmp_path, "2/2", retry_failed=True, watcher=watcher)
    (plan,) = watcher.plans
    assert ([job.index for job in plan.jobs], plan.total_rows, plan.done_rows) == ([1, 3], 4, 0)


# Beside each other


@pytest.mark.usefixtures("_short_waits")
def test_shares_run_beside_each_other_and_leave_the_files_of_each_other(tmp_path: Path) -> None:
    dest = tmp_path / "out"
    others: list[Summary] = []

    def run_other() -> None:
        assert list((dest / "data").glob(".shard-00000.parquet.*.tmp"))  # of the first, which goes on
        others.append(tag_share(dest, "2/2"))

    summary = tag_share(dest, "1/2", watcher=During(run_other))
    assert "4 of 10 rows; 6 are left to 1/2 (running now: 1/2)" in others[0].notes[-1]
    assert (summary.rows, summary.shard, shards_of(dest)) == (10, None, [0, 1, 2, 3, 4])


@pytest.mark.usefixtures("_short_waits")
@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("1/2", "1/2", "a run of shard='1/2' is using it"),
        ("1/2", "2/3", "a run of shard='1/2' is using it"),
        ("1/2", None, "a run of shard='1/2' is using it"),
        (None, "1/2", "another run is using it"),
    ],
)
def test_what_would_do_the_same_rows_is_refused(
    tmp_path: Path, first: str | None, second: str | None, message: str
) -> None:
    refused: list[str] = []

    def run_other() -> None:
        with pytest.raises(SettingsError, match=rf"{message} \(process {os.getpid()} on ") as error:
            tag_share(tmp_path / "out", second)
        refused.append(str(error.value))

    tag_share(tmp_path / "out", first, watcher=During(run_other))
    assert len(refused) == 1


@pytest.mark.usefixtures("_short_waits")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tagger": build_tagger("demo", top_k=2)}, "started with other settings: top_k was None, now 2"),
        ({"limit": 4}, "the commands that run now have limit=None, this one has limit=4"),
        ({"source": Dataset.from_dict({"video": NAMES[:3]})}, "It had 10 rows, now 3"),
    ],
)
def test_each_command_checks_that_it_does_the_same_run(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    """Before any shard is there, too."""
    given = {"source": MISSING, "tagger": TAGGER, **change}

    class Other(Watcher):
        def planned(self, plan: Any) -> None:
            with pytest.raises(SettingsError, match=message):
                tag_dataset(dest=tmp_path / "out", shard="2/2", **given)

    tag_share(tmp_path / "out", "1/2", watcher=Other())
    assert shards_of(tmp_path / "out") == [0, 2, 4]


def test_settings_may_change_while_nothing_is_done(tmp_path: Path) -> None:
    class Stopped(Watcher):
        def planned(self, plan: Any) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tag_share(tmp_path, "1/2", watcher=Stopped())
    other = build_tagger("demo", top_k=2, on_error="record")
    assert tag_dataset(MISSING, tmp_path, other, shard="2/2", shard_rows=5).rows == 5


def test_two_hosts_write_the_same_file_under_different_names(monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path("data/shard-00001.parquet")
    here = temporary_path(path)
    assert here == temporary_path(path)
    monkeypatch.setattr(atomic_files, "draw_token", atomic_files.draw_token.__wrapped__)  # as on another host
    assert temporary_path(path) != here
    match = atomic_files.TEMPORARY.fullmatch(here.name)
    assert match is not None
    assert match["name"] == path.name


# Finishing


@pytest.fixture
def pushes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of each push."""
    made: list[int] = []

    def push(ds: Dataset, *args: Any, **options: Any) -> str:
        made.append(len(ds))
        return f"https://example.org/{len(made)}"

    monkeypatch.setattr("hf_audio_tagger.hub.push", push)
    return made


def test_the_result_is_pushed_once(tmp_path: Path, pushes: list[int]) -> None:
    push = {"repo_id": "me/clips"}
    assert tag_share(tmp_path, "1/2", push=push).url is None
    assert tag_share(tmp_path, "2/2", push=push).url == "https://example.org/1"
    assert tag_share(tmp_path, "1/2", push=push).url == "https://example.org/1"
    assert pushes == [10]
    assert tag_share(tmp_path, "1/2", push={"repo_id": "me/other"}).url == "https://example.org/2"


def test_a_shard_that_changes_while_the_run_is_finished_is_taken_up(
    tmp_path: Path, pushes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def push(ds: Dataset, *args: Any, **options: Any) -> None:
        if not pushes:
            os.utime(tmp_path / "data" / "shard-00000.parquet", (1, 1))
        pushes.append(len(ds))

    monkeypatch.setattr("hf_audio_tagger.hub.push", push)
    tag_share(tmp_path, "1/2")
    tag_share(tmp_path, "2/2", push={"repo_id": "me/clips"})
    assert pushes == [10, 10]


@pytest.mark.usefixtures("_short_waits")
def test_one_command_finishes_at_a_time(tmp_path: Path, pushes: list[int]) -> None:
    tag_share(tmp_path, "1/2")
    with hold_lock(tmp_path / ".hf_audio_tagger" / "finish.lock", 1):
        summary = tag_share(tmp_path, "2/2", push={"repo_id": "me/clips"})
    assert (summary.shard, summary.rows_left, summary.url, pushes) == ("2/2", 0, None, [])
    assert "another command is finishing the run" in summary.notes[-1]


# Wrong use


@pytest.mark.parametrize(
    ("shard", "message"),
    [
        ("0/8", r"shard must be I/N with I from 1 to N.*got '0/8'.*\$\(\(SLURM_ARRAY_TASK_ID \+ 1\)\)/8"),
        ("9/8", "shard must be I/N with I from 1 to N, such as '1/8'; got '9/8'"),
        ("1/0", "shard must be I/N with I from 1 to N"),
        ("two of eight", "shard must be I/N, such as '2/8' for the second of eight commands; got 'two"),
        (3, "shard must be I/N, such as '2/8'"),
    ],
)
def test_a_wrong_share_is_explained(tmp_path: Path, shard: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        tag_share(tmp_path / "out", shard)
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_shared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="would remove what the other commands have done"):
        tag_share(tmp_path, "1/2", overwrite=True)
    with pytest.raises(SettingsError, match="DEST must be a folder or file that all commands see"):
        tag_dataset(MISSING, "hf://datasets/me/clips", TAGGER, shard="1/2")
    stream = IterableDataset.from_generator(lambda: iter([{"video": "a.mp4"}]))
    with pytest.raises(SettingsError, match="read in sequence, by one command"):
        tag_dataset(stream, tmp_path, TAGGER, shard="1/2")
