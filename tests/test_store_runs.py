"""Results in a store: a run over a store in memory, which has no renames, appends or locks."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.parquet as pq
import pytest
from datasets import Dataset
from small_runs import TAGGER, Seeing

from hf_audio_tagger import build_tagger
from hf_audio_tagger.errors import RunError, SettingsError
from hf_audio_tagger.provenance import read_provenance
from hf_audio_tagger.results.facts import Summary
from hf_audio_tagger.results.tagged_rows import open_rows
from hf_audio_tagger.runs import Progress, Watcher, leases, load_result, locks, record, tag_dataset
from hf_audio_tagger.runs.record import Record, read_record
from hf_audio_tagger.runs.run_folder import RunFolder
from hf_audio_tagger.stores import StorePath

pytestmark = pytest.mark.timeout(60)

NAMES = [f"not there {number}.mp4" for number in range(10)]
MISSING = Dataset.from_dict({"video": NAMES})  # ten rows that fail at once
DEST = "memory://bucket/run"


@pytest.fixture(autouse=True)
def system(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(leases, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(locks, "LOCK_WAIT_SECONDS", 0.1)
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()


def tag(dest: str = DEST, **options: Any) -> Summary:
    return tag_dataset(MISSING, dest, TAGGER, **{"shard_rows": 2, **options})


def names_in(system: Any, folder: str = "/bucket") -> list[str]:
    return sorted(path.removeprefix(f"{folder}/") for path in system.find(folder))


def read_rows(system: Any) -> list[dict[str, Any]]:
    """All rows in order, read by pyarrow and not by the package."""
    paths = sorted(path for path in system.find("/bucket/run/data") if path.split("/")[-1][0] != ".")
    return [row for path in paths for row in pq.read_table(system.open(path)).to_pylist()]


def test_a_run_in_a_store_has_the_files_of_one_on_a_disk(system: Any, tmp_path: Path) -> None:
    summary = tag()
    on_disk = tag(str(tmp_path / "out"))
    assert (summary.rows, summary.failed, summary.dest) == (on_disk.rows, on_disk.failed, DEST)
    assert names_in(system, "/bucket/run") == [
        ".hf_audio_tagger/failures.jsonl",
        ".hf_audio_tagger/run.json",
        *(f"data/shard-{index:05d}.parquet" for index in range(5)),
    ]
    assert summary.failures == f"{DEST}/.hf_audio_tagger/failures.jsonl"
    failures = system.cat_file("/bucket/run/.hf_audio_tagger/failures.jsonl").decode().splitlines()
    assert [json.loads(line)["row"] for line in failures] == list(range(10))
    files = sorted((tmp_path / "out" / "data").iterdir())
    assert read_rows(system) == [row for path in files for row in pq.read_table(path).to_pylist()]
    assert tag().processed_now == 0


@pytest.mark.parametrize("name", ["out.jsonl", "out.parquet"])
def test_a_file_in_a_store_is_put_whole(system: Any, name: str) -> None:
    watcher = Seeing()
    tag(f"memory://bucket/{name}", watcher=watcher)
    assert f".{name}.hf_audio_tagger/data/shard-00004.parquet" in names_in(system)
    data = system.open(f"/bucket/{name}")
    rows = pq.read_table(data).to_pylist() if name.endswith("t") else [json.loads(line) for line in data]
    assert [row["video"] for row in rows] == NAMES
    changed = system.info(f"/bucket/{name}")["created"]
    assert tag(f"memory://bucket/{name}").processed_now == 0
    assert system.info(f"/bucket/{name}")["created"] == changed  # not written again


def test_an_interrupted_run_is_resumed_by_what_lies_there(system: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        tag(watcher=Seeing(3))
    assert len(read_rows(system)) >= 3
    system.rm_file("/bucket/run/data/shard-00000.parquet")
    assert tag().processed_now == 10 - len(NAMES[2:4])
    assert [row["video"] for row in read_rows(system)] == NAMES


def test_what_is_no_shard_of_the_run_is_set_aside_or_refused(system: Any) -> None:
    tag()
    system.pipe_file("/bucket/run/data/shard-00001.parquet", b"no parquet")
    watcher = Seeing()
    assert tag(watcher=watcher).processed_now == 2
    assert "memory://bucket/run/data/shard-00001.parquet is damaged" in watcher.notes[0]
    assert "data/.shard-00001.parquet.damaged" in names_in(system, "/bucket/run")
    system.pipe_file("/bucket/run/data/mine.parquet", b"mine")
    with pytest.raises(SettingsError, match=r"memory://bucket/run/data holds 'mine\.parquet'"):
        tag()


def test_other_settings_are_refused_and_overwrite_starts_over(system: Any) -> None:
    tag()
    system.pipe_file("/bucket/run/mine.txt", b"mine")
    other = build_tagger("demo", top_k=2, on_error="record")
    with pytest.raises(SettingsError, match="started with other settings: top_k was None, now 2"):
        tag_dataset(MISSING, DEST, other)
    assert tag_dataset(MISSING, DEST, other, overwrite=True).rows == 10
    assert names_in(system, "/bucket/run/data") == ["shard-00000.parquet"]
    assert system.cat_file("/bucket/run/mine.txt") == b"mine"


def test_shares_of_a_run_in_a_store(system: Any) -> None:
    first = tag(shard="1/2")
    assert (first.rows, first.rows_left, first.shard) == (6, 4, "1/2")
    last = tag(shard="2/2")
    assert (last.rows, last.rows_left, last.shard) == (10, 0, None)
    assert [row["video"] for row in read_rows(system)] == NAMES
    assert not [name for name in names_in(system) if "lock" in name or "clock" in name]


def test_two_shares_that_begin_together_do_the_same_run(system: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another share locks and puts its record when this one has looked for both, and was alone."""
    holder = b'{"token": "a", "process": 1, "host": "another"}'
    tag("memory://bucket/other", shard="1/2", shard_rows=5)
    put = system.cat_file("/bucket/other/.hf_audio_tagger/run.json")

    def read_before_another(folder: RunFolder) -> Record | None:
        monkeypatch.setattr(record, "read_record", read_record)
        before = read_record(folder)
        assert before is None
        system.pipe_file("/bucket/run/.hf_audio_tagger/lock-1-of-2", holder)
        system.pipe_file("/bucket/run/.hf_audio_tagger/run.json", put)
        return before

    monkeypatch.setattr(record, "read_record", read_before_another)
    summary = tag(shard="2/2", shard_rows=2)
    assert (summary.rows, summary.rows_left) == (5, 5)
    assert [name for name in names_in(system) if "run/data/" in name] == ["run/data/shard-00001.parquet"]


