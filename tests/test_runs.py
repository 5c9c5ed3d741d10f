"""Long runs: resuming, killing, full disks, retrying. The model is the packaged one."""

import errno
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, Features, List, Value, Video, load_dataset

from hf_audio_tagger import build_tagger, memo, runs
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.demo.videos import write_video
from hf_audio_tagger.errors import MediaError, RunError, SettingsError
from hf_audio_tagger.runs import (
    Progress,
    RunPlan,
    Watcher,
    load_result,
    lock,
    shard_writer,
    shards,
    tag_dataset,
)
from hf_audio_tagger.sources import open_source

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("one_thread_everywhere")]

LABELS = ("Siren", "Sine wave", "White noise", "Clicking", "Dial tone", "Music")
ROWS = 30
SHARD = 7  # rows: 5 shards, the last one short
TAGGER = build_tagger("demo", top_k=3, embeddings=True, batch_size=3, device="cpu", on_error="record")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty files of a second: two without sound, two that are broken."""
    folder = tmp_path_factory.mktemp("thirty")
    for number in range(ROWS):
        path = folder / f"{number:02d}.mp4"
        if number in (4, 17):
            path.write_bytes(b"this is no video" * 50)
        elif number in (9, 20):
            write_video(path, None, 16_000)
        else:
            write_video(path, synthesize(LABELS[number % 6], 1.0, 16_000, number), 16_000)
    return folder


@pytest.fixture(scope="module")
def whole(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What a run gives that nothing interrupts."""
    dest = tmp_path_factory.mktemp("whole") / "out"
    tag_dataset(clips, dest, TAGGER, shard_rows=SHARD)
    return rows_of(dest)


def rows_of(dest: Path) -> list[dict[str, Any]]:
    """All rows in order, read by pyarrow and not by the package."""
    paths = sorted((dest / "data").glob("*.parquet"))
    return pa.concat_tables([pq.read_table(path) for path in paths]).to_pylist()


class Interrupting(Watcher):
    """Does something once so many rows were heard."""

    def __init__(self, after_rows: int, action: Callable[[], object]) -> None:
        self.after_rows, self.action = after_rows, action
        self.plans: list[RunPlan] = []
        self.seen: list[Progress] = []

    def planned(self, plan: RunPlan) -> None:
        self.plans.append(plan)

    def progressed(self, progress: Progress) -> None:
        self.seen.append(progress)
        if progress.processed_now >= self.after_rows:
            self.after_rows = 10**9
            self.action()


def interrupt() -> None:
    raise KeyboardInterrupt


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


def test_ctrl_c_keeps_what_was_heard_and_the_next_run_hears_the_rest(
    clips: Path, whole: list[dict[str, Any]], tmp_path: Path
) -> None:
    first = Interrupting(10, interrupt)
    with pytest.raises(KeyboardInterrupt):
        tag_dataset(clips, tmp_path / "out", TAGGER, shard_rows=SHARD, watcher=first)
    second = Interrupting(10**9, interrupt)
    summary = tag_dataset(clips, tmp_path / "out", TAGGER, shard_rows=SHARD, watcher=second)
    assert second.plans[0].done_rows == first.seen[-1].processed_now
    assert summary.processed_now == ROWS - second.plans[0].done_rows
    assert rows_of(tmp_path / "out") == whole
    again = tag_dataset(clips, tmp_path / "out", TAGGER)
    assert (again.processed_now, again.rows, again.failed) == (0, ROWS, 2)


def test_ctrl_c_with_processes_lets_them_keep_what_they_heard(
    clips: Path, whole: list[dict[str, Any]], tmp_path: Path
) -> None:
    first = Interrupting(9, interrupt)
    with pytest.raises(KeyboardInterrupt):
        tag_dataset(clips, tmp_path / "out", TAGGER, shard_rows=SHARD, num_proc=2, watcher=first)
    second = Interrupting(10**9, interrupt)
    tag_dataset(clips, tmp_path / "out", TAGGER, shard_rows=SHARD, num_proc=1, watcher=second)
    assert second.plans[0].done_rows >= first.seen[-1].processed_now
    assert rows_of(tmp_path / "out") == whole


