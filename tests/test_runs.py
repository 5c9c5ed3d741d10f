"""Runs that nothing interrupts: rows, forms, sources, limits and settings. The model is the packaged one."""

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from datasets import Dataset, Features, List, Value, Video, load_dataset
from thirty_clips import ROWS, SHARD, TAGGER, Interrupting, interrupt, rows_of, write_thirty_clips

from hf_audio_tagger import build_tagger, memo
from hf_audio_tagger.demo import CHECKPOINT
from hf_audio_tagger.errors import SettingsError
from hf_audio_tagger.runs import Progress, Watcher, load_result, locks, tag_dataset
from hf_audio_tagger.sources import open_source

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("one_thread_everywhere")]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_thirty_clips(tmp_path_factory.mktemp("thirty"))


@pytest.fixture(scope="module")
def whole(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What a run gives that nothing interrupts."""
    dest = tmp_path_factory.mktemp("whole") / "out"
    tag_dataset(clips, dest, TAGGER, shard_rows=SHARD)
    return rows_of(dest)


def test_result_is_what_the_tagger_says_of_each_clip(clips: Path, whole: list[dict[str, Any]]) -> None:
    assert [row["file_name"] for row in whole] == [f"{number:02d}.mp4" for number in range(ROWS)]
    assert [row["video_audio_tags"] for row in whole] == [
        [result.tag] for number in range(ROWS) for result in TAGGER.classify(clips / f"{number:02d}.mp4")
    ]
    assert whole[9]["video_audio_tags"] == ["EMPTY"]
    assert whole[4]["video_audio_tags"] == [None]
    assert "04.mp4: it is no readable media file" in whole[4]["video_audio_error"][0]
    assert len(whole[0]["video_audio_top"][0]) == 3


def test_load_dataset_opens_a_folder_with_its_types(clips: Path, tmp_path: Path) -> None:
    summary = tag_dataset(clips, tmp_path / "out", TAGGER, shard_rows=SHARD, limit=10)
    ds = load_dataset(str(tmp_path / "out"), split="train")
    assert ds.num_rows == 10
    assert ds.features == TAGGER.features(Features({"file_name": Value("string"), "video": Video()}))
    assert ds["video_audio_tags"][:] == load_result(tmp_path / "out")["video_audio_tags"][:]
    assert (summary.rows, summary.tagged, summary.empty, summary.failed) == (10, 8, 1, 1)
    assert summary.failures is not None
    listed = [json.loads(line) for line in Path(summary.failures).read_text().splitlines()]
    assert [(one["row"], one["video"], one["path"]) for one in listed] == [(4, 0, str(clips / "04.mp4"))]
    assert "no readable media" in listed[0]["error"]


def test_two_processes_give_the_same_rows(clips: Path, whole: list[dict[str, Any]], tmp_path: Path) -> None:
    summary = tag_dataset(clips, tmp_path / "out", TAGGER, shard_rows=SHARD, num_proc=2)
    assert rows_of(tmp_path / "out") == whole
    assert (summary.rows, summary.tagged, summary.empty, summary.failed) == (30, 26, 2, 2)
    assert summary.most_frequent[0][1] == max(count for _, count in summary.most_frequent)
    assert sum(count for _, count in summary.most_frequent) == 26


def test_other_settings_and_other_sources_are_refused(clips: Path, tmp_path: Path) -> None:
    dest = tmp_path / "out"
    tag_dataset(clips, dest, TAGGER, limit=2)
    other = build_tagger("demo", top_k=5, embeddings=True, on_error="record")
    with pytest.raises(SettingsError, match=r"top_k was 3, now 5\. overwrite=True starts over"):
        tag_dataset(clips, dest, other, limit=2)
    fewer = tmp_path / "fewer"
    fewer.mkdir()
    for name in ("00.mp4", "01.mp4"):
        shutil.copy(clips / name, fewer / name)
    with pytest.raises(SettingsError, match=r"another source, .* had 30 rows, now 2"):
        tag_dataset(fewer, dest, TAGGER, limit=2)
    tag_dataset(fewer, dest, other, overwrite=True)
    assert [len(row["video_audio_top"][0]) for row in rows_of(dest)] == [5, 5]
    same = build_tagger("demo", top_k=5, embeddings=True, on_error="record", batch_size=1, token="hf_x")
    assert tag_dataset(fewer, dest, same).processed_now == 0
    assert "hf_x" not in "".join(path.read_text("latin-1") for path in dest.rglob("*") if path.is_file())


def test_settings_that_never_worked_do_not_hold_a_place(clips: Path, tmp_path: Path) -> None:
    shutil.copytree(CHECKPOINT, tmp_path / "no model")
    (tmp_path / "no model" / "model.safetensors").write_bytes(b"no weights")
    wrong = build_tagger(tmp_path / "no model", on_error="record")
    with pytest.raises(Exception, match="no model"):
        tag_dataset(clips, tmp_path / "out", wrong, limit=2)
    assert tag_dataset(clips, tmp_path / "out", TAGGER, limit=2).rows == 2


def test_a_limit_can_grow_and_not_shrink(clips: Path, whole: list[dict[str, Any]], tmp_path: Path) -> None:
    dest = tmp_path / "out"
    assert tag_dataset(clips, dest, TAGGER, shard_rows=SHARD, limit=9).processed_now == 9
    with pytest.raises(SettingsError, match="started with limit=9"):
        tag_dataset(clips, dest, TAGGER, limit=5)
    assert tag_dataset(clips, dest, TAGGER, limit=12).processed_now == 3
    assert tag_dataset(clips, dest, TAGGER).processed_now == 18
    assert [row["video_audio_tags"] for row in rows_of(dest)] == [row["video_audio_tags"] for row in whole]


def test_a_second_run_is_refused(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "LOCK_WAIT_SECONDS", 0.2)
    dest = tmp_path / "out"

    class Second(Watcher):
        def progressed(self, progress: Progress) -> None:
            with pytest.raises(SettingsError, match=rf"another run is using it \(process {os.getpid()} "):
                tag_dataset(clips, dest, TAGGER, limit=2)

    tag_dataset(clips, dest, TAGGER, limit=2, watcher=Second())
    assert tag_dataset(clips, dest, TAGGER, limit=2).processed_now == 0


def test_what_no_run_has_made_is_not_touched(clips: Path, tmp_path: Path) -> None:
    (tmp_path / "tags.jsonl").write_text("mine\n")
    with pytest.raises(SettingsError, match=r"tags\.jsonl exists"):
        tag_dataset(clips, tmp_path / "tags.jsonl", TAGGER, limit=2)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.parquet").write_text("mine\n")
    with pytest.raises(SettingsError, match="holds other files"):
        tag_dataset(clips, tmp_path, TAGGER, limit=2, overwrite=True)
    assert (
        (tmp_path / "tags.jsonl").read_text() == (tmp_path / "data" / "mine.parquet").read_text() == "mine\n"
    )


def test_retry_failed_hears_the_failed_rows_and_no_others(clips: Path, tmp_path: Path) -> None:
    folder, dest = tmp_path / "clips", tmp_path / "out"
    shutil.copytree(clips, folder)
    tag_dataset(folder, dest, TAGGER, shard_rows=SHARD)
    before = {path.name: path.read_bytes() for path in (dest / "data").iterdir()}
    rows_before = rows_of(dest)
    shutil.copy(clips / "00.mp4", folder / "04.mp4")  # one is mended; nobody else may be opened
    for number in range(ROWS):
        if number not in (4, 17):
            (folder / f"{number:02d}.mp4").write_bytes(b"must not be opened")
    summary = tag_dataset(folder, dest, TAGGER, retry_failed=True, num_proc=1)
    assert (summary.processed_now, summary.failed, summary.tagged) == (2, 1, 27)
    rows = rows_of(dest)
    assert rows[4]["video_audio_tags"] == rows[0]["video_audio_tags"]
    assert rows[4]["video_audio_error"] == [None]
    assert rows[17] == rows_before[17]
    assert [row for row in rows if row["file_name"] != "04.mp4"] == [
        row for row in rows_before if row["file_name"] != "04.mp4"
    ]
    after = {path.name: path.read_bytes() for path in (dest / "data").iterdir()}
    untouched = ["shard-00001.parquet", "shard-00003.parquet", "shard-00004.parquet"]
    assert all(after[name] == before[name] for name in untouched)


def test_jsonl_and_parquet_hold_the_same_rows(
    clips: Path, whole: list[dict[str, Any]], tmp_path: Path
) -> None:
    for name in ("tags.jsonl", "tags.parquet"):
        with pytest.raises(KeyboardInterrupt):
            tag_dataset(clips, tmp_path / name, TAGGER, shard_rows=SHARD, watcher=Interrupting(12, interrupt))
        assert not (tmp_path / name).exists()  # whole or not there
        tag_dataset(clips, tmp_path / name, TAGGER, shard_rows=SHARD)
    assert pq.read_table(tmp_path / "tags.parquet").to_pylist() == whole
    lines = [json.loads(line) for line in (tmp_path / "tags.jsonl").read_text().splitlines()]
    assert lines == [{**row, "video": row["video"]["path"]} for row in whole]
    before = (tmp_path / "tags.jsonl").stat().st_mtime_ns
    assert tag_dataset(clips, tmp_path / "tags.jsonl", TAGGER).processed_now == 0
    assert (tmp_path / "tags.jsonl").stat().st_mtime_ns == before
    assert tag_dataset(clips, tmp_path / "tags.jsonl", TAGGER, retry_failed=True).processed_now == 2


def test_rows_of_files_keep_their_columns_and_relative_paths(clips: Path, tmp_path: Path) -> None:
    lines = [
        {"id": number, "videos": [f"{number:02d}.mp4", "09.mp4"] if number else [], "when": {"day": number}}
        for number in range(6)
    ]
    path = clips / "rows.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    try:
        summary = tag_dataset(path, tmp_path / "out", TAGGER)
    finally:
        path.unlink()
    rows = rows_of(tmp_path / "out")
    assert [{name: row[name] for name in ("id", "videos", "when")} for row in rows] == lines
    assert rows[0]["video_audio_tags"] == []
    assert rows[4]["video_audio_tags"] == [None, "EMPTY"]
    assert (summary.without_videos, summary.failed, summary.tagged) == (1, 1, 4)


def test_a_clip_that_stands_in_many_rows_is_no_trap(clips: Path, tmp_path: Path) -> None:
    """What was heard of it before must not change the company that other clips are heard in."""
    numbers = [0, 1, 2, 0, 3, 5, 0, 1, 6, 7, 0, 8]
    manifest = tmp_path / "rows.jsonl"
    manifest.write_text("".join(json.dumps({"video": str(clips / f"{i:02d}.mp4")}) + "\n" for i in numbers))
    tag_dataset(manifest, tmp_path / "whole", TAGGER, shard_rows=6)
    memo.clear()
    with pytest.raises(KeyboardInterrupt):
        tag_dataset(manifest, tmp_path / "out", TAGGER, shard_rows=6, watcher=Interrupting(6, interrupt))
    memo.clear()
    tag_dataset(manifest, tmp_path / "out", TAGGER, shard_rows=6)
    assert rows_of(tmp_path / "out") == rows_of(tmp_path / "whole")


def test_bytes_in_cells_are_heard_kept_in_parquet_and_left_out_of_json(clips: Path, tmp_path: Path) -> None:
    cells = [
        {"bytes": (clips / f"{number:02d}.mp4").read_bytes(), "path": f"{number}.mp4"} for number in (0, 1)
    ]
    ds = Dataset.from_dict(
        {"videos": [cells, []], "raw": [b"\0\1", None]},
        features=Features({"videos": List(Video()), "raw": Value("binary")}),
    )
    ds.save_to_disk(str(tmp_path / "saved"))
    tag_dataset(tmp_path / "saved", tmp_path / "out", TAGGER)
    assert [row["videos"] for row in rows_of(tmp_path / "out")] == [cells, []]
    tag_dataset(tmp_path / "saved", tmp_path / "tags.jsonl", TAGGER)
    lines = [json.loads(line) for line in (tmp_path / "tags.jsonl").read_text().splitlines()]
    assert [line["videos"] for line in lines] == [["0.mp4", "1.mp4"], []]
    assert "raw" not in lines[0]
    assert lines[0]["video_audio_tags"] == rows_of(tmp_path / "out")[0]["video_audio_tags"]


@pytest.mark.parametrize("num_proc", [None, pytest.param(1, marks=pytest.mark.campaign)])
def test_a_stream_gives_the_same_rows_also_in_pieces(
    clips: Path, whole: list[dict[str, Any]], tmp_path: Path, num_proc: int | None
) -> None:
    manifest = tmp_path / "rows.jsonl"
    manifest.write_text(
        "".join(json.dumps({"video": str(clips / f"{i:02d}.mp4")}) + "\n" for i in range(ROWS))
    )
    stream = open_source(manifest, streaming=True)
    dest = tmp_path / "out"
    assert tag_dataset(stream, dest, TAGGER, shard_rows=SHARD, limit=8, num_proc=num_proc).rows == 8
    with pytest.raises(KeyboardInterrupt):
        tag_dataset(stream, dest, TAGGER, num_proc=num_proc, watcher=Interrupting(11, interrupt))
    kept = len(rows_of(dest))
    assert 8 < kept < ROWS
    assert tag_dataset(stream, dest, TAGGER, num_proc=num_proc).processed_now == ROWS - kept
    again = tag_dataset(stream, dest, TAGGER, num_proc=num_proc)
    assert (again.processed_now, again.rows, again.failed) == (0, ROWS, 2)
    assert tag_dataset(stream, dest, TAGGER, retry_failed=True, num_proc=num_proc).processed_now == 2
    assert [row["video_audio_tags"] for row in rows_of(dest)] == [row["video_audio_tags"] for row in whole]
    with pytest.raises(SettingsError, match="in sequence"):
        tag_dataset(stream, dest, TAGGER, num_proc=2)


def test_wrong_use_is_told_before_anything_is_written(clips: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.write_text("video\n")
    cases: list[tuple[str, Callable[[], object]]] = [
        ("holds no rows", lambda: tag_dataset(empty, tmp_path / "out")),
        ("no column 'sound'", lambda: tag_dataset(clips, tmp_path / "out", build_tagger(column="sound"))),
        (
            "num_proc must be a whole number of at least 1; got 0",
            lambda: tag_dataset(clips, tmp_path / "out", num_proc=0),
        ),
        ("DEST must be a folder", lambda: tag_dataset(clips, tmp_path / "out.csv")),
        ("hf://datasets/user/name", lambda: tag_dataset(clips, "hf://models/x")),
    ]
    for words, call in cases:
        with pytest.raises((SettingsError, KeyError), match=words):
            call()
    assert not (tmp_path / "out").exists()


def test_a_run_of_nothing_new_takes_no_time(clips: Path, tmp_path: Path) -> None:
    tag_dataset(clips, tmp_path / "out", TAGGER, limit=3)
    begun = time.monotonic()
    tag_dataset(clips, tmp_path / "out", TAGGER, limit=3, num_proc=4)
    assert time.monotonic() - begun < 2
