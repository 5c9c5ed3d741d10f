"""DEST and what is remembered beside it: the Hub's branches, what --overwrite removes, what is refused."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from datasets import Dataset, Features, IterableDataset, Value
from small_runs import TAGGER, Seeing

from hf_audio_tagger import build_tagger
from hf_audio_tagger.errors import MediaError, RunError, SettingsError
from hf_audio_tagger.runs import load_result, tag_dataset
from hf_audio_tagger.runs.record import describe_changes, describe_settings
from hf_audio_tagger.runs.run_folder import folder_for

pytestmark = pytest.mark.timeout(60)

NAMES = [f"not there {number}.mp4" for number in range(5)]
MISSING = Dataset.from_dict({"video": NAMES})  # five rows that fail at once


def shard_names(dest: Path) -> list[str]:
    return sorted(path.name for path in (dest / "data").glob("[!.]*"))


def listed_rows(dest: Path) -> list[int]:
    failures = dest / ".hf_audio_tagger" / "failures.jsonl"
    return [json.loads(line)["row"] for line in failures.read_text().splitlines()]


# The Hub as DEST


def test_a_hub_dest_is_a_dataset_and_a_branch_with_a_state_of_its_own() -> None:
    plain, branch = folder_for("hf://datasets/user/name/"), folder_for("hf://datasets/user/name@some/branch")
    assert (plain.repo_id, plain.revision, plain.file) == ("user/name", None, None)
    assert (branch.repo_id, branch.revision) == ("user/name", "some/branch")
    others = [folder_for(f"hf://datasets/{name}") for name in ("user/other", "user/name@v2")]
    assert len({one.state for one in (plain, branch, *others)}) == 4
    assert len({one.state.parent for one in (plain, branch, *others)}) == 1
    assert folder_for("hf://datasets/user/name").state == plain.state
    assert plain.shards.parent == plain.state


@pytest.mark.parametrize("rest", ["user", "user/name/more", "user/name@", "/name", "user@v2/name"])
def test_what_names_no_dataset_of_the_hub_is_refused(rest: str) -> None:
    with pytest.raises(SettingsError, match="DEST on the Hub must be hf://datasets/user/name"):
        folder_for(f"hf://datasets/{rest}")


@pytest.mark.parametrize(
    ("dest", "asked", "revision"),
    [
        ("hf://datasets/user/name@v2", {"private": True, "revision": "v1"}, "v2"),
        ("hf://datasets/user/name", {"private": True, "revision": "v1"}, "v1"),
        ("hf://datasets/user/name", None, None),
        ("folder", {"repo_id": "user/name", "private": True}, None),
        ("folder", None, None),
    ],
)
def test_a_result_is_pushed_to_the_branch_that_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dest: str, asked: Any, revision: str | None
) -> None:
    pushes: list[dict[str, Any]] = []
    monkeypatch.setenv("HF_AUDIO_TAGGER_CACHE", str(tmp_path))

    def push_nowhere(ds: Dataset, name: str, **how: Any) -> None:
        pushes.append({"rows": len(ds), "to": name, **how})

    monkeypatch.setattr("hf_audio_tagger.hub.push", push_nowhere)
    place = dest if dest.startswith("hf://") else str(tmp_path / dest)
    tag_dataset(MISSING, place, TAGGER, push=asked)
    if dest == "folder" and asked is None:
        assert pushes == []
        return
    (push,) = pushes
    assert (push["rows"], push["to"], push.get("revision")) == (5, "user/name", revision)
    assert push.get("private") == (asked and True)
    assert (push["tagger"], push["token"]) == (TAGGER, TAGGER.token)


# What --overwrite removes


def test_overwrite_removes_what_runs_have_made_and_nothing_else(tmp_path: Path) -> None:
    dest = tmp_path / "out"
    tag_dataset(MISSING, dest, TAGGER, shard_rows=1)
    os.truncate(dest / "data" / "shard-00003.parquet", 10)
    watcher = Seeing()
    tag_dataset(MISSING, dest, TAGGER, watcher=watcher)
    assert len(watcher.notes) == 1
    (dest / "data" / ".mine").write_text("mine")
    (dest / "mine.txt").write_text("mine")
    fewer = Dataset.from_dict({"video": NAMES[:1]})
    with pytest.raises(SettingsError, match="It had 5 rows, now 1"):
        tag_dataset(fewer, dest, TAGGER)
    assert len(shard_names(dest)) == 5
    assert tag_dataset(fewer, dest, TAGGER, overwrite=True).rows == 1
    assert {path.name for path in (dest / "data").iterdir()} == {"shard-00000.parquet", ".mine"}
    assert (dest / "mine.txt").read_text() == "mine"
    assert (listed_rows(dest), list(load_result(dest)["video"])) == ([0], NAMES[:1])


def test_overwrite_of_a_file_leaves_no_old_rows_where_the_new_run_is_cut(tmp_path: Path) -> None:
    dest = tmp_path / "out.jsonl"
    tag_dataset(MISSING, dest, TAGGER)
    with pytest.raises(KeyboardInterrupt):
        tag_dataset(MISSING, dest, TAGGER, overwrite=True, watcher=Seeing(1))
    assert not dest.exists()


# What a run does not go on with


def test_shards_whose_record_is_gone_are_refused_and_stay(tmp_path: Path) -> None:
    dest = tmp_path / "out"
    tag_dataset(MISSING, dest, TAGGER, shard_rows=2)
    (dest / ".hf_audio_tagger" / "run.json").unlink()
    with pytest.raises(SettingsError, match=r"whose record is missing.*overwrite=True"):
        tag_dataset(MISSING, dest, TAGGER)
    assert len(shard_names(dest)) == 3


@pytest.mark.parametrize("change", [{"shard_rows": "2"}, {"settings": None}, {"unknown": 1}])
def test_a_record_of_another_form_is_told(tmp_path: Path, change: dict[str, Any]) -> None:
    dest = tmp_path / "out"
    tag_dataset(MISSING, dest, TAGGER, shard_rows=2)
    record = dest / ".hf_audio_tagger" / "run.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), **change}))
    with pytest.raises(RunError, match=r"run\.json is damaged.*overwrite=True"):
        tag_dataset(MISSING, dest, TAGGER)


def test_a_limit_is_remembered_as_it_was_asked_for_last(tmp_path: Path) -> None:
    dest = tmp_path / "out"
    tag_dataset(MISSING, dest, TAGGER, shard_rows=2, limit=1)
    tag_dataset(MISSING, dest, TAGGER, limit=3)
    with pytest.raises(SettingsError, match="started with limit=3; a smaller one would remove rows"):
        tag_dataset(MISSING, dest, TAGGER, limit=2)
    assert tag_dataset(MISSING, dest, TAGGER, limit=3).processed_now == 0
    assert tag_dataset(MISSING, dest, TAGGER).rows == 5
    with pytest.raises(SettingsError, match="started without a limit"):
        tag_dataset(MISSING, dest, TAGGER, limit=5)
    assert len(shard_names(dest)) == 3  # the first run's shard_rows hold


def test_what_is_remembered_of_a_tagger_holds_no_secret() -> None:
    url = "https://example.org/yamnet.pth"
    tagger = build_tagger("yamnet", weights=f"{url}?token=secret", token="hf_secret")
    said = describe_settings(tagger)
    assert (said["weights"], said["dtype"]) == (url, "float32")
    assert "secret" not in json.dumps(said)
    other = build_tagger("yamnet", weights=f"{url}?token=other", hop_seconds=0.96)
    assert describe_changes(said, describe_settings(other)) == "hop_seconds was None, now 0.96"


def test_a_run_that_fails_at_its_first_rows_leaves_no_shard(tmp_path: Path) -> None:
    dest = tmp_path / "out"
    with pytest.raises(MediaError, match="not there 0"):
        tag_dataset(MISSING, dest, replace(TAGGER, on_error="raise"))
    assert list((dest / "data").iterdir()) == []


@pytest.mark.parametrize("name", ["out.parquet", "out.jsonl", "out"])
def test_a_stream_without_rows_gives_no_file(tmp_path: Path, name: str) -> None:
    features = Features({"video": Value("string")})
    stream = IterableDataset.from_generator(lambda: iter(()), features=features)
    assert tag_dataset(stream, tmp_path / name, TAGGER).rows == 0
    assert (tmp_path / name).is_file() is False
    with pytest.raises(SettingsError, match="holds no shards"):
        load_result(tmp_path / name)


def test_rows_of_several_batches_are_written_together(tmp_path: Path) -> None:
    tag_dataset(MISSING, tmp_path / "out", TAGGER)
    assert pq.read_metadata(tmp_path / "out" / "data" / "shard-00000.parquet").num_row_groups == 1


# Counting what is there


def test_failures_are_listed_by_their_rows_where_shards_before_them_are_lost(tmp_path: Path) -> None:
    dest = tmp_path / "out"
    tag_dataset(MISSING, dest, TAGGER, shard_rows=2)
    os.truncate(dest / "data" / "shard-00000.parquet", 10)
    with pytest.raises(RunError, match="3 rows failed, more than the 1 allowed"):
        tag_dataset(MISSING, dest, TAGGER, max_failures=1)
    assert listed_rows(dest) == [2, 3, 4]


@pytest.mark.parametrize("most", [0, "0", "0%"])
def test_no_failure_at_all_may_be_asked_for(tmp_path: Path, most: int | str) -> None:
    with pytest.raises(RunError, match=r"Stopped: [25] "):  # a share is judged when all five are heard
        tag_dataset(MISSING, tmp_path / "out", TAGGER, max_failures=most)