def test_going_on_does_not_depend_on_how_work_is_laid_out(
    clips: Path, whole: list[dict[str, Any]], tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        tag_dataset(clips, tmp_path / "out", TAGGER, shard_rows=SHARD, watcher=Interrupting(12, interrupt))
    moved = tmp_path / "moved clips"
    shutil.copytree(clips, moved)
    summary = tag_dataset(moved, tmp_path / "out", TAGGER, shard_rows=1_000, num_proc=2)
    assert 0 < summary.processed_now < ROWS
    assert len(list((tmp_path / "out" / "data").glob("*.parquet"))) == 5  # its own shards' size
    place = {"video", "video_audio_error"}  # these name where a clip lies

    def without_place(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{name: value for name, value in row.items() if name not in place} for row in rows]

    assert without_place(rows_of(tmp_path / "out")) == without_place(whole)


def run_in_child(clips: str, dest: str, num_proc: int | None) -> None:
    tag_dataset(clips, dest, TAGGER, shard_rows=SHARD, num_proc=num_proc)


def wait_until_gone(group: int) -> None:
    """Workers end soon after their parent."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    os.killpg(group, signal.SIGKILL)
    pytest.fail("workers outlive their parent")


@pytest.mark.parametrize("num_proc", [None, 2])
def test_kill_9_at_random_moments(
    clips: Path, whole: list[dict[str, Any]], tmp_path: Path, num_proc: int | None
) -> None:
    """The whole group, or the parent alone: then its workers must see for themselves that it is gone."""
    seed = int(os.environ.get("KILL_SEED", "1"))
    moments = random.Random(seed)
    killed = 0
    for _ in range(6):
        child: Any = multiprocessing.get_context("fork").Process(
            target=run_in_child, args=(str(clips), str(tmp_path / "out"), num_proc)
        )
        child.start()
        os.setpgid(child.pid, child.pid)
        child.join(moments.uniform(0.02, 0.6))
        if child.is_alive():
            moments.choice((os.kill, os.killpg))(child.pid, signal.SIGKILL)
            killed += 1
        child.join()
        wait_until_gone(child.pid)
        for path in (tmp_path / "out" / "data").glob("shard-*"):
            assert pq.read_metadata(path).num_rows > 0  # whole at any moment
    assert killed
    tag_dataset(clips, tmp_path / "out", TAGGER, shard_rows=SHARD)
    assert rows_of(tmp_path / "out") == whole
    assert not list((tmp_path / "out").rglob("*.tmp"))


def workers_of_this_process() -> list[int]:
    return [child.pid for child in multiprocessing.active_children() if child.pid is not None]


def test_a_killed_worker_is_replaced(clips: Path, whole: list[dict[str, Any]], tmp_path: Path) -> None:
    def kill() -> None:
        os.kill(workers_of_this_process()[0], signal.SIGKILL)

    tag_dataset(clips, tmp_path / "out", TAGGER, shard_rows=SHARD, num_proc=2, watcher=Interrupting(4, kill))
    assert rows_of(tmp_path / "out") == whole
    assert not workers_of_this_process()


class KillingEachTime(Watcher):
    def progressed(self, progress: Progress) -> None:
        for worker in workers_of_this_process():
            os.kill(worker, signal.SIGKILL)


def test_a_shard_that_costs_two_workers_ends_the_run(
    clips: Path, whole: list[dict[str, Any]], tmp_path: Path
) -> None:
    with pytest.raises(RunError, match=r"Two workers were lost over shard 0 .*SIGKILL.*memory"):
        tag_dataset(clips, tmp_path / "out", TAGGER, shard_rows=SHARD, num_proc=1, watcher=KillingEachTime())
    tag_dataset(clips, tmp_path / "out", TAGGER, shard_rows=SHARD)
    assert rows_of(tmp_path / "out") == whole


@pytest.fixture
def small_files() -> Iterator[Callable[[int], None]]:
    """Files can grow to so many bytes only: the kernel refuses the rest, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("num_proc", [None, 1])
def test_a_write_that_the_system_refuses(
    clips: Path,
    whole: list[dict[str, Any]],
    tmp_path: Path,
    small_files: Callable[[int], None],
    num_proc: int | None,
) -> None:
    dest = tmp_path / "out"
    tag_dataset(clips, dest, TAGGER, shard_rows=SHARD, limit=SHARD)
    size = shards.shard_path(dest / "data", 0).stat().st_size
    small_files(size // 2)
    with pytest.raises(RunError, match=r"(?s)File too large.*the same command resumes the run"):
        tag_dataset(clips, dest, TAGGER, shard_rows=SHARD, num_proc=num_proc)
    small_files(resource.RLIM_INFINITY)
    assert not list((dest / "data").glob(".*"))
    tag_dataset(clips, dest, TAGGER)
    assert rows_of(dest) == whole


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="mounting needs root")
def test_a_disk_that_is_full(clips: Path, whole: list[dict[str, Any]], tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    tag_dataset(clips, tmp_path / "three", TAGGER, shard_rows=SHARD, limit=3 * SHARD)
    size = sum(path.stat().st_size for path in (tmp_path / "three" / "data").iterdir())
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        with pytest.raises(RunError, match=r"The disk is full \(No space left on device\)"):
            tag_dataset(clips, disk / "out", TAGGER, shard_rows=SHARD)
        assert list((disk / "out" / "data").glob("shard-*"))
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        summary = tag_dataset(clips, disk / "out", TAGGER, shard_rows=SHARD)
        assert summary.processed_now < ROWS
        assert rows_of(disk / "out") == whole
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_errors_of_the_disk_have_names(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shard_writer, "sync", full)
    with pytest.raises(RunError, match="The disk is full"):
        tag_dataset(clips, tmp_path / "out", TAGGER, limit=3)
    assert not list((tmp_path / "out" / "data").glob("shard-*"))


def test_other_settings_and_other_sources_are_refused(clips: Path, tmp_path: Path) -> None:
    dest = tmp_path / "out"
    tag_dataset(clips, dest, TAGGER, limit=2)
    other = build_tagger("demo", top_k=5, embeddings=True, on_error="record")
    with pytest.raises(SettingsError, match=r"top_k was 3, now 5\. --overwrite starts over"):
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
    wrong = build_tagger(str(tmp_path / "no model"), on_error="record")
    with pytest.raises(Exception, match="no model"):
        tag_dataset(clips, tmp_path / "out", wrong, limit=2)
    assert tag_dataset(clips, tmp_path / "out", TAGGER, limit=2).rows == 2


def test_a_limit_can_grow_and_not_shrink(clips: Path, whole: list[dict[str, Any]], tmp_path: Path) -> None:
    dest = tmp_path / "out"
    assert tag_dataset(clips, dest, TAGGER, shard_rows=SHARD, limit=9).processed_now == 9
    with pytest.raises(SettingsError, match="started with --limit 9"):
        tag_dataset(clips, dest, TAGGER, limit=5)
    assert tag_dataset(clips, dest, TAGGER, limit=12).processed_now == 3
    assert tag_dataset(clips, dest, TAGGER).processed_now == 18
    assert [row["video_audio_tags"] for row in rows_of(dest)] == [row["video_audio_tags"] for row in whole]


def test_a_second_run_is_refused(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "LOCK_WAIT_SECONDS", 0.2)
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


@pytest.mark.parametrize("num_proc", [None, 2])
def test_max_failures_stops_and_keeps_what_is_done(tmp_path: Path, clips: Path, num_proc: int | None) -> None:
    folder = tmp_path / "clips"
    shutil.copytree(clips, folder)
    for number in range(10, ROWS):
        (folder / f"{number:02d}.mp4").write_bytes(b"broken")
    dest = tmp_path / "out"
    with pytest.raises(RunError, match=r"Stopped: \d+ rows failed, more than the 3 allowed.*failures\.jsonl"):
        tag_dataset(folder, dest, TAGGER, shard_rows=10, max_failures=3, num_proc=num_proc)
    kept = rows_of(dest)
    assert 4 <= len(kept) < ROWS
    listed = [json.loads(line) for line in (dest / ".hf_audio_tagger" / "failures.jsonl").open()]
    assert len(listed) >= 4
    assert all(one["path"] == str(folder / f"{one['row']:02d}.mp4") for one in listed)
    with pytest.raises(RunError, match="more than the 3 allowed"):  # it would go wrong again
        tag_dataset(folder, dest, TAGGER, max_failures=3)
    for number in range(10, ROWS):
        shutil.copy(clips / f"{number:02d}.mp4", folder / f"{number:02d}.mp4")
    assert tag_dataset(folder, dest, TAGGER, max_failures=3, retry_failed=True).failed == 2


def test_max_failures_as_a_share(clips: Path, tmp_path: Path) -> None:
    assert tag_dataset(clips, tmp_path / "out", TAGGER, max_failures="10%").failed == 2
    with pytest.raises(RunError, match=r"Stopped: 2 of 30 rows failed; 5\.000% are allowed"):
        tag_dataset(clips, tmp_path / "out", TAGGER, max_failures="5%")
    for wrong in ("many", "-1", "120%", "1.5"):
        with pytest.raises(SettingsError, match="max_failures"):
            tag_dataset(clips, tmp_path / "out", TAGGER, max_failures=wrong)


def test_on_error_raise_ends_the_run_and_names_the_file(clips: Path, tmp_path: Path) -> None:
    tagger = build_tagger("demo", batch_size=2)
    with pytest.raises(MediaError, match=r"04\.mp4"):
        tag_dataset(clips, tmp_path / "out", tagger, num_proc=1)
    assert len(rows_of(tmp_path / "out")) == 4


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
    memo.forget()
    with pytest.raises(KeyboardInterrupt):
        tag_dataset(manifest, tmp_path / "out", TAGGER, shard_rows=6, watcher=Interrupting(6, interrupt))
    memo.forget()
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


@pytest.mark.parametrize("num_proc", [None, 1])
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


def test_progress_counts_the_whole_run(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        tag_dataset(clips, tmp_path / "out", TAGGER, shard_rows=SHARD, watcher=Interrupting(12, interrupt))
    watcher = Interrupting(10**9, interrupt)
    tag_dataset(clips, tmp_path / "out", TAGGER, watcher=watcher)
    done = watcher.plans[0].done_rows
    assert watcher.seen[0].done_rows == done + watcher.seen[0].processed_now
    assert watcher.seen[-1] == runs.Progress(ROWS, 2, ROWS - done, ROWS, watcher.seen[-1].rows_per_second)
    assert [one.done_rows for one in watcher.seen] == sorted(one.done_rows for one in watcher.seen)


def test_a_run_of_nothing_new_takes_no_time(clips: Path, tmp_path: Path) -> None:
    tag_dataset(clips, tmp_path / "out", TAGGER, limit=3)
    begun = time.monotonic()
    tag_dataset(clips, tmp_path / "out", TAGGER, limit=3, num_proc=4)
    assert time.monotonic() - begun < 2
