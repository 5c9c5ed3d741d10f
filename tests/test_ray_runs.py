"""Runs on a real Ray cluster: the rows of `map`, whoever is lost; the shell; labels."""

import json
import os
import signal
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from ray_clusters import TESTS, WAIT_SECONDS, Nodes, kill_worker, started, wait_until
from small_runs import LABELS, rows_of, write_clip

from hf_audio_tagger import build_tagger, export_predictions, load_predictions, tag_dataset
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.demo.videos import write_video
from hf_audio_tagger.errors import RunError
from hf_audio_tagger.runs import Progress, Watcher

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(150)]

ROWS, SHARD = 240, 20
SETTINGS: dict[str, Any] = {"batch_size": 4, "device": "cpu", "on_error": "record", "top_k": 3}
TAGGER = build_tagger("demo", segments=True, embeddings=True, **SETTINGS)
BROKEN, SILENT, NO_VIDEO = 101, 57, 33  # rows


def write_sound(path: Path, seed: int) -> None:
    samples = synthesize(LABELS[seed % len(LABELS)], 0.3, 16_000, seed)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes((samples * 32_767).astype("<i2").tobytes())


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 240 rows, each with its own clip, one broken and one without sound; a row has none."""
    folder = tmp_path_factory.mktemp("source")
    for row in range(ROWS):
        write_sound(folder / f"{row}.wav", row)
    write_video(folder / "silent.mp4", None, 16_000)
    (folder / "broken.mp4").write_bytes(b"this is no video" * 50)
    special = {BROKEN: "broken.mp4", SILENT: "silent.mp4", NO_VIDEO: None}
    with open(folder / "rows.jsonl", "w") as file:
        for row in range(ROWS):
            file.write(json.dumps({"id": row, "video": special.get(row, f"{row}.wav")}) + "\n")
    return folder / "rows.jsonl"


@pytest.fixture(scope="module")
def expected(source: Path) -> list[dict[str, Any]]:
    """What `map` gives."""
    rows = [json.loads(line) for line in source.read_text().splitlines()]
    paths = [None if one["video"] is None else str(source.parent / one["video"]) for one in rows]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        tagged = Dataset.from_dict({"video": paths}).map(TAGGER, batched=True, batch_size=4)
    return [{**row, **{**one, "video": row["video"]}} for row, one in zip(rows, tagged, strict=True)]


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with started("head", "second") as nodes:
        yield nodes


def check(dest: Path, expected: list[dict[str, Any]]) -> None:
    """Every row once, in order, with every column; and no temporary file is left."""
    rows = rows_of(dest)
    assert [row["id"] for row in rows] == list(range(ROWS))
    for row, other in zip(rows, expected, strict=True):
        assert row.keys() == other.keys()
        for name in row.keys() - {"video", "video_audio_embedding", "video_audio_error"}:
            assert row[name] == other[name], (row["id"], name)
        for one, two in zip(row["video_audio_embedding"], other["video_audio_embedding"], strict=True):
            assert (one is None) == (two is None)
            assert one is None or np.array_equal(one, two)
        errors = zip(row["video_audio_error"], other["video_audio_error"], strict=True)
        assert all((one is None) == (two is None) for one, two in errors)
    assert not list(dest.rglob("*.tmp"))


class Doing(Watcher):
    """Does something each time that so many more rows are done."""

    def __init__(self, *actions: Any, every: int = 40) -> None:
        self.actions, self.every, self.most = list(actions), every, 0

    def progressed(self, progress: Progress) -> None:
        self.most = max(self.most, progress.done_rows)
        if self.actions and progress.done_rows >= self.every:
            self.every += self.every
            self.actions.pop(0)()


def test_240_rows_on_two_workers(
    nodes: Nodes, source: Path, expected: list[dict[str, Any]], tmp_path: Path
) -> None:
    dest = tmp_path / "out"
    summary = tag_dataset(source, dest, TAGGER, shard_rows=SHARD, executor=nodes.executor)
    assert (summary.rows, summary.failed, summary.empty) == (ROWS, 1, 1)
    check(dest, expected)
    write_clip(source.parent / "broken.mp4", 3)
    try:
        again = tag_dataset(
            source, dest, TAGGER, shard_rows=SHARD, executor=nodes.executor, retry_failed=True
        )
        assert (again.rows, again.failed, again.processed_now) == (ROWS, 0, 1)
    finally:
        (source.parent / "broken.mp4").write_bytes(b"this is no video" * 50)


def test_a_lost_worker_loses_no_row(
    nodes: Nodes, source: Path, expected: list[dict[str, Any]], tmp_path: Path
) -> None:
    killing = Doing(kill_worker, kill_worker)
    tag_dataset(source, tmp_path / "out", TAGGER, shard_rows=SHARD, executor=nodes.executor, watcher=killing)
    assert not killing.actions
    check(tmp_path / "out", expected)


def test_nodes_lost_twice_in_a_row(source: Path, expected: list[dict[str, Any]], tmp_path: Path) -> None:
    with started("head", "second", "third") as nodes:
        *_, second, third = nodes.cluster.list_all_nodes()
        losing = Doing(lambda: nodes.kill(second), lambda: nodes.kill(third))
        tag_dataset(
            source, tmp_path / "out", TAGGER, shard_rows=SHARD, executor=nodes.executor, watcher=losing
        )
        assert not losing.actions
    check(tmp_path / "out", expected)


def tag(nodes: Nodes, source: Path, dest: Path, *more: str) -> list[str]:
    """The same run as a command."""
    options = ["--model", "demo", "--device", "cpu", "--batch-size", "4", "--top-k", "3", "--segments"]
    run = ["--shard-rows", str(SHARD), "--ray", nodes.executor.address, "--embeddings", *more]
    command = [sys.executable, "-m", "hf_audio_tagger", "tag", str(source), "--out", str(dest)]
    return [*command, *options, *run]


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(TESTS.parent), "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}


def test_a_killed_driver_is_resumed(
    nodes: Nodes, source: Path, expected: list[dict[str, Any]], tmp_path: Path
) -> None:
    dest = tmp_path / "out"
    with open(tmp_path / "log", "wb") as log:
        driver = subprocess.Popen(
            tag(nodes, source, dest, "--quiet"), env=ENVIRONMENT, stderr=log, stdout=log
        )
    try:
        wait_until(lambda: len(list(dest.glob("data/shard-*"))) >= 3 or driver.poll() is not None)
    finally:
        driver.kill()
        driver.wait()
    assert driver.returncode == -signal.SIGKILL, (tmp_path / "log").read_text()
    before = len(list(dest.glob("data/shard-*")))
    assert before < ROWS // SHARD
    done = subprocess.run(
        tag(nodes, source, dest, "--json", "--quiet"),
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )
    assert done.returncode == 3, done.stderr  # done, and one row failed
    assert json.loads(done.stdout)["processed_now"] <= ROWS - before * SHARD
    assert "ray" not in done.stderr.lower()  # nothing of Ray's own is shown
    check(dest, expected)


def test_ctrl_c_keeps_what_is_done(
    nodes: Nodes, source: Path, expected: list[dict[str, Any]], tmp_path: Path
) -> None:
    dest = tmp_path / "out"
    driver = subprocess.Popen(
        tag(nodes, source, dest, "--quiet"), env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    )
    try:
        wait_until(lambda: len(list(dest.glob("data/shard-*"))) >= 2 or driver.poll() is not None)
        driver.send_signal(signal.SIGINT)
        _, printed = driver.communicate(timeout=WAIT_SECONDS)
    finally:
        driver.kill()
        driver.wait()
    assert driver.returncode == 130, printed
    assert "What is done is kept" in printed
    assert not list(dest.rglob("*.tmp"))
    assert 2 * SHARD <= len(rows_of(dest)) < ROWS
    tag_dataset(source, dest, TAGGER, executor=nodes.executor)
    check(dest, expected)


def test_too_many_failures_stop_the_run(nodes: Nodes, source: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="more than the 0 allowed"):
        tag_dataset(
            source, tmp_path / "out", TAGGER, shard_rows=SHARD, executor=nodes.executor, max_failures=0
        )


def test_labels_are_those_of_one_process(nodes: Nodes, source: Path, tmp_path: Path) -> None:
    tagger = build_tagger("demo", batch_size=4, device="cpu", on_error="record")
    clips = [source.parent / f"{number}.wav" for number in range(10)]
    here = export_predictions(clips, tmp_path / "here", tagger=tagger, num_proc=2)
    there = export_predictions(clips, tmp_path / "there", tagger=tagger, executor=nodes.executor)
    assert (
        (there.clips, there.labelled, there.failed) == (here.clips, here.labelled, here.failed) == (10, 10, 0)
    )
    one, two = (load_predictions(tmp_path / name) for name in ("here", "there"))
    assert one["id"][:] == two["id"][:]
    for first, second in zip(
        (tmp_path / "here").rglob("*.npy"), (tmp_path / "there").rglob("*.npy"), strict=True
    ):
        assert np.array_equal(np.load(first), np.load(second))
    # Each worker has a journal of its own, since hosts that append to one file may lose lines.
    state = tmp_path / "there" / ".hf_audio_tagger"
    journals = {path.name for path in state.glob("label*.jsonl")}
    assert {"label-worker-0.jsonl", "label-worker-1.jsonl"} & journals
    again = export_predictions(clips, tmp_path / "there", tagger=tagger, num_proc=1)
    assert {path.name for path in state.glob("label*.jsonl")} == {"label.jsonl"}
    assert again.processed_now == 0
