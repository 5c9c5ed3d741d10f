"""Runs over tars in WebDataset's layout: what the rows are, and what a run keeps when something breaks."""

import json
import os
import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from small_runs import Seeing, rows_of
from tar_files import drop_urls, find_offset, make_clips, make_samples, pack, write_tars

from hf_audio_tagger import build_tagger
from hf_audio_tagger.errors import MediaError, RunError, SettingsError
from hf_audio_tagger.results.facts import Summary
from hf_audio_tagger.runs import Progress, Watcher, load_result, tag_dataset, tagging
from hf_audio_tagger.runs.tar_summary import summarize_tars

pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("one_thread_everywhere")]
TAGGER = build_tagger("demo", batch_size=2, device="cpu", on_error="record")
PER_TAR = 3


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    return make_clips(tmp_path_factory.mktemp("clips"), 8)


@pytest.fixture(scope="module")
def tars(clips: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tars, the last one short."""
    folder = tmp_path_factory.mktemp("tars")
    write_tars(folder, clips, PER_TAR)
    return folder


@pytest.fixture(scope="module")
def whole(tars: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What a run gives that nothing interrupts."""
    dest = tmp_path_factory.mktemp("whole") / "out"
    summary = tag_dataset(str(tars / "*.tar"), dest, TAGGER)
    assert (summary.rows, summary.tagged, summary.failed, summary.broken_tars) == (8, 8, 0, 0)
    return drop_urls(rows_of(dest))


def copy_tars(tars: Path, to: Path) -> Path:
    return Path(shutil.copytree(tars, to))


def test_tags_are_those_of_load_dataset_and_map(tars: Path, whole: list[dict[str, Any]]) -> None:
    """In order; a JSON is the text that `datasets` parses."""
    ds = load_dataset("webdataset", data_files=str(tars / "*.tar"), split="train")
    mapped = ds.map(TAGGER, remove_columns="mp4", batched=True, batch_size=2)
    expected = mapped.to_list()
    for row, other in zip(whole, expected, strict=True):
        assert json.loads(row["json"]) == other["json"]
    names = ["__key__", "txt", "video_audio_tags", "video_audio_error"]
    assert [{name: row[name] for name in names} for row in whole] == [
        {name: row[name] for name in names} for row in expected
    ]
    assert len({tag for row in whole for tag in row["video_audio_tags"]}) > 1


@pytest.mark.parametrize("name", ["{000..002}.tar", "00{0,1,2}.tar", "*.tar"])
def test_a_pattern_in_braces_and_several_processes_give_the_same_rows(
    name: str, tars: Path, whole: list[dict[str, Any]], tmp_path: Path
) -> None:
    num_proc = 2 if name == "{000..002}.tar" else None
    tag_dataset(str(tars / name), tmp_path / "out", TAGGER, num_proc=num_proc)
    assert drop_urls(rows_of(tmp_path / "out")) == whole
    urls = [row["__url__"] for row in rows_of(tmp_path / "out")]
    assert urls == [str(tars / f"{number // PER_TAR:03d}.tar") for number in range(8)]


def test_a_run_resumes_in_the_middle_of_a_tar(
    tars: Path, whole: list[dict[str, Any]], tmp_path: Path
) -> None:
    dest = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        tag_dataset(str(tars / "*.tar"), dest, TAGGER, watcher=Seeing(stop_after=5))
    second = Seeing()
    summary = tag_dataset(str(tars / "*.tar"), dest, TAGGER, watcher=second)
    assert second.plans[0].done_rows == 5  # of the second tar, two samples
    assert (summary.processed_now, summary.rows) == (3, 8)
    assert drop_urls(rows_of(dest)) == whole
    assert tag_dataset(str(tars / "*.tar"), dest, TAGGER).processed_now == 0


def test_a_tar_that_has_changed_is_tagged_again(
    tars: Path, clips: list[bytes], whole: list[dict[str, Any]], tmp_path: Path
) -> None:
    folder = copy_tars(tars, tmp_path / "tars")
    tag_dataset(str(folder / "*.tar"), tmp_path / "out", TAGGER)
    (folder / "001.tar").write_bytes(pack(make_samples(clips[:1], 40)))
    summary = tag_dataset(str(folder / "*.tar"), tmp_path / "out", TAGGER)
    assert (summary.processed_now, summary.rows) == (1, 6)
    assert [row["__key__"] for row in rows_of(tmp_path / "out")] == ["000", "001", "002", "040", "006", "007"]


def read_failures(summary: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(summary.failures).read_text().splitlines()]


def test_a_tar_that_breaks_off_is_recorded_and_retried(
    tars: Path, whole: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Its samples so far stay, it counts as failed, and only --retry-failed looks at it again."""
    folder = copy_tars(tars, tmp_path / "tars")
    data = (folder / "001.tar").read_bytes()
    (folder / "001.tar").write_bytes(data[: find_offset(data, "005.mp4") + 100])
    pattern, dest = str(folder / "*.tar"), tmp_path / "out"
    summary = tag_dataset(pattern, dest, TAGGER)
    assert (summary.rows, summary.failed, summary.broken_tars) == (7, 0, 1)
    (failure,) = read_failures(summary)
    assert failure["tar"] == str(folder / "001.tar")
    assert "cut off within '005.mp4'" in failure["error"]
    assert "1 tar breaks off" in summary.notes[0]
    again = tag_dataset(pattern, dest, TAGGER)
    assert (again.processed_now, again.broken_tars) == (0, 1)
    retried = tag_dataset(pattern, dest, TAGGER, retry_failed=True)
    assert (retried.processed_now, retried.rows, retried.broken_tars) == (0, 7, 1)
    (folder / "001.tar").write_bytes(data)
    mended = tag_dataset(pattern, dest, TAGGER)  # it has changed
    assert (mended.rows, mended.broken_tars, mended.failures) == (8, 0, None)
    assert drop_urls(rows_of(dest)) == whole


def test_reading_goes_on_behind_the_last_good_sample(
    tars: Path, whole: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reading error that passes, of a file whose state is not known: nothing is tagged twice."""
    from hf_audio_tagger.sources.tars import byte_streams

    fetch, fails_at = byte_streams.LocalStream.fetch, find_offset((tars / "001.tar").read_bytes(), "005.mp4")

    def fail(self: Any, count: int) -> bytes:
        if "001" in self.file.name and self.position >= fails_at:
            raise OSError(5, "Input/output error")
        return fetch(self, count)

    monkeypatch.setattr(byte_streams.LocalStream, "fetch", fail)
    summary = tag_dataset(str(tars / "*.tar"), tmp_path / "out", TAGGER)
    assert (summary.rows, summary.broken_tars) == (7, 1)
    assert "Input/output error" in read_failures(summary)[0]["error"]
    with pytest.raises(MediaError, match=r"001.tar: reading stopped at byte .*Input/output"):
        tag_dataset(str(tars / "*.tar"), tmp_path / "raised", build_tagger("demo"))
    monkeypatch.undo()
    summary = tag_dataset(str(tars / "*.tar"), tmp_path / "out", TAGGER, retry_failed=True)
    assert (summary.processed_now, summary.rows, summary.broken_tars) == (1, 8, 0)
    assert drop_urls(rows_of(tmp_path / "out")) == whole


def test_failed_rows_are_recorded_and_done_again_in_place(
    clips: list[bytes], whole: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken clip, a sample without one, a key that comes again. Of the tar only these are read again."""
    samples = make_samples(clips)
    broken = [(name, b"this is no video" * 9 if name == "004.mp4" else data) for name, data in samples]
    members = [*broken, ("x.json", b"{}"), ("000.mp4", clips[0])]
    (tmp_path / "a.tar").write_bytes(pack(members))
    summary = tag_dataset(str(tmp_path / "a.tar"), tmp_path / "out", TAGGER)
    assert (summary.rows, summary.tagged, summary.failed) == (10, 7, 3)
    rows = rows_of(tmp_path / "out")
    assert drop_urls(rows[:4] + rows[5:8]) == whole[:4] + whole[5:]
    failures = read_failures(summary)
    assert [(one["row"], one["key"]) for one in failures] == [(4, "004"), (8, "x"), (9, "000")]
    assert failures[0]["error"].startswith("004.mp4: ")
    assert "no member of a video or a sound" in failures[1]["error"]
    assert "came before" in failures[2]["error"]
    stamp = (tmp_path / "a.tar").stat()
    (tmp_path / "a.tar").write_bytes(pack([*samples, *members[-2:]]).ljust(stamp.st_size, b"\0"))
    from hf_audio_tagger.sources.tars import names

    monkeypatch.setattr(names, "stamp_local", names.Tar)  # as of a server that says nothing of its files
    summary = tag_dataset(str(tmp_path / "a.tar"), tmp_path / "out", TAGGER, retry_failed=True)
    assert (summary.processed_now, summary.failed) == (3, 2)
    assert drop_urls(rows_of(tmp_path / "out")[:8]) == whole


def test_max_failures_counts_tars_that_break_off(tars: Path, tmp_path: Path) -> None:
    folder = copy_tars(tars, tmp_path / "tars")
    for name in ("001.tar", "002.tar"):
        (folder / name).write_bytes(b"no tar at all" * 99)
    with pytest.raises(RunError, match="2 rows failed, more than the 1 allowed"):
        tag_dataset(str(folder / "*.tar"), tmp_path / "out", TAGGER, max_failures=1)
    (folder / "002.tar").unlink()
    missing = [str(folder / name) for name in ("000.tar", "002.tar")]
    summary = tag_dataset(missing, tmp_path / "missing", TAGGER)
    assert (summary.rows, summary.broken_tars) == (3, 1)
    assert "No such file" in read_failures(summary)[0]["error"]


def test_tags_lie_beside_their_tars(tars: Path, whole: list[dict[str, Any]], tmp_path: Path) -> None:
    folder = copy_tars(tars, tmp_path / "tars")
    summary = tag_dataset(str(folder / "00[01].tar"), None, TAGGER, beside=True, num_proc=2)
    assert (summary.rows, summary.processed_now) == (6, 6)
    summary = tag_dataset(str(folder / "*.tar"), None, TAGGER, beside=True)  # more of them, later
    assert (summary.rows, summary.processed_now) == (8, 2)
    found = sorted(path.name for path in folder.glob("*.parquet"))
    assert found == ["000.tar.tags.parquet", "001.tar.tags.parquet", "002.tar.tags.parquet"]
    rows = [row for name in found for row in pq.read_table(folder / name).to_pylist()]
    assert drop_urls(rows) == whole
    assert len(load_dataset(str(folder), data_files="*.parquet", split="train")) == 8
    with pytest.raises(SettingsError, match=r"other settings.*overwrite"):
        tag_dataset(str(folder / "*.tar"), None, build_tagger("demo", top_k=1), beside=True)
    other = build_tagger("demo", top_k=1, on_error="record")
    tag_dataset(str(folder / "*.tar"), None, other, beside=True, overwrite=True)
    assert "video_audio_top" in pq.read_schema(folder / found[0]).names


def test_files_are_kept_on_request(clips: list[bytes], tmp_path: Path) -> None:
    members = [("a.jpg", b"jpg"), ("a.mp4", clips[0]), ("a.wav", b"w"), ("b.mp4", clips[1]), ("b.jpg", b"2")]
    (tmp_path / "a.tar").write_bytes(pack(members))
    tag_dataset(str(tmp_path / "a.tar"), tmp_path / "out", TAGGER, keep_files=True)
    with pytest.raises(SettingsError, match="another source"):
        tag_dataset(str(tmp_path / "a.tar"), tmp_path / "out", TAGGER)
    result = load_result(tmp_path / "out")
    assert type(result.features["mp4"]).__name__ == "Video"
    first, second = result.with_format("arrow")[:].to_pylist()
    assert first["mp4"] == {"bytes": clips[0], "path": "a.mp4"}
    assert (first["jpg"], first["wav"], second["wav"]) == (b"jpg", {"bytes": b"w", "path": "a.wav"}, None)
    assert second["video_audio_tags"] == [TAGGER.tag(clips[1])]
    tag_dataset(str(tmp_path / "a.tar"), tmp_path / "plain.jsonl", TAGGER)
    lines = [json.loads(line) for line in (tmp_path / "plain.jsonl").read_text().splitlines()]
    assert [line["__key__"] for line in lines] == ["a", "b"]
    assert not {"mp4", "jpg", "wav"} & lines[0].keys()


def test_the_clip_is_a_video_else_a_sound_or_as_chosen(clips: list[bytes], tmp_path: Path) -> None:
    """Downloads mix containers: any video stands in for the commonest one."""
    members = [("a.wav", b"no sound"), ("a.mp4", clips[0]), ("b.mp4", clips[1]), ("c.WebM", clips[2])]
    (tmp_path / "a.tar").write_bytes(pack([*members, ("d.wav", b"no sound")]))
    source = str(tmp_path / "a.tar")
    tag_dataset(source, tmp_path / "out", TAGGER)
    expected = [[TAGGER.tag(clip)] for clip in clips[:3]]
    rows = rows_of(tmp_path / "out")
    assert [row["video_audio_tags"] for row in rows] == [*expected, [None]]
    assert rows[3]["video_audio_error"][0].startswith("d.wav: ")
    chosen = build_tagger("demo", column="mp4", device="cpu", on_error="record")
    tag_dataset(source, tmp_path / "chosen", chosen)
    assert [row["video_audio_tags"] for row in rows_of(tmp_path / "chosen")] == [
        *expected[:2],
        [None],
        [None],
    ]
    assert "has no member .mp4" in rows_of(tmp_path / "chosen")[2]["video_audio_error"][0]
    with pytest.raises(KeyError, match="no column 'mkv'"):
        tag_dataset(source, tmp_path / "mkv", build_tagger("demo", column="mkv"))


def test_columns_have_the_same_types_in_all_tars(clips: list[bytes], tmp_path: Path) -> None:
    """Where a JSON is a number once and a list later, where texts are missing, and not UTF-8."""
    (tmp_path / "0.tar").write_bytes(pack([("a.mp4", clips[0]), ("a.json", b"7"), ("a.txt", b"x")]))
    later = [("b.mp4", clips[1]), ("b.json", b'{"k": [1]}'), ("b.srt", b"new"), ("c.mp4", clips[2])]
    (tmp_path / "1.tar").write_bytes(pack([*later, ("c.txt", b"caf\xe9"), ("d.mp4", clips[3])]))
    summary = tag_dataset(str(tmp_path / "*.tar"), tmp_path / "out", TAGGER)
    rows = [(row["json"], row["txt"]) for row in rows_of(tmp_path / "out")]
    assert rows == [("7", "x"), ('{"k": [1]}', None), (None, "caf\\xe9"), (None, None)]
    assert summary.notes == ("1 member was left out: the first samples have no member .srt.",)
    assert load_dataset(str(tmp_path / "out"), split="train").num_rows == 4


def test_a_tar_without_samples_is_no_failure(clips: list[bytes], tmp_path: Path) -> None:
    (tmp_path / "0.tar").write_bytes(pack([]))
    (tmp_path / "1.tar").write_bytes(pack([("a.mp4", clips[0])]))
    summary = tag_dataset(str(tmp_path / "*.tar"), tmp_path / "out", TAGGER)
    assert (summary.rows, summary.broken_tars) == (1, 0)
    assert load_dataset(str(tmp_path / "out"), split="train").num_rows == 1
    assert tag_dataset(str(tmp_path / "*.tar"), tmp_path / "out", TAGGER).processed_now == 0


def test_a_damaged_shard_is_written_again(tars: Path, whole: list[dict[str, Any]], tmp_path: Path) -> None:
    tag_dataset(str(tars / "*.tar"), tmp_path / "out", TAGGER)
    path = tmp_path / "out" / "data" / "shard-00001.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    watcher = Seeing()
    assert tag_dataset(str(tars / "*.tar"), tmp_path / "out", TAGGER, watcher=watcher).processed_now == 3
    assert "is damaged" in watcher.notes[0]
    assert drop_urls(rows_of(tmp_path / "out")) == whole


WRONG = [
    ({"limit": 3}, "limit="),
    ({"shard_rows": 3}, "A tar is a shard"),
    ({"sample": 3}, "sample="),
    ({"beside": True}, "pass one"),
    ({"dest": None}, "pass one"),
    ({"dest": None, "beside": True, "push": {"repo_id": "a/b"}}, "push= takes a DEST"),
]


@pytest.mark.parametrize(("options", "problem"), WRONG)
def test_what_does_not_go_with_tars_is_refused(
    options: dict[str, Any], problem: str, tars: Path, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=problem):
        tag_dataset(str(tars / "*.tar"), **{"dest": tmp_path / "out", "tagger": TAGGER, **options})
    assert not (tmp_path / "out").exists()


def test_beside_and_keep_files_are_for_tars(tmp_path: Path) -> None:
    for options in ({"beside": True}, {"keep_files": True}):
        with pytest.raises(SettingsError, match="is no tar"):
            tag_dataset(["a.mp4"], tmp_path / "out", TAGGER, **options)
    with pytest.raises(SettingsError, match="pass a DEST"):
        tag_dataset(["a.mp4"], None, TAGGER)


def test_several_commands_share_the_tars(tars: Path, whole: list[dict[str, Any]], tmp_path: Path) -> None:
    pattern, dest = str(tars / "*.tar"), tmp_path / "out"
    first = tag_dataset(pattern, dest, TAGGER, shard="1/2")
    assert (first.rows, first.shard, first.rows_left) == (5, "1/2", 1)
    assert "done 2 of 3 tars; 1 are left to 2/2" in first.notes[-1]
    last = tag_dataset(pattern, dest, TAGGER, shard="2/2")
    assert (last.rows, last.shard, last.rows_left) == (8, None, 0)
    assert drop_urls(rows_of(dest)) == whole


def test_results_beside_tars_that_change_while_the_run_is_finished_are_counted_again(
    tars: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy_tars(tars, tmp_path / "tars")
    pattern, counted = str(folder / "*.tar"), []

    def summarize_and_change(*args: Any) -> Summary:
        if not counted:
            os.utime(folder / "000.tar.tags.parquet", (1, 1))
        counted.append(summarize_tars(*args))
        return counted[-1]

    tag_dataset(pattern, None, TAGGER, beside=True, shard="1/2")
    monkeypatch.setattr(tagging, "summarize_tars", summarize_and_change)
    assert tag_dataset(pattern, None, TAGGER, beside=True, shard="2/2").rows == 8
    assert len(counted) == 2


def make_large(clip: bytes, size: int) -> bytes:
    """A clip that an unused box makes longer."""
    free = size - len(clip)
    return clip + free.to_bytes(4, "big") + b"free" + bytes(free - 8)


class Measuring(Watcher):
    """What Arrow holds when a batch is done."""

    def __init__(self) -> None:
        self.held_bytes: list[int] = []

    def progressed(self, progress: Progress) -> None:
        self.held_bytes.append(pa.total_allocated_bytes())


def test_memory_is_that_of_a_batch_and_a_member(clips: list[bytes], tmp_path: Path) -> None:
    """Not that of the tar: 12 members, of which a batch has two."""
    size, watcher = 3 << 20, Measuring()
    members = ((f"{number}.mp4", make_large(clips[number % 8], size)) for number in range(12))
    (tmp_path / "a.tar").write_bytes(pack(members))
    tag_dataset(str(tmp_path / "a.tar"), tmp_path / "warm", TAGGER)
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    summary = tag_dataset(str(tmp_path / "a.tar"), tmp_path / "out", TAGGER, watcher=watcher)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert summary.tagged == 12
    assert len(watcher.held_bytes) == 6
    assert max(watcher.held_bytes) - before < 2.2 * size  # the batch in Arrow
    assert peak < 4.5 * size  # the batch as Python's bytes, and a member that is read