def test_what_workers_print_is_kept_on_this_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_AUDIO_TAGGER_CACHE", str(tmp_path / "cache"))
    assert tag(f"file://{tmp_path}/run", num_proc=1).rows == 10
    assert [path.name for path in (tmp_path / "cache").rglob("*.txt")] == ["log.txt"]


def test_what_a_killed_command_left_is_removed(system: Any) -> None:
    """A mark for the nodes of a cluster, which the command would have removed."""
    tag()
    before = names_in(system)
    system.pipe_file("/bucket/run/.hf_audio_tagger/.nodes.0123abcd.77.tmp", b"mark")
    tag()
    assert names_in(system) == before


def test_the_password_of_a_server_of_files_is_not_recorded(tmp_path: Path) -> None:
    rows = Dataset.from_dict({"video": ["ftp://me:hunter2@127.0.0.1:1/a.mp4"]})
    failures = tag_dataset(rows, tmp_path / "out", TAGGER).failures
    assert '"ftp://127.0.0.1:1/a.mp4"' in Path(str(failures)).read_text()
    (row,) = pq.read_table(tmp_path / "out" / "data").to_pylist()
    assert "the connection was refused" in str(row["video_audio_error"])
    for path in (tmp_path / "out" / ".hf_audio_tagger").iterdir():
        assert b"hunter2" not in path.read_bytes()
    assert "hunter2" not in str(row["video_audio_error"])


