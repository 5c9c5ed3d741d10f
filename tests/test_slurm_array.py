"""The Slurm array script of the documentation, as shells with task numbers: several at once, one killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_runs import BROKEN, ROWS, TAGGER, rows_of, write_clips

from hf_audio_tagger.runs import tag_dataset

pytestmark = [
    pytest.mark.campaign,
    pytest.mark.timeout(120),
    pytest.mark.usefixtures("one_thread_everywhere"),
]

SCRIPT = Path(__file__).parents[1] / "docs" / "tag_array.sbatch"
OPTIONS = ["--model", "demo", "--device", "cpu", "--batch-size", "2", "--shard-rows", "1"]
COMMANDS = 3


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with the package's command."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "hf-audio-tagger"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m hf_audio_tagger "$@"\n')
    program.chmod(0o755)
    return folder


def start_task(programs: Path, task: int, source: Path, dest: Path) -> "subprocess.Popen[bytes]":
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "SLURM_ARRAY_TASK_ID": str(task),
        "COMMANDS": str(COMMANDS),
    }
    command = ["bash", str(SCRIPT), str(source), str(dest), *OPTIONS]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def read_end(process: "subprocess.Popen[bytes]") -> tuple[int, str]:
    output, _ = process.communicate(timeout=90)
    return process.returncode, " ".join(output.decode().split())


def test_an_array_of_tasks_makes_one_result_also_where_one_is_killed(tmp_path: Path, programs: Path) -> None:
    clips, dest = write_clips(tmp_path / "clips"), tmp_path / "out"
    tasks = {number: start_task(programs, number, clips, dest) for number in range(1, COMMANDS + 1)}
    try:
        deadline = time.monotonic() + 60
        while not (dest / "data" / "shard-00001.parquet").exists():  # the first row of task 2
            assert time.monotonic() < deadline
            time.sleep(0.001)
        tasks[2].send_signal(signal.SIGKILL)
        ends = {number: read_end(task) for number, task in tasks.items()}
        assert ends.pop(2)[0] == -signal.SIGKILL
        assert sorted(code for code, _ in ends.values()) in ([0, 0], [0, 3])  # the broken clip is of task 3
        assert all("All commands together have done" in text for _, text in ends.values())
        tasks[2] = start_task(programs, 2, clips, dest)
        code, text = read_end(tasks[2])
    finally:
        for task in tasks.values():
            task.kill()
            task.wait()
    assert (code, f"rows {ROWS}" in text) == (3, True), text
    tag_dataset(clips, tmp_path / "whole", TAGGER, shard_rows=1)
    assert rows_of(dest) == rows_of(tmp_path / "whole")
    assert BROKEN % COMMANDS == 2
    assert not list(dest.rglob("*.tmp"))
