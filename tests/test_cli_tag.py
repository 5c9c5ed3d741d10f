"""`hf-audio-tagger tag` as a person meets it: a process, its streams, signals and exit codes."""

import json
import os
import pty
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hub_server import serve
from typer.testing import CliRunner, Result

from hf_audio_tagger import build_tagger
from hf_audio_tagger.cli import app
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.demo.videos import write_video
from hf_audio_tagger.runs import tag_dataset

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("one_thread_everywhere")]

LABELS = ("Siren", "Sine wave", "White noise", "Clicking", "Dial tone", "Music")
ROWS = 60
COMMAND = [sys.executable, "-m", "hf_audio_tagger"]
SETTINGS = ["--model", "demo", "--top-k", "3", "--device", "cpu", "--batch-size", "4"]
TOKEN = "hf_notatrueone"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty tiny files, two of them broken and one without sound."""
    folder = tmp_path_factory.mktemp("sixty")
    for number in range(ROWS):
        path = folder / f"{number:02d}.mp4"
        if number in (13, 41):
            path.write_bytes(b"this is no video" * 50)
        elif number == 30:
            write_video(path, None, 16_000)
        else:
            write_video(path, synthesize(LABELS[number % 6], 0.7, 16_000, number), 16_000)
    return folder


@pytest.fixture(scope="module")
def few(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("few")
    for number in (0, 1, 30):
        (folder / f"{number:02d}.mp4").write_bytes((clips / f"{number:02d}.mp4").read_bytes())
    return folder


def rows_of(dest: Path) -> list[dict[str, Any]]:
    paths = sorted((dest / "data").glob("*.parquet"))
    return pa.concat_tables([pq.read_table(path) for path in paths]).to_pylist()


def invoke(*words: object) -> Result:
    """The command in this process: where a process of its own is not the point."""
    return CliRunner().invoke(app, ["tag", *map(str, words)])


@pytest.mark.campaign  # takes ten seconds
def test_the_same_command_continues_after_kill_9_of_the_whole_group(clips: Path, tmp_path: Path) -> None:
    dest = tmp_path / "out"
    command = [*COMMAND, "tag", str(clips), "--out", str(dest), "--shard-rows", "5", "--json", *SETTINGS]
    moments = random.Random(int(os.environ.get("KILL_SEED", "1")))
    run = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wanted = moments.randint(1, 6)
    while run.poll() is None and len(list((dest / "data").glob("shard-*"))) < wanted:
        time.sleep(0.005)
    time.sleep(moments.uniform(0, 0.1))
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert 0 < len(rows_of(dest)) < ROWS
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    summary = json.loads(done.stdout)  # nothing else is on standard output
    assert (summary["rows"], summary["tagged"], summary["empty"], summary["failed"]) == (60, 57, 1, 2)
    assert summary["processed_now"] < ROWS
    tagger = build_tagger("demo", top_k=3, device="cpu", batch_size=4, on_error="record")
    tag_dataset(clips, tmp_path / "whole", tagger, shard_rows=5)
    assert rows_of(dest) == rows_of(tmp_path / "whole")


def read_all(terminal: int) -> bytes:
    """What a process writes to a terminal until it closes it."""
    text = b""
    while True:
        try:
            block = os.read(terminal, 65536)
        except OSError:
            return text
        if not block:
            return text
        text += block


@pytest.mark.campaign
def test_ctrl_c_on_a_terminal_ends_cleanly(clips: Path, tmp_path: Path) -> None:
    """The whole group gets SIGINT, as a terminal sends it; the bar is drawn, and nothing else."""
    dest = tmp_path / "out"
    terminal, side = pty.openpty()
    environment = {**os.environ, "COLUMNS": "120", "HF_TOKEN": TOKEN}
    run = subprocess.Popen(
        [*COMMAND, "tag", str(clips), "--out", str(dest), "--shard-rows", "30", "--token", TOKEN, *SETTINGS],
        start_new_session=True,
        stdin=side,
        stdout=side,
        stderr=side,
        env=environment,
    )
    os.close(side)
    seen: list[bytes] = []
    reader = threading.Thread(target=lambda: seen.append(read_all(terminal)))
    reader.start()
    while run.poll() is None and not list((dest / "data").glob(".shard-*")):
        time.sleep(0.01)
    time.sleep(0.1)
    os.killpg(run.pid, signal.SIGINT)
    assert run.wait(60) == 130
    reader.join()
    os.close(terminal)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen[0].decode())
    assert re.search(r"model +demo", text)
    assert re.search(r"Stopped .* \d+/60 rows", text)
    assert f"Interrupted. What is done is kept in {dest}; the same command continues from there." in text
    assert "Traceback" not in text
    assert "Warning" not in text
    assert TOKEN not in text
    written = [path.read_bytes() for path in dest.rglob("*") if path.is_file()]
    assert not any(TOKEN.encode() in data for data in written)
    kept = len(rows_of(dest)) if list((dest / "data").glob("shard-*")) else 0
    result = invoke(clips, "--out", dest, "--json", *SETTINGS)
    assert result.exit_code == 3
    assert json.loads(result.stdout)["processed_now"] == ROWS - kept


@pytest.mark.campaign  # takes ten seconds
def test_to_the_hub_and_from_there(few: Path, tmp_path: Path) -> None:
    """DEST on the Hub, then SOURCE on the Hub as a stream: over HTTP, as processes."""
    with serve({TOKEN: "user"}) as hub:
        environment = {
            **os.environ,
            "HF_ENDPOINT": hub.url,
            "HF_HUB_DISABLE_XET": "1",
            "HF_TOKEN": TOKEN,
            "HF_HOME": str(tmp_path / "home"),
            "HF_AUDIO_TAGGER_CACHE": str(tmp_path / "cache"),
        }

        def run(*words: object) -> dict[str, Any]:
            command = [*COMMAND, "tag", *map(str, words), "--json", *SETTINGS]
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
            assert done.returncode == 0, done.stderr
            assert TOKEN not in done.stdout + done.stderr
            found: dict[str, Any] = json.loads(done.stdout)
            return found

        pushed = run(few, "--out", "hf://datasets/user/tagged", "--private", "--push-report")
        assert (pushed["rows"], pushed["tagged"], pushed["empty"]) == (3, 2, 1)
        assert pushed["url"] == f"{hub.url}/datasets/user/tagged"
        assert "report/train/index.html" in hub.repo("user/tagged", "user").at("main").files
        words = ("--streaming", "--tag-column", "again_tags")
        assert run("user/tagged", "--out", tmp_path / "again.jsonl", *words)["processed_now"] == 3
    lines = [json.loads(line) for line in (tmp_path / "again.jsonl").read_text().splitlines()]
    assert [line["again_tags"] for line in lines] == [line["video_audio_tags"] for line in lines]
    assert [line["again_tags"][0] for line in lines] == ["Siren", "Sine wave", "EMPTY"]
    assert [line["video"] for line in lines] == ["00.mp4", "01.mp4", "30.mp4"]


def test_summary_for_people(clips: Path, few: Path, tmp_path: Path) -> None:
    result = invoke(few, "--out", tmp_path / "out", *SETTINGS)
    assert result.exit_code == 0
    assert re.search(r"rows +3\ntagged +2\nEMPTY +1\nfailed +0\n", re.sub(r" +\n", "\n", result.stdout))
    assert re.search(r"Sine wave +1 +█+", result.stdout)
    assert "Failures" not in result.stdout
    assert re.search(r"num_proc +1\b", result.stderr)
    result = invoke(clips, "--out", tmp_path / "failed", "--limit", 14, *SETTINGS)
    assert result.exit_code == 3
    listed = tmp_path / "failed" / ".hf_audio_tagger" / "failures.jsonl"
    assert f"Failures are listed in {listed}" in result.stdout
    assert json.loads(listed.read_text())["row"] == 13
    assert "--retry-failed" in result.stdout


@pytest.mark.usefixtures("_without_openvino")
def test_dry_run_tags_one_row_and_writes_nothing(few: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    result = invoke(few, "--out", tmp_path / "out", "--dry-run", "--token", TOKEN, *SETTINGS)
    assert result.exit_code == 0
    assert "3 rows would be tagged" in result.stdout
    assert re.search(r"column +video\b", result.stdout)
    assert re.search(r"video_audio_tags +\['Siren'\]", result.stdout)
    assert TOKEN not in result.output
    assert sorted(tmp_path.rglob("*")) == before
    assert re.search(r"as asked \(--engine torch --dtype float32\) +about \d+", result.stdout)
    assert "Timed on 3 clips from all over the source" in result.stdout
    assert "about 0s" not in result.stdout
    assert invoke(few, "--dry-run", "--limit", 2, *SETTINGS).stdout.count("2 rows would be tagged") == 1


@pytest.mark.usefixtures("_without_openvino")
def test_dry_run_as_json_says_how_long_each_choice_takes(few: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_audio_tagger.speed.has_native_bfloat16", lambda device: True)
    told = json.loads(invoke(few, "--dry-run", "--json", *SETTINGS).stdout)
    asked, other = told["timings"]
    assert (asked["dtype"], other["dtype"]) == ("float32", "bfloat16")
    assert other["equal_tags"] <= len(asked["tags"]) == told["rows"] == 3
    assert asked["run_seconds"] >= asked["seconds"] > 0
    assert told["first_row"]["video_audio_tags"] == ["Siren"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--out", "{tmp}/out", "--decoder", "vlc"], 1, "--decoder must be one of"),
        (["--out", "{tmp}/out", "--no-such-option"], 1, "No such option"),
        (["--out", "{tmp}/out", "--batch-size", "0"], 1, "Invalid value"),
        (["--out", "{tmp}/out", "--column", "sound"], 1, "no column 'sound'"),
        (
            ["--out", "{tmp}/out", "--max-failures", "x%"],
            1,
            "--max-failures must be a number of rows or a share",
        ),
        (["--out", "{tmp}/out", "--private"], 1, "go with --push"),
        (["--out", "hf://datasets/a/b", "--push", "a/c"], 1, "two places"),
        (["--num-proc", "2"], 1, "--num-proc and such are for a run; add --out DEST."),
        (["--out", "{tmp}/out", "--model", "{tmp}/none"], 1, "there is no such folder"),
        (["--out", "{tmp}/file/out"], 2, ".hf_audio_tagger). The run has not begun."),
        (["--out", "/dev/full"], 1, "/dev/full is in /dev, where the system shows its devices"),
        (["--out", "/proc/no/such/place.jsonl"], 1, "no results can be kept there"),
        (["--out", "{tmp}/out", "--max-failures", "0", "--batch-size", "1"], 2, "more than the 0 allowed"),
    ],
)
def test_exit_codes(clips: Path, tmp_path: Path, words: list[str], code: int, told: str) -> None:
    given = [word.format(tmp=tmp_path) for word in words]
    (tmp_path / "file").write_text("no folder")
    result = invoke(clips, *([] if "--model" in given else ["--model", "demo"]), *given)
    assert result.exit_code == code, result.output
    assert told in " ".join(result.stderr.replace("│", " ").split())
    assert "Traceback" not in result.output


def test_other_settings_on_the_same_place(few: Path, tmp_path: Path) -> None:
    assert invoke(few, "--out", tmp_path / "out", *SETTINGS).exit_code == 0
    result = invoke(few, "--out", tmp_path / "out", "--model", "demo", "--top-k", 5)
    assert result.exit_code == 1
    assert "--top-k was 3, now 5. --overwrite starts over" in result.stderr
    assert (
        invoke(few, "--out", tmp_path / "out", "--model", "demo", "--top-k", 5, "--overwrite").exit_code == 0
    )
    assert len(rows_of(tmp_path / "out")[0]["video_audio_top"][0]) == 5


def test_options_reach_the_tagger(few: Path, tmp_path: Path) -> None:
    words = ["--segments", "--embeddings", "--windows", "all", "--hop-seconds", "0.5"]
    words += ["--channels", "first", "--decoder", "pyav", "--tag-column", "a_tags"]
    result = invoke(few, "--out", tmp_path / "out", "--model", "demo", *words)
    assert result.exit_code == 0, result.output
    tagger = build_tagger(
        "demo",
        segments=True,
        embeddings=True,
        windows="all",
        hop_seconds=0.5,
        channels="first",
        decoder="pyav",
        tag_column="a_tags",
    )
    [result] = tagger.classify(few / "00.mp4")
    assert result.segments is not None
    assert result.embedding is not None
    row = rows_of(tmp_path / "out")[0]
    assert row["a_tags"] == [result.tag]
    assert [one["end"] for one in row["a_segments"][0]] == pytest.approx([one.end for one in result.segments])
    assert row["a_embedding"][0] == pytest.approx(result.embedding.tolist(), abs=1e-4)


def test_help_names_every_option_of_build_tagger_in_panels(monkeypatch: pytest.MonkeyPatch) -> None:
    import inspect

    monkeypatch.setenv("COLUMNS", "120")
    text = invoke("--help").stdout
    for name in inspect.signature(build_tagger).parameters:
        if name != "batched":  # the command knows that it hands over batches
            assert f"--{name.replace('_', '-')} " in text, name
    for panel in ("Source", "Model", "Sound", "Columns", "The run", "The Hub"):
        assert f"─ {panel} ─" in text
    assert "one for each GPU, or one" in text


def test_shell_completion_knows_the_options() -> None:
    environment = {"_HF_AUDIO_TAGGER_COMPLETE": "complete_bash", "COMP_CWORD": "2"}
    result = CliRunner().invoke(
        app, [], env={**environment, "COMP_WORDS": "hf-audio-tagger tag --re"}, prog_name="hf-audio-tagger"
    )
    assert result.stdout.split() == ["--revision", "--redo", "--retry-failed"]
