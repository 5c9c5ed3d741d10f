"""`--ray` on the shell: a cluster for as long as the run, one that is there, and what goes wrong."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ray_clusters import TESTS, started
from small_runs import BROKEN, ROWS, SHARD, TAGGER, clip_path, rows_of, write_clips

from hf_audio_tagger import export_predictions, tag_dataset

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(170)]

OPTIONS = ["--model", "demo", "--device", "cpu", "--batch-size", "2", "--quiet", "--json"]
SHARDS = ["--shard-rows", str(SHARD)]
DEADLY = 6  # a row of the second shard
TOLD_SECONDS = 25.0  # of which most is the start of Python and Ray

# Ends each process that opens one clip, as a decoder or a driver may.
ENDING = f"""
import os, sys

def end(event, arguments):
    if event == "open" and str(arguments[0]).endswith("{DEADLY:02d}.mp4"):
        os._exit(7)

sys.addaudithook(end)
"""
WITHOUT_RAY = "import sys; sys.modules['ray'] = None"


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    return write_clips(tmp_path / "clips")


def run(
    *arguments: str | Path, at_start: Path | None = None, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """A command; `at_start` is a folder with a `sitecustomize.py` for it and its workers."""
    folders = [*([] if at_start is None else [str(at_start)]), str(TESTS.parent)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables, "PYTHONPATH": os.pathsep.join(folders)}
    return subprocess.run(
        [sys.executable, "-m", "hf_audio_tagger", *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def customize(folder: Path, code: str) -> Path:
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(code)
    return folder


def test_a_cluster_for_as_long_as_the_run(clips: Path, tmp_path: Path) -> None:
    done = run(
        "tag", clips, "--out", tmp_path / "out", *OPTIONS, *SHARDS, "--ray", "local", "--num-proc", "2"
    )
    assert done.returncode == 3, done.stderr  # one clip is broken
    summary = json.loads(done.stdout)
    assert (summary["rows"], summary["failed"]) == (ROWS, 1)
    assert "ray" not in done.stderr.lower()  # nothing of Ray's own is shown
    tag_dataset(clips, tmp_path / "here", TAGGER)
    assert rows_of(tmp_path / "out") == rows_of(tmp_path / "here")


def test_clips_are_labelled_on_a_cluster_of_this_machine(clips: Path, tmp_path: Path) -> None:
    with started("head", cpus=2) as nodes:
        out = tmp_path / "out"
        done = run(
            "label", clips, "--out", out, *OPTIONS, "--ray", "auto", RAY_ADDRESS=nodes.executor.address
        )
        again = run("label", clips, "--out", out, *OPTIONS, "--ray", nodes.executor.address)
    assert (done.returncode, again.returncode) == (3, 3), done.stderr
    assert json.loads(done.stdout)["processed_now"] == ROWS
    assert json.loads(again.stdout)["processed_now"] == 1  # the broken one, which is tried again
    export_predictions(clips, tmp_path / "here", tagger=TAGGER)
    ours, theirs = (sorted((tmp_path / name).rglob("*.npy")) for name in ("here", "out"))
    assert [path.name for path in ours] == [path.name for path in theirs]
    for one, two in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(np.load(two), np.load(one), atol=1e-4)  # on other numbers of threads


def test_a_clip_that_ends_the_process(clips: Path, tmp_path: Path) -> None:
    """The shard is named, the others are kept, and the same command ends the run when the clip is mended."""
    command = ["tag", clips, "--out", tmp_path / "out", *OPTIONS, *SHARDS, "--ray", "local"]
    lost = run(*command, at_start=customize(tmp_path / "site", ENDING))
    assert lost.returncode == 2, lost.stderr
    assert f"3 workers were lost in shard {DEADLY // SHARD} (rows from {SHARD} on)" in lost.stderr
    assert len(rows_of(tmp_path / "out")) == ROWS - SHARD
    done = run(*command)
    assert done.returncode == 3, done.stderr
    assert json.loads(done.stdout)["processed_now"] == SHARD
    names = [Path(row["video"]["path"]).name for row in rows_of(tmp_path / "out")]
    assert names == [clip_path(clips, number).name for number in range(ROWS)]
    errors = [row["video_audio_error"] != [None] for row in rows_of(tmp_path / "out")]
    assert errors == [number == BROKEN for number in range(ROWS)]


@pytest.mark.parametrize(
    ("where", "code", "words", "startup"),
    [
        ("127.0.0.1:1", 2, "No Ray cluster answers at 127.0.0.1:1", ""),
        ("head", 1, "must be 'auto', 'local' or the address of a cluster", ""),
        ("ray://127.0.0.1:10001", 1, "ray job submit", ""),
        ("local", 2, 'pip install "hf-audio-tagger[ray]"', WITHOUT_RAY),
    ],
)
def test_what_is_wrong_is_told_in_seconds(
    clips: Path, tmp_path: Path, where: str, code: int, words: str, startup: str
) -> None:
    for command in ("tag", "label"):
        at_start = customize(tmp_path / f"site-{command}", startup)
        begun_seconds = time.monotonic()
        told = run(command, clips, "--out", tmp_path / command, *OPTIONS, "--ray", where, at_start=at_start)
        assert time.monotonic() - begun_seconds < TOLD_SECONDS
        assert told.returncode == code, told.stderr
        assert words in " ".join(told.stderr.split())
        assert "Traceback" not in told.stderr
