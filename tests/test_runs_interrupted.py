"""Runs that end early: Ctrl-C, SIGKILL, a full disk, too many failures. The model is the packaged one."""

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

import pyarrow.parquet as pq
import pytest
from thirty_clips import ROWS, SHARD, TAGGER, Interrupting, interrupt, rows_of, write_thirty_clips

from hf_audio_tagger import atomic_files, build_tagger
from hf_audio_tagger.errors import MediaError, RunError, SettingsError
from hf_audio_tagger.results import run_files
from hf_audio_tagger.runs import Progress, Watcher, tag_dataset

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


@pytest.mark.campaign
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


@pytest.mark.campaign
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


@pytest.mark.parametrize("num_proc", [None, pytest.param(2, marks=pytest.mark.campaign)])
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


@pytest.mark.campaign
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


@pytest.mark.campaign
def test_a_shard_that_costs_two_workers_ends_the_run(
    clips: Path, whole: list[dict[str, Any]], tmp_path: Path
) -> None:
    with pytest.raises(RunError, match=r"Two workers were lost in shard 0 .*SIGKILL.*memory"):
        tag_dataset(clips, tmp_path / "out", TAGGER, shard_rows=SHARD, num_proc=1, watcher=KillingEachTime())
    tag_dataset(clips, tmp_path / "out", TAGGER, shard_rows=SHARD)
    assert rows_of(tmp_path / "out") == whole


@pytest.fixture
def small_files() -> Iterator[Callable[[int], None]]:
    """Files can grow to so many bytes only: the kernel refuses the rest, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("num_proc", [None, pytest.param(1, marks=pytest.mark.campaign)])
def test_a_write_that_the_system_refuses(
    clips: Path,
    whole: list[dict[str, Any]],
    tmp_path: Path,
    small_files: Callable[[int], None],
    num_proc: int | None,
) -> None:
    dest = tmp_path / "out"
    tag_dataset(clips, dest, TAGGER, shard_rows=SHARD, limit=SHARD)
    size = run_files.shard_path(dest / "data", 0).stat().st_size
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
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_errors_of_the_disk_have_names(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(atomic_files, "sync", full)
    with pytest.raises(RunError, match="The disk is full"):
        tag_dataset(clips, tmp_path / "out", TAGGER, limit=3)
    assert not list((tmp_path / "out" / "data").glob("shard-*"))


@pytest.mark.parametrize("num_proc", [None, pytest.param(2, marks=pytest.mark.campaign)])
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


@pytest.mark.parametrize("num_proc", [None, pytest.param(1, marks=pytest.mark.campaign)])
def test_on_error_raise_ends_the_run_and_names_the_file(
    clips: Path, tmp_path: Path, num_proc: int | None
) -> None:
    tagger = build_tagger("demo", batch_size=2)
    with pytest.raises(MediaError, match=r"04\.mp4"):
        tag_dataset(clips, tmp_path / "out", tagger, num_proc=num_proc)
    assert len(rows_of(tmp_path / "out")) == 4


def test_progress_counts_the_whole_run(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        tag_dataset(clips, tmp_path / "out", TAGGER, shard_rows=SHARD, watcher=Interrupting(12, interrupt))
    watcher = Interrupting(10**9, interrupt)
    tag_dataset(clips, tmp_path / "out", TAGGER, watcher=watcher)
    done = watcher.plans[0].done_rows
    assert watcher.seen[0].done_rows == done + watcher.seen[0].processed_now
    last = watcher.seen[-1]
    assert (last.done_rows, last.failed_rows, last.processed_now) == (ROWS, 2, ROWS - done)
    assert (last.total_rows, last.rows_in_work, last.seconds_left) == (ROWS, 0.0, 0.0)
    assert [one.done_rows for one in watcher.seen] == sorted(one.done_rows for one in watcher.seen)
