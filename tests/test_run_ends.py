"""What is said at the end of a run: what it did, why clips failed, and what went wrong, truly."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from small_runs import BROKEN, ROWS, TAGGER, clip_path, write_clips
from typer.testing import CliRunner, Result

from hf_audio_tagger import process
from hf_audio_tagger.cli import app
from hf_audio_tagger.errors import RunError
from hf_audio_tagger.executors import pick_executor
from hf_audio_tagger.executors.contract import IsStopped, Job, JobProgress, Report, StoppedError
from hf_audio_tagger.process import Worker
from hf_audio_tagger.results.reasons import FailureReason, find_common_reasons
from hf_audio_tagger.runs import export_predictions, tag_dataset

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("one_thread_everywhere")]

SETTINGS = ["--model", "demo", "--device", "cpu", "--batch-size", "4"]
SMALL_BYTES = 24 << 10


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("made") / "clips")


def invoke(*words: object) -> Result:
    return CliRunner().invoke(app, [*map(str, words)])


def test_the_commonest_reasons_each_with_its_first_file() -> None:
    failures = [
        ("a.mp4", "/in/a.mp4: it sent 17 bytes: no more."),
        ("b.mp4", "/in/b.mp4: it is empty (0 bytes)."),
        ("c: d.mp4", "/in/c: d.mp4: it sent 9,000 bytes: no more."),
        (None, "<bytes>: it is a playlist."),
        (None, "<bytes>: it is a playlist."),
        ("e.mp4", "no name stands here"),
        ("f.mp4", "/in/f.mp4: it sent 1 bytes: no more."),
    ]
    assert find_common_reasons(failures) == (
        FailureReason("it sent 17 bytes: no more.", 3, "a.mp4"),
        FailureReason("it is a playlist.", 2, "<bytes>"),
        FailureReason("it is empty (0 bytes).", 1, "b.mp4"),
    )
    assert find_common_reasons([]) == ()
    assert find_common_reasons(failures, 9)[-1] == FailureReason("no name stands here", 1, "e.mp4")


@pytest.mark.campaign  # takes ten seconds
def test_tag_says_speed_sound_and_reasons_and_then_nothing_to_do(clips: Path, tmp_path: Path) -> None:
    first = invoke("tag", clips, "--out", tmp_path / "out", *SETTINGS)
    assert first.exit_code == 3
    words = " ".join(first.stdout.split())
    assert f"in this run {ROWS} rows in " in words
    assert re.search(r"sound [34]s in this run", words)  # nine clips of a third of a second
    assert "x realtime" in words
    assert "Why clips failed: 1 x it is no readable media file (Invalid data" in words
    assert f"({clip_path(clips, BROKEN)})" in words
    again = invoke("tag", clips, "--out", tmp_path / "out", *SETTINGS)
    words = " ".join(again.stdout.split())
    assert "in this run nothing to do" in words
    assert "clips/s" not in words
    summary = json.loads(invoke("tag", clips, "--out", tmp_path / "out", "--json", *SETTINGS).stdout)
    assert summary["common_reasons"] == [
        {
            "reason": summary["common_reasons"][0]["reason"],
            "count": 1,
            "example": str(clip_path(clips, BROKEN)),
        }
    ]
    assert (summary["sound_seconds_now"], summary["times_realtime"], summary["url"]) == (0, 0, None)


@pytest.mark.campaign  # takes ten seconds
@pytest.mark.parametrize("command", ["tag", "label"])
def test_quiet_leaves_the_summary_and_errors(clips: Path, tmp_path: Path, command: str) -> None:
    if command == "tag":
        tag_dataset(clips, tmp_path / "out", TAGGER, limit=BROKEN)
    else:
        export_predictions(clips, tmp_path / "out", tagger=TAGGER)
    limit = ["--limit", BROKEN] if command == "tag" else []
    done = invoke(command, clips, "--out", tmp_path / "out", "--quiet", *limit, *SETTINGS)
    assert (done.exit_code, done.stderr) == (0 if command == "tag" else 3, "")
    assert "in this run" in done.stdout
    wrong = invoke(command, clips, "--out", tmp_path / "out", "-q", "--model", "demo", "--channels", "first")
    assert wrong.exit_code == 1
    assert "started with other settings" in wrong.stderr


# What went wrong


class Failing:
    """The first job fails at once, the others work until they are stopped."""

    def __call__(self, job: Job, worker: Worker, report: Report, is_stopped: IsStopped) -> None:
        if job.index == 0:
            raise RunError("no such model")
        report(JobProgress(job.index, 1, 0))
        while not is_stopped():
            time.sleep(0.005)
        raise StoppedError


@pytest.mark.parametrize("is_interrupted", [False, True])
def test_only_ctrl_c_is_answered_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_interrupted: bool
) -> None:
    monkeypatch.setattr(process, "_used_openvino", set())
    told: list[str] = []

    def progressed(_: JobProgress) -> None:
        if is_interrupted:
            raise KeyboardInterrupt

    jobs = [Job(number, f"job {number}") for number in range(1 if is_interrupted else 0, 3)]
    with pytest.raises(KeyboardInterrupt if is_interrupted else RunError):
        pick_executor(2)(jobs, Failing(), progressed, lambda: told.append("stopping"), 2, tmp_path / "log")
    assert told == ["stopping"] * is_interrupted
    assert threading.active_count() < 50


def test_a_run_that_could_not_begin_keeps_nothing(clips: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(RunError, match=r"Not a directory.*The run has not begun\.$"):
        tag_dataset(clips, tmp_path / "file" / "out", TAGGER)


@pytest.fixture(scope="module")
def small_disk() -> list[str]:
    """The words before a command that runs it with a small disk at $1."""
    words = [
        "unshare",
        "-m",
        "sh",
        "-c",
        f'mount -t tmpfs -o size={SMALL_BYTES} none "$1" && shift && exec "$@"',
        "sh",
    ]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*words, "/mnt", "true"], capture_output=True).returncode
    ):
        pytest.skip("no disk may be mounted here")
    return words


LOST = """
import os, sys
from pathlib import Path
from hf_audio_tagger.executors import pick_executor
from hf_audio_tagger.executors.contract import Job

