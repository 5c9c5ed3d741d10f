"""Results in a real object store, S3's: runs, their death, two at once, what errors say."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from s3_store import BUCKET, find_port, forget_connections, s3_environment, serving_s3
from small_runs import ROWS, SHARD, TAGGER, Seeing, rows_of, write_clips, write_embedded

from hf_audio_tagger.errors import RunError, SettingsError
from hf_audio_tagger.runs import Progress, Watcher, leases, load_result, locks, tag_dataset
from hf_audio_tagger.sources import SourceError, open_source
from hf_audio_tagger.stores import StorePath, store_path

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(90),
    pytest.mark.usefixtures("one_thread_everywhere"),
]

DEST = f"s3://{BUCKET}/run"


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    with serving_s3() as address, s3_environment(address) as system:
        yield system


@pytest.fixture
def store(s3: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The file system of an empty bucket."""
    monkeypatch.setattr(leases, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(locks, "LOCK_WAIT_SECONDS", 0.1)
    yield s3
    s3.invalidate_cache()
    if found := s3.find(BUCKET):
        s3.rm(found)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("s3") / "clips")


@pytest.fixture(scope="module")
def whole(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    dest = tmp_path_factory.mktemp("whole") / "out"
    tag_dataset(clips, dest, TAGGER, shard_rows=SHARD)
    return rows_of(dest)


def list_names(store: Any) -> list[str]:
    store.invalidate_cache()
    return sorted(path.removeprefix(f"{BUCKET}/run/") for path in store.find(f"{BUCKET}/run"))


def read_rows(store: Any) -> list[dict[str, Any]]:
    paths = [f"{BUCKET}/run/{name}" for name in list_names(store) if name.startswith("data/shard-")]
    return [row for path in paths for row in pq.read_table(store.open(path)).to_pylist()]


@pytest.mark.parametrize("num_proc", [None, 2])
def test_a_run_into_the_store_is_that_on_a_disk(
    store: Any, clips: Path, whole: list[dict[str, Any]], num_proc: int | None
) -> None:
    with pytest.raises(KeyboardInterrupt):
        tag_dataset(clips, DEST, TAGGER, shard_rows=SHARD, num_proc=num_proc, watcher=Seeing(3))
    kept = len(read_rows(store))  # of two workers that were stopped after three rows, perhaps none
    summary = tag_dataset(clips, DEST, TAGGER, shard_rows=SHARD, num_proc=num_proc)
    assert (summary.rows, summary.failed, summary.processed_now) == (ROWS, 1, ROWS - kept)
    assert num_proc or kept
    assert read_rows(store) == whole
    assert list_names(store) == [
        ".hf_audio_tagger/failures.jsonl",
        ".hf_audio_tagger/run.json",
        *(f"data/shard-{index:05d}.parquet" for index in range(3)),
    ]
    assert load_result(DEST)["video_audio_tags"][:] == [row["video_audio_tags"] for row in whole]


def test_media_in_shards_and_a_file_as_dest(store: Any, clips: Path, tmp_path: Path) -> None:
    rows = write_embedded(clips, tmp_path / "rows.parquet")
    for dest in (f"s3://{BUCKET}/out.parquet", str(tmp_path / "out.parquet")):
        tag_dataset(rows, dest, TAGGER, shard_rows=SHARD)
    in_store = pq.read_table(store.open(f"{BUCKET}/out.parquet")).to_pylist()
    assert in_store == pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert in_store[0]["video"]["bytes"]


def test_kill_9_leaves_nothing_half_and_the_same_command_resumes(
    store: Any, clips: Path, whole: list[dict[str, Any]]
) -> None:
    command = [sys.executable, "-m", "hf_audio_tagger", "tag", str(clips), "--out", DEST, "--shard-rows", "4"]
    command += ["--model", "demo", "--device", "cpu", "--batch-size", "2", "--num-proc", "2", "--quiet"]
    run = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not any(name.startswith("data/") for name in list_names(store)):
            assert run.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    left = [name for name in list_names(store) if name.startswith("data/")]
    assert all(pq.read_metadata(store.open(f"{BUCKET}/run/{name}")).num_rows for name in left)
    assert ".hf_audio_tagger/lock" in list_names(store)
    assert tag_dataset(clips, DEST, TAGGER, num_proc=2).rows == ROWS
    assert read_rows(store) == whole
    assert ".hf_audio_tagger/lock" not in list_names(store)


def put_half(url: str, path: Path, parts: Any) -> None:
    """Put a file in parts, and stand still in the middle."""
    store_path.WHOLE_BYTES = store_path.PART_BYTES = 5 << 20
    forget_connections()

    class Slow:
        def __init__(self) -> None:
            self.file, self.reads = path.open("rb"), 0

        def seek(self, *place: int) -> int:
            return self.file.seek(*place)

        def read(self, size: int) -> bytes:
            self.reads += 1
            if self.reads == 3:
                parts.set()
                time.sleep(300)
            return self.file.read(size)

    StorePath(url).put(Slow())  # type: ignore[arg-type]


def test_an_upload_that_is_killed_is_not_seen(store: Any, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(40 << 20))
    context = multiprocessing.get_context("spawn")
    parts = context.Event()
    putting = context.Process(target=put_half, args=(f"{DEST}/large", tmp_path / "large", parts))
    putting.start()
    try:
        assert parts.wait(60)
    finally:
        putting.kill()
        putting.join()
    assert list_names(store) == []
    with open(tmp_path / "large", "rb") as file:
        StorePath(f"{DEST}/large").put(file)
    assert store.info(f"{BUCKET}/run/large")["size"] == 40 << 20


def test_two_runs_on_one_place_are_refused(store: Any, clips: Path) -> None:
    class Second(Watcher):
        def progressed(self, progress: Progress) -> None:
            with pytest.raises(SettingsError, match=rf"another run is using it \(process {os.getpid()} "):
                tag_dataset(clips, DEST, TAGGER)

    tag_dataset(clips, DEST, TAGGER, limit=2, watcher=Second())


def test_of_two_that_begin_together_one_creates(store: Any) -> None:
    path = StorePath(f"{DEST}/lock")
    assert path.create(b"a")
    assert not path.create(b"b")
    assert path.read_bytes() == b"a"


# Errors


def test_a_bucket_that_is_not_there(clips: Path, store: Any) -> None:
    with pytest.raises(RunError, match=r"s3://nowhere/run\S*: there is no such bucket; check its name"):
        tag_dataset(clips, "s3://nowhere/run", TAGGER)


def test_credentials_that_are_not_there(
    clips: Path, store: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("HOME", str(tmp_path))
    forget_connections()
    try:
        with pytest.raises(RunError, match="no credentials were found; set AWS_ACCESS_KEY_ID"):
            tag_dataset(clips, DEST, TAGGER)
    finally:
        forget_connections()


def test_a_store_that_cannot_be_reached_or_stands_still(
    clips: Path, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    from hf_audio_tagger.stores import systems

    monkeypatch.setattr(systems, "SILENT_SECONDS", 1.0)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        for port in (find_port(), silent.getsockname()[1]):
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
            forget_connections()
            started = time.monotonic()
            with pytest.raises(RunError, match="the store cannot be reached or does not answer"):
                tag_dataset(clips, DEST, TAGGER)
            assert time.monotonic() - started < 15
    forget_connections()


# Sources


def test_clips_and_tables_in_the_store_are_tagged_into_it(
    store: Any, clips: Path, whole: list[dict[str, Any]], tmp_path: Path
) -> None:
    paths = sorted(clips.glob("*.mp4"))
    for path in paths:
        store.put_file(str(path), f"{BUCKET}/clips/{path.name}")
    summary = tag_dataset(f"s3://{BUCKET}/clips/", DEST, TAGGER, shard_rows=SHARD)
    assert (summary.rows, summary.failed) == (ROWS, 1)
    assert [row["file_name"] for row in read_rows(store)] == [path.name for path in paths]
    tags = [row["video_audio_tags"] for row in whole]
    assert [row["video_audio_tags"] for row in read_rows(store)] == tags
    names = [path.name for path in paths]
    for part, some in enumerate((names[:4], names[4:])):
        pq.write_table(pa.table({"video": [f"../clips/{name}" for name in some]}), tmp_path / "rows.parquet")
        store.put_file(str(tmp_path / "rows.parquet"), f"{BUCKET}/rows/{part}.parquet")
    dest = tmp_path / "out"
    tag_dataset(f"s3://{BUCKET}/rows/*.parquet", dest, TAGGER, shard_rows=SHARD)
    assert [row["video_audio_error"] for row in rows_of(dest)].count([None]) == ROWS - 1
    assert [row["video_audio_tags"] for row in rows_of(dest)] == tags


def test_rows_of_the_store_that_change_are_another_source(store: Any) -> None:
    seen = []
    for city in ("Oslo", "Rome"):
        store.pipe_file(f"{BUCKET}/rows.csv", f"video,city\na.mp4,{city}\n".encode())
        source = open_source(f"s3://{BUCKET}/rows.csv")
        seen.append((source.fingerprint, source.rows(0, 1)["city"].to_pylist()))
    assert [city for _, (city,) in seen] == ["Oslo", "Rome"]
    assert seen[0][0] != seen[1][0]


def test_a_source_in_a_bucket_that_is_not_there() -> None:
    wrong = {"rows.parquet": "no such (bucket|file)", "*.parquet": "no file", "clips/": "no such bucket"}
    for name, reason in wrong.items():
        with pytest.raises(SourceError, match=rf"s3://nowhere/\S*: (there is )?{reason}"):
            open_source(f"s3://nowhere/{name}")


def test_shares_of_a_run_beside_each_other(store: Any, clips: Path, whole: list[dict[str, Any]]) -> None:
    context = multiprocessing.get_context("fork")
    shares = [context.Process(target=run_share, args=(str(clips), f"{n}/2")) for n in (1, 2)]
    for share in shares:
        share.start()
    for share in shares:
        share.join(80)
        assert share.exitcode == 0
    assert read_rows(store) == whole
    assert ".hf_audio_tagger/finished.json" in list_names(store)
    assert not [name for name in list_names(store) if "lock" in name]


def run_share(clips: str, shard: str) -> None:
    tag_dataset(clips, DEST, TAGGER, shard_rows=SHARD, shard=shard)
