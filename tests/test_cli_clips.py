"""`hf-audio-tagger tag` without --out: lines for people and scripts, and where SOURCE is not there."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hub_server import serve
from typer.testing import CliRunner, Result

from hf_audio_tagger import build_tagger
from hf_audio_tagger.cli import app
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.demo.videos import write_video
from hf_audio_tagger.runs import load_result

pytestmark = pytest.mark.timeout(60)

COMMAND = [sys.executable, "-m", "hf_audio_tagger", "tag", "--model", "demo", "--device", "cpu"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two short sounds one after the other, a siren, a clip without sound, a broken one."""
    folder = tmp_path_factory.mktemp("clips")
    write_video(folder / "a.mp4", synthesize("Siren", 2.0, 16_000, 1), 16_000)
    write_video(folder / "b.mp4", synthesize("White noise", 1.0, 16_000, 2), 16_000)
    write_video(folder / "c.mp4", None, 16_000)
    (folder / "d.mp4").write_bytes(b"this is no video" * 50)
    return folder


def invoke(*words: object, stdin: str | bytes | None = None) -> Result:
    given = ["tag", *map(str, words), "--model", "demo", "--device", "cpu"]
    return CliRunner().invoke(app, given, input=stdin)


def test_a_line_a_label_and_failures_apart(folder: Path) -> None:
    result = invoke(folder)
    assert result.exit_code == 3
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert [line[:2] for line in lines] == [
        [f"{folder}/a.mp4", "Siren"],
        [f"{folder}/b.mp4", "White noise"],
        [f"{folder}/c.mp4", "EMPTY"],
    ]
    assert [len(line) for line in lines] == [3, 3, 2]
    assert all(0.5 < float(line[2]) <= 1 for line in lines[:2])
    assert f"{folder}/d.mp4: it is no readable media file" in result.stderr.replace("\n", "")


def test_top_k_segments_and_threshold(folder: Path) -> None:
    clip = folder / "a.mp4"
    tagger = build_tagger("demo", device="cpu", top_k=3, segments=True)
    [expected] = tagger.classify(clip)
    assert expected.top is not None
    assert expected.segments is not None
    top = [[str(clip), label, f"{score:.3f}"] for label, score in expected.top]
    parts = [
        [str(clip), f"{one.start:.2f}-{one.end:.2f}", one.label, f"{one.score:.3f}"]
        for one in expected.segments
    ]
    for words, lines in (
        (["--top-k", 3], top),
        (["--segments"], parts),
        (["--segments", "--top-k", 3], top + parts),
        (["--top-k", 3, "--threshold", 1.5], [[str(clip)]]),
    ):
        result = invoke(clip, *words)
        assert result.exit_code == 0
        assert [line.split("\t") for line in result.stdout.splitlines()] == lines


def test_json_is_a_line_a_clip(folder: Path) -> None:
    result = invoke(folder, "--json", "--segments", "--top-k", 2)
    assert result.exit_code == 3
    siren, _, silent, broken = map(json.loads, result.stdout.splitlines())
    assert list(siren) == ["clip", "row", "tag", "top", "segments"]
    assert (siren["clip"], siren["row"], siren["tag"]) == (f"{folder}/a.mp4", 0, "Siren")
    assert [one["label"] for one in siren["top"]][:1] == ["Siren"]
    assert siren["segments"][0].keys() == {"start", "end", "label", "score"}
    assert silent == {"clip": f"{folder}/c.mp4", "row": 2, "tag": "EMPTY", "top": [], "segments": []}
    assert broken.keys() == {"clip", "row", "error"}
    assert result.stderr == ""


def test_paths_on_standard_input(folder: Path) -> None:
    """Lines, or names that end with a null, as of `find -print0`; a folder in the list is its clips."""
    lines = f"{folder}/a.mp4\n\n{folder}/b.mp4\n"
    for given in (lines, lines.replace("\n\n", "\n").replace("\n", "\0")):
        result = invoke("-", folder / "c.mp4", stdin=given)
        assert (result.exit_code, result.stdout.count("\n")) == (0, 3)
    assert invoke("-", stdin=f"{folder}\n").stdout.count("\n") == 3
    result = invoke("-", stdin="\n")
    assert (result.exit_code, result.stderr.strip()) == (1, "There are no paths on standard input.")