def leave(job, worker, report, is_stopped):
    os._exit(7)

log = Path(sys.argv[1]) / "log.txt"
if sys.argv[2] == "full":
    Path(sys.argv[1], "filler").write_bytes(bytes(SMALL_BYTES))
pick_executor(1)([Job(0, "the one job")], leave, print, print, 1, log)
"""


@pytest.mark.parametrize("state", ["full", "free"])
def test_workers_lost_on_a_full_disk(small_disk: list[str], tmp_path: Path, state: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    script = LOST.replace("SMALL_BYTES", str(SMALL_BYTES))
    place = str(disk if state == "full" else tmp_path)
    command = [*small_disk, str(disk), sys.executable, "-c", script, place, state]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stderr.splitlines()[-1]
    assert "Two workers were lost in the one job, the last one gone with exit code 7." in told
    if state == "full":
        room = f"the disk at {disk} has 0 of {SMALL_BYTES:,} bytes left. Free some space."
        assert told.endswith(f"There was no room for what they print: {room}")
    else:
        assert told.endswith("They printed nothing.")


@pytest.mark.campaign
@pytest.mark.parametrize("num_proc", [1, 2])
def test_a_disk_that_fills_while_workers_write_is_named(
    small_disk: list[str], clips: Path, tmp_path: Path, num_proc: int
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    options = ["--embeddings", "--shard-rows", "2", "--num-proc", str(num_proc), *SETTINGS]
    command = [
        sys.executable,
        "-m",
        "hf_audio_tagger",
        "tag",
        str(clips),
        "--out",
        str(disk / "out"),
        *options,
    ]
    done = subprocess.run([*small_disk, str(disk), *command], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    told = done.stderr.splitlines()[-1]
    assert told.startswith(f"The disk is full (No space left on device): the disk at {disk} has ")
    assert told.endswith(f"What is done is kept in {disk / 'out'}; the same command resumes the run.")
    assert "Stopping" not in done.stderr
    assert "lost" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("command", ["tag", "label"])
def test_a_device_is_no_place_for_results(clips: Path, command: str) -> None:
    before = sorted(os.listdir("/dev"))
    for place in ("/dev/full", "/dev/new_folder"):
        done = invoke(command, clips, "--out", place, *SETTINGS)
        assert done.exit_code == 1
        assert f"{place} is in /dev, where the system shows its devices" in done.stderr
        assert "kept in /dev" not in done.stderr.replace("\n", " ").replace("no results can be kept", "")
    assert sorted(os.listdir("/dev")) == before