def test_the_rows_of_a_result_are_those_that_are_there_now(system: Any, tmp_path: Path) -> None:
    tag()
    assert list(load_result(DEST)["video"]) == NAMES
    other = Dataset.from_dict({"video": [f"another {name}" for name in NAMES]})
    tag_dataset(other, DEST, TAGGER, shard_rows=2, overwrite=True)
    result = open_rows(DEST)  # as commands read it
    assert list(result["video"]) == other["video"][:]
    assert set(read_provenance(result)) == {"video_audio_tags"}


# Two runs on one place


class During(Watcher):
    def __init__(self, action: Any) -> None:
        self.action = action

    def progressed(self, progress: Progress) -> None:
        action, self.action = self.action, lambda: None
        action()


def test_a_second_run_is_refused_and_told_when_the_place_is_free() -> None:
    seen = []

    def run_other() -> None:
        with pytest.raises(SettingsError, match="another run is using it") as error:
            tag()
        seen.append(str(error.value))
        with pytest.raises(SettingsError, match="another run is using it"):
            tag(shard="1/2")

    tag(watcher=During(run_other))
    assert "if it has ended, DEST is free in 120 s" in seen[0]


def test_the_place_of_a_run_that_has_ended_is_taken_over(
    system: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag()
    lock = StorePath(f"{DEST}/.hf_audio_tagger/lock")
    elsewhere = {"token": "a", "process": 1, "host": "elsewhere"}
    lock.write_bytes(json.dumps(elsewhere).encode())
    with pytest.raises(SettingsError, match=r"another run is using it \(process 1 on elsewhere; if it has"):
        tag()
    monkeypatch.setattr(leases, "LEASE_SECONDS", 0.0)
    assert tag().rows == 10
    monkeypatch.undo()
    gone = {**elsewhere, "host": leases.socket.gethostname(), "process": 2**22 + 1}
    lock.write_bytes(json.dumps(gone).encode())
    assert tag().rows == 10
    assert not lock.exists()


def test_a_run_whose_place_was_taken_over_ends(system: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEW_SECONDS", 0.01)
    lock = StorePath(f"{DEST}/.hf_audio_tagger/lock")
    other = json.dumps({"token": "a", "process": 1, "host": "elsewhere"}).encode()

    def take_over() -> None:
        lock.write_bytes(other)
        for _ in range(200):
            leases.time.sleep(0.01)

    with pytest.raises(RunError, match="has lost its hold of DEST: another run has taken it over"):
        tag(watcher=During(take_over))
    assert lock.read_bytes() == other


def test_a_held_place_stays_held_while_its_run_lasts(system: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEW_SECONDS", 0.01)
    monkeypatch.setattr(leases, "LEASE_SECONDS", 0.3)

    def run_other() -> None:
        leases.time.sleep(0.5)
        with pytest.raises(SettingsError, match="another run is using it"):
            tag()

    tag(watcher=During(run_other))


# Wrong places


@pytest.mark.parametrize("dest", ["https://example.org/run", "zip://a::s3://bucket/b.zip", "hf://buckets/me"])
def test_where_results_cannot_be_written_is_told(dest: str) -> None:
    with pytest.raises(SettingsError, match="DEST"):
        tag(dest)


def test_a_store_whose_package_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_audio_tagger.stores.systems.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r's3://bucket needs s3fs: pip install "hf-audio-tagger\[s3\]"'):
        tag("s3://bucket/run")


def test_a_source_is_no_destination(system: Any) -> None:
    from hf_audio_tagger.runs.record import check_source
    from hf_audio_tagger.runs.run_folder import folder_for

    for source in ("memory://bucket/run", "memory://bucket/run/data/", "memory://bucket/run/data/*.parquet"):
        with pytest.raises(SettingsError, match="is part of the source"):
            check_source(folder_for(DEST), source)
    check_source(folder_for(DEST), "memory://bucket/rows/*.parquet")