def test_a_files_name_cannot_control_the_terminal(folder: Path, tmp_path: Path) -> None:
    odd = tmp_path / "\x1b[2Jtab\t.mp4"
    odd.write_bytes((folder / "a.mp4").read_bytes())
    bad = tmp_path / "\x1b[2Jbad.mp4"
    bad.write_bytes(b"no video")
    result = invoke(odd, bad)
    assert "\x1b" not in result.output
    assert result.stdout.split("\t")[:2] == [f"{tmp_path}/\\x1b[2Jtab\\t.mp4", "Siren"]
    assert "\\x1b[2Jbad.mp4" in result.stderr.replace("\n", "")
    found = invoke(odd, "--json")
    assert "\x1b" not in found.stdout
    assert json.loads(found.stdout)["clip"] == str(odd)


@pytest.mark.campaign
def test_lines_come_one_by_one_and_a_closed_pipe_ends_it(folder: Path) -> None:
    """A process, one core: the first line is there while the list of paths has 500 more."""
    paths = "\n".join([str(folder / "a.mp4")] * 500)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "ascii"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*COMMAND, "-"], text=True, env=environment, **pipes) as run:
        assert run.stdin is not None
        assert run.stdout is not None
        assert run.stderr is not None
        run.stdin.write(paths)
        run.stdin.close()
        assert run.stdout.readline().split("\t")[1] == "Siren"
        assert run.poll() is None
        run.stdout.close()
        assert run.stderr.read() == ""
        assert run.wait(30) == 141  # as of any command that SIGPIPE ends


def test_with_out_files_are_rows_of_a_run(folder: Path, tmp_path: Path) -> None:
    words = (folder / "b.mp4", folder / "a.mp4", tmp_path / "gone.mp4")
    result = invoke(*words, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 3
    summary = json.loads(result.stdout)
    assert (summary["rows"], summary["tagged"], summary["failed"]) == (3, 2, 1)
    rows = load_result(tmp_path / "out").to_list()
    assert [row["file_name"] for row in rows] == [str(word) for word in words]
    assert [row["video_audio_tags"] for row in rows] == [["White noise"], ["Siren"], [None]]
    again = invoke(*words, "--out", tmp_path / "out", "--json")
    assert json.loads(again.stdout)["processed_now"] == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--shard-rows", "2"], "--shard-rows and such are for a run; add --out DEST."),
        (["--embeddings"], "--embeddings are printed with --json only"),
        (["--push", "a/b"], "--push and such are for a run; add --out DEST."),
    ],
)
def test_options_of_a_run_need_out(folder: Path, words: list[str], told: str) -> None:
    result = invoke(folder, *words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert told in " ".join(result.stderr.split())


def test_embeddings_in_json(folder: Path) -> None:
    found = json.loads(invoke(folder / "a.mp4", "--json", "--embeddings").stdout)
    [expected] = build_tagger("demo", device="cpu", embeddings=True).classify(folder / "a.mp4")
    assert expected.embedding is not None
    assert found["embedding"] == pytest.approx(expected.embedding.tolist(), abs=1e-4)


@pytest.mark.parametrize("name", ["nope", "./nope", "nope.mp4", "nope/", "some/deep/nope.csv"])
def test_a_source_that_is_not_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told at once: nothing is asked of the Hub, no model is loaded."""
    monkeypatch.setattr(
        "huggingface_hub.HfApi.dataset_info", lambda *_, **__: pytest.fail("the Hub was asked")
    )
    started = time.process_time()
    result = invoke(name)
    assert time.process_time() - started < 3  # torch alone takes that long to import
    assert result.exit_code == 1
    told = " ".join(result.stderr.split())
    assert told.startswith(f"{name}: there is no such file or folder.")
    assert "a dataset on the Hub, written user/name" in told


def test_a_name_that_may_be_on_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers at this address: the connection is refused."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    for is_offline, told in (
        (False, "the Hub cannot be reached for a dataset of this name ("),
        (True, "the Hub is not asked: HF_HUB_OFFLINE is set."),
    ):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", is_offline)
        started = time.monotonic()
        result = invoke("user/nope")
        assert time.monotonic() - started < 10
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
        assert result.stderr.startswith(f"user/nope: there is no such file or folder, and {told}")


def test_a_dataset_that_the_hub_does_not_have() -> None:
    with serve({"hf_atoken": "user"}) as hub, pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        result = invoke("user/nope", "--token", "hf_atoken")
    assert result.exit_code == 1
    told = " ".join(result.stderr.split())
    assert told.startswith(
        "user/nope: there is no such file or folder, nor a dataset on the Hub of this name"
    )
    assert "log in with `hf auth login` or pass --token." in told
