"""Going on: what has changed since is heard again, nothing else is, and DEST is what its shards say."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_runs import BROKEN, ROWS, SHARD, TAGGER, Seeing, clip_path, rows_of, write_clip, write_clips

from hf_audio_tagger.errors import RunError, SettingsError
from hf_audio_tagger.executors.contract import JobProgress
from hf_audio_tagger.runs import Watcher, shards, tag_dataset
from hf_audio_tagger.runs.engine import FailureLimit, RunCounter
from hf_audio_tagger.runs.progress import ProgressSum
from hf_audio_tagger.sources import open_source

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("one_thread_everywhere")]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("made") / "clips")


@pytest.fixture
def clips(made: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(made, tmp_path / "clips"))


def tags(rows: list[dict[str, Any]]) -> list[Any]:
    return [row["video_audio_tags"] for row in rows]


def expected(clips: Path) -> list[Any]:
    """The tags that an uninterrupted run gives now."""
    dest = clips.parent / "expected"
    tag_dataset(clips, dest, TAGGER, shard_rows=SHARD, overwrite=True)
    return tags(rows_of(dest))


# Files that change


def test_all_files_replaced_are_all_heard_again(clips: Path, tmp_path: Path) -> None:
    tag_dataset(clips, tmp_path / "out", TAGGER, shard_rows=SHARD)
    for number in range(ROWS):
        write_clip(clip_path(clips, number), number + 1)
    assert tag_dataset(clips, tmp_path / "out", TAGGER).processed_now == ROWS
    assert tags(rows_of(tmp_path / "out")) == expected(clips)
    assert tag_dataset(clips, tmp_path / "out", TAGGER).processed_now == 0


@pytest.mark.parametrize("num_proc", [None, 2])
def test_only_the_rows_that_changed_are_heard_again(
    clips: Path, tmp_path: Path, num_proc: int | None
) -> None:
    dest = tmp_path / "out"
    tag_dataset(clips, dest, TAGGER, shard_rows=SHARD)
    before = {path.name: path.read_bytes() for path in (dest / "data").iterdir()}
    write_clip(clip_path(clips, 4), 9)  # beside the broken one, which has not changed
    write_clip(clip_path(clips, 6), 9)
    watcher = Seeing()
    summary = tag_dataset(clips, dest, TAGGER, num_proc=num_proc, watcher=watcher)
    assert (summary.processed_now, summary.failed) == (2, 1)
    assert watcher.plans[0].done_rows == ROWS - 2
    assert (watcher.seen[-1].done_rows, watcher.seen[-1].failed_rows) == (ROWS, 1)
    assert tags(rows_of(dest)) == expected(clips)
    after = {path.name: path.read_bytes() for path in (dest / "data").iterdir()}
    assert [name for name in sorted(after) if after[name] != before[name]] == ["shard-00001.parquet"]


def test_same_size_and_a_clock_that_goes_backwards(clips: Path, tmp_path: Path) -> None:
    tag_dataset(clips, tmp_path / "out", TAGGER, shard_rows=SHARD)
    broken = clip_path(clips, BROKEN)
    size = broken.stat().st_size
    broken.write_bytes(b"x" * size)
    os.utime(broken, (1, 1))
    assert tag_dataset(clips, tmp_path / "out", TAGGER).processed_now == 1


def test_a_broken_file_that_is_mended_no_longer_fails(clips: Path, tmp_path: Path) -> None:
    tag_dataset(clips, tmp_path / "out", TAGGER, shard_rows=SHARD)
    write_clip(clip_path(clips, BROKEN), 1)
    watcher = Seeing()
    summary = tag_dataset(clips, tmp_path / "out", TAGGER, watcher=watcher, max_failures=0)
    assert (summary.processed_now, summary.failed, watcher.plans[0].failed_rows) == (1, 0, 0)


def test_changes_and_a_run_that_was_cut(clips: Path, tmp_path: Path) -> None:
    dest = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        tag_dataset(clips, dest, TAGGER, shard_rows=SHARD, watcher=Seeing(6))
    write_clip(clip_path(clips, 0), 7)
    with pytest.raises(KeyboardInterrupt):
        tag_dataset(clips, dest, TAGGER, watcher=Seeing(1))
    assert len(rows_of(dest)) == 6  # a longer shard is not replaced by a shorter one
    write_clip(clip_path(clips, 1), 7)
    tag_dataset(clips, dest, TAGGER, num_proc=2)
    assert tags(rows_of(dest)) == expected(clips)
    assert tag_dataset(clips, dest, TAGGER).processed_now == 0


def test_retry_failed_leaves_changed_rows_to_the_next_run(clips: Path, tmp_path: Path) -> None:
    dest = tmp_path / "out"
    tag_dataset(clips, dest, TAGGER, shard_rows=SHARD)
    write_clip(clip_path(clips, BROKEN), 1)
    write_clip(clip_path(clips, 4), 9)
    assert tag_dataset(clips, dest, TAGGER, retry_failed=True).processed_now == 1
    assert tag_dataset(clips, dest, TAGGER).processed_now == 1
    assert tags(rows_of(dest)) == expected(clips)


@pytest.mark.parametrize("name", ["out.jsonl", "out.parquet"])
def test_a_file_as_dest_gets_the_changed_rows_too(clips: Path, tmp_path: Path, name: str) -> None:
    tag_dataset(clips, tmp_path / name, TAGGER, shard_rows=SHARD, limit=6)
    write_clip(clip_path(clips, 1), 9)
    assert tag_dataset(clips, tmp_path / name, TAGGER).processed_now == 1 + ROWS - 6
    if name == "out.jsonl":
        rows = [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
    else:
        rows = pq.read_table(tmp_path / name).to_pylist()
    assert tags(rows) == expected(clips)


@pytest.mark.parametrize("streaming", [False, True])
def test_files_that_a_list_of_rows_names(clips: Path, tmp_path: Path, streaming: bool) -> None:
    lines = [{"videos": [f"clips/{n:02d}.mp4", "https://127.0.0.1:1/x.mp4"][: 1 + n % 2]} for n in range(6)]
    lines.append({"videos": []})
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    source = open_source(tmp_path / "rows.jsonl", streaming=streaming)
    assert tag_dataset(source, tmp_path / "out", TAGGER, shard_rows=SHARD).processed_now == 7
    write_clip(clip_path(clips, 2), 7)
    watcher = Seeing()
    summary = tag_dataset(source, tmp_path / "out", TAGGER, watcher=watcher)
    assert (summary.processed_now, watcher.plans[0].done_rows) == (1, 6)
    assert rows_of(tmp_path / "out")[2]["video_audio_tags"] == [TAGGER.tag(clip_path(clips, 2))]
    clip_path(clips, 0).unlink()  # what is gone keeps the tags that it was given
    assert tag_dataset(source, tmp_path / "out", TAGGER).processed_now == 0


def test_a_changed_file_in_the_last_rows_of_a_stream(clips: Path, tmp_path: Path) -> None:
    """They stand in a short shard, behind which the stream goes on, or at its end."""
    lines = [json.dumps({"video": str(clip_path(clips, number))}) + "\n" for number in range(ROWS)]
    (tmp_path / "rows.jsonl").write_text("".join(lines))
    source, dest = open_source(tmp_path / "rows.jsonl", streaming=True), tmp_path / "out"
    tag_dataset(source, dest, TAGGER, shard_rows=SHARD, limit=7)
    write_clip(clip_path(clips, 6), 9)
    watcher = Seeing()
    assert tag_dataset(source, dest, TAGGER, limit=7, watcher=watcher).processed_now == 1
    assert (watcher.plans[0].done_rows, watcher.plans[0].total_rows) == (6, 7)
    write_clip(clip_path(clips, 4), 7)
    assert tag_dataset(source, dest, TAGGER).processed_now == 1 + ROWS - 7
    write_clip(clip_path(clips, 9), 7)
    write_clip(clip_path(clips, 0), 7)
    assert tag_dataset(source, dest, TAGGER).processed_now == 2
    assert tags(rows_of(dest)) == expected(clips)
    assert tag_dataset(source, dest, TAGGER).processed_now == 0


def test_media_in_cells_are_not_read_to_see_whether_files_changed(clips: Path, tmp_path: Path) -> None:
    rows = [
        {"video": {"bytes": clip_path(clips, n).read_bytes(), "path": str(clip_path(clips, n))}}
        for n in (0, 1)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    tag_dataset(tmp_path / "rows.parquet", tmp_path / "out", TAGGER)
    write_clip(clip_path(clips, 0), 5)  # nobody hears this file
    assert tag_dataset(tmp_path / "rows.parquet", tmp_path / "out", TAGGER).processed_now == 0


@pytest.mark.parametrize("order", [("path", "bytes"), ("bytes", "path")])
@pytest.mark.parametrize("is_list", [False, True])
def test_files_that_cells_with_a_path_name(
    clips: Path, tmp_path: Path, order: tuple[str, str], is_list: bool
) -> None:
    cells = [{"path": str(clip_path(clips, number)), "bytes": None} for number in (0, 1)]
    kind = pa.struct([(name, pa.binary() if name == "bytes" else pa.string()) for name in order])
    column = pa.array([cells, []], pa.list_(kind)) if is_list else pa.array(cells, kind)
    pq.write_table(pa.table({"video": column}), tmp_path / "rows.parquet")
    tag_dataset(tmp_path / "rows.parquet", tmp_path / "out", TAGGER)
    write_clip(clip_path(clips, 0), 5)
    assert tag_dataset(tmp_path / "rows.parquet", tmp_path / "out", TAGGER).processed_now == 1
    assert tag_dataset(tmp_path / "rows.parquet", tmp_path / "out", TAGGER).processed_now == 0


def test_shards_of_an_earlier_version_are_gone_on_from(clips: Path, tmp_path: Path) -> None:
    """They do not say what their files were like, nor which shard they are, and have no checksums."""
    dest = tmp_path / "out"
    tag_dataset(clips, dest, TAGGER, shard_rows=SHARD, limit=6)
    for path in (dest / "data").iterdir():
        table, metadata = pq.read_table(path), pq.read_metadata(path).metadata
        said = json.loads(metadata[shards.FOOTER_KEY])
        del said["stamps"], said["index"]
        with pq.ParquetWriter(path, table.schema) as writer:
            writer.write_table(table)
            writer.add_key_value_metadata({shards.FOOTER_KEY: json.dumps(said).encode()})
    (dest / ".hf_audio_tagger" / "shards.jsonl").unlink()
    write_clip(clip_path(clips, 0), 7)
    watcher = Seeing()
    assert tag_dataset(clips, dest, TAGGER, watcher=watcher).processed_now == ROWS - 6
    assert not watcher.notes
    write_clip(clip_path(clips, 9), 7)  # of a row that was heard now
    assert tag_dataset(clips, dest, TAGGER).processed_now == 1


# DEST that is one file


def truncate(path: Path) -> None:
    os.truncate(path, 100)


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"{}\n")


def alter(path: Path) -> None:
    """Other bytes of the same length, at another time."""
    info = path.stat()
    path.write_bytes(b"x" * info.st_size)
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns - 1))


def swap(path: Path) -> None:
    """Another file of the same size and time in its place."""
    info = path.stat()
    other = path.with_name("other")
    other.write_bytes(b"x" * info.st_size)
    os.utime(other, ns=(info.st_atime_ns, info.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize("name", ["out.jsonl", "out.parquet"])
@pytest.mark.parametrize("damage", [truncate, append, alter, swap, Path.unlink])
def test_a_result_that_is_not_what_was_written_is_written_again(
    clips: Path, tmp_path: Path, name: str, damage: Callable[[Path], None]
) -> None:
    dest = tmp_path / name
    tag_dataset(clips, dest, TAGGER, shard_rows=SHARD)
    before = dest.read_bytes()
    damage(dest)
    assert tag_dataset(clips, dest, TAGGER).processed_now == 0
    assert dest.read_bytes() == before
    written = dest.stat()
    tag_dataset(clips, dest, TAGGER)
    assert (dest.stat().st_mtime_ns, dest.stat().st_ino) == (written.st_mtime_ns, written.st_ino)


def test_writing_is_told_only_where_the_file_is_written(clips: Path, tmp_path: Path) -> None:
    told: list[str] = []

    class Listening(Watcher):
        def finishing(self, what: str) -> None:
            told.append(what)

    dest = tmp_path / "out.jsonl"
    for _ in range(2):
        tag_dataset(clips, dest, TAGGER, limit=2, watcher=Listening())
    assert told == [f"Writing {dest}"]
    append(dest)
    tag_dataset(clips, dest, TAGGER, limit=2, watcher=Listening())
    assert told == 2 * [f"Writing {dest}"]


def test_a_run_that_ends_before_its_file_is_written(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dest = tmp_path / "out.jsonl"
    tag_dataset(clips, dest, TAGGER, shard_rows=SHARD, limit=3)

    class Full(Watcher):
        def finishing(self, what: str) -> None:
            raise OSError(28, "No space left on device")

    with pytest.raises(RunError, match="disk is full"):
        tag_dataset(clips, dest, TAGGER, watcher=Full())
    assert len(dest.read_text().splitlines()) == 3
    assert tag_dataset(clips, dest, TAGGER).processed_now == 0
    assert len(dest.read_text().splitlines()) == ROWS


@pytest.mark.parametrize("is_overwritten", [False, True])
def test_a_link_or_a_folder_in_the_files_place_is_refused(
    clips: Path, tmp_path: Path, is_overwritten: bool
) -> None:
    dest = tmp_path / "out.jsonl"
    tag_dataset(clips, dest, TAGGER, shard_rows=SHARD, limit=3)
    moved = dest.rename(tmp_path / "moved.jsonl")
    dest.symlink_to(moved)
    before = moved.read_bytes()
    with pytest.raises(SettingsError, match=r"out\.jsonl is a link.*moved\.jsonl"):
        tag_dataset(clips, dest, TAGGER, limit=3, overwrite=is_overwritten)
    assert dest.is_symlink()
    assert moved.read_bytes() == before
    dest.unlink()
    dest.mkdir()
    with pytest.raises(SettingsError, match=r"out\.jsonl is a folder"):
        tag_dataset(clips, dest, TAGGER, limit=3, overwrite=is_overwritten)


# Counting


class Summing(dict[int, JobProgress]):
    """Refuses to be gone through: what is told must not take longer the more jobs there are."""

    def __iter__(self) -> Any:
        raise AssertionError("all jobs are looked at")

    values = items = keys = __iter__


def test_what_is_told_takes_as_long_for_many_jobs_as_for_few(clips: Path, tmp_path: Path) -> None:
    watcher = Seeing()
    tag_dataset(clips, tmp_path / "out", TAGGER, limit=1, watcher=watcher)
    counter = RunCounter(watcher.plans[0], FailureLimit(), watcher, lambda: None)
    counter.sum = ProgressSum(0, 0, None, by_job=Summing())
    for index in range(100):
        counter.add(JobProgress(index, 1, 0))
        counter.add(JobProgress(index, 3, 1))
    counter.add(JobProgress(7, 2, 0))  # a job that is done again counts from nothing again
    assert counter.processed_now == 299
    assert (watcher.seen[-1].processed_now, watcher.seen[-1].failed_rows) == (299, 99)
