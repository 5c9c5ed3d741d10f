"""The command line as such, and `hf-audio-tagger demo`."""

import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from hf_audio_tagger import __version__
from hf_audio_tagger.cli import Commands, app
from hf_audio_tagger.errors import MediaError

COMMAND = [sys.executable, "-m", "hf_audio_tagger"]
HEAVY = {"torch", "torchaudio", "transformers", "datasets", "av", "numpy", "huggingface_hub"}


@pytest.fixture(autouse=True)
def _own_environment() -> Iterator[None]:
    """Commands silence libraries through the environment; what they set ends with the test."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


# The command line


def test_help_lists_the_commands_and_imports_nothing_heavy() -> None:
    script = (
        "import sys; from typer.testing import CliRunner; from hf_audio_tagger.cli import app;"
        "print(CliRunner().invoke(app, ['--help']).stdout);"
        f"print('HEAVY', sorted({HEAVY!r} & set(sys.modules)))"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "HEAVY []" in done.stdout
    assert all(f" {name} " in done.stdout for name in ("demo", "doctor"))
    assert after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime < 1.0


def test_version() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.stdout) == (0, f"hf-audio-tagger {__version__}\n")


def failing_app(error: BaseException) -> typer.Typer:
    """The app's own group and callback with a command that fails."""
    other = typer.Typer(cls=Commands)

    @other.callback()
    def options(traceback: bool = False) -> None: ...

    @other.command()
    def fail() -> None:
        raise error

    return other


def test_an_error_of_ours_is_one_red_line_without_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    message = "clips/a [x].mp4: it is no readable media file (Invalid data found when processing input)."
    done = CliRunner().invoke(failing_app(MediaError(message.replace(" (", "\n("))), ["fail"])
    assert done.exit_code == 1
    assert done.stdout == ""
    colours = r"\x1b\[[0-9;]*m"  # whether they are there is rich's to decide
    assert re.sub(colours, "", done.stderr) == f"{message}\n"


@pytest.mark.parametrize("how", ["option", "variable"])
def test_the_traceback_is_shown_when_asked_for(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    error = MediaError("a.mp4: broken")
    if how == "variable":
        monkeypatch.setenv("HF_AUDIO_TAGGER_TRACEBACK", "1")
    done = CliRunner().invoke(failing_app(error), [*(["--traceback"] if how == "option" else []), "fail"])
    assert done.exception is error  # for typer to print, as it does with any other


def test_tracebacks_show_no_values() -> None:
    assert app.pretty_exceptions_show_locals is False  # a token may be among them


@pytest.mark.timeout(60)
def test_ctrl_c_ends_with_130_and_a_line(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "HF_HOME": str(tmp_path)}
    process = subprocess.Popen(
        [*COMMAND, "doctor", "--model", "demo", "--skip-speed"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "Versions\n"
    process.send_signal(signal.SIGINT)
    _, told = process.communicate()
    assert process.returncode == 130
    assert told == "Interrupted.\n"


# demo


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def demo(home: Path) -> tuple[subprocess.CompletedProcess[str], float]:
    """One real run from another folder, with an empty home and no network; and its seconds of work."""
    elsewhere = home / "elsewhere"
    elsewhere.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "COLUMNS"))}
    environment = {**kept, "HOME": str(home), "HF_ENDPOINT": "http://127.0.0.1:9", "COLUMNS": "100"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [*COMMAND, "demo", "--folder", "kept", "--report"],
        capture_output=True,
        text=True,
        cwd=elsewhere,
        env=environment,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


@pytest.mark.timeout(120)
def test_demo_tags_a_dozen_videos_as_expected(
    demo: tuple[subprocess.CompletedProcess[str], float], home: Path
) -> None:
    done, _ = demo
    assert done.returncode == 0, done.stderr
    files = sorted(path.name for path in (home / "elsewhere" / "kept").glob("*.mp4"))
    assert len(files) == 12
    rows = [line.split() for line in done.stdout.splitlines() if line.strip().endswith("✓")]
    assert [row[0] for row in rows] == files
    for row in rows:
        middle = row[1:-1]  # expected and tag, of as many words each
        assert middle[: len(middle) // 2] == middle[len(middle) // 2 :]
    assert {"EMPTY", "UNREADABLE", "Siren", "Music"} <= {row[1] for row in rows}
    assert "11-broken.mp4: it is no readable media file" in done.stdout
    assert done.stdout.rstrip().count("\n", done.stdout.index("from datasets")) < 3
    assert "ds.map(build_tagger(), batched=True)" in done.stdout
    assert "\nhf-audio-tagger tag clip.mp4 --model yamnet\n" in done.stdout


def test_demo_shows_a_bar_and_no_other_noise(demo: tuple[subprocess.CompletedProcess[str], float]) -> None:
    told = demo[0].stderr.replace("\r", "\n").split("\n")
    assert any(line.startswith("Tagging: 100%") and "12/12" in line for line in told)
    bars = ("Tagging", "Reading", "Comparing", "Writing")
    assert [line for line in told if line.strip() and not line.startswith(bars)] == []


def test_demo_writes_a_page_that_needs_nothing_else(
    demo: tuple[subprocess.CompletedProcess[str], float], home: Path
) -> None:
    assert "\nA page of them, to open in a browser: demo-report.html\n" in demo[0].stdout
    page = (home / "elsewhere" / "demo-report.html").read_text()
    assert (
        page.count("data:video/mp4;base64,") + page.count("data:video/webm;base64,") == 11
    )  # all but the broken
    assert "data:image/jpeg;base64," in page
    assert str(home) not in page


def test_demo_is_quick(demo: tuple[subprocess.CompletedProcess[str], float]) -> None:
    assert demo[1] < 30.0  # seconds of work, whatever else the machine does


def test_demo_leaves_no_cache_behind(
    demo: tuple[subprocess.CompletedProcess[str], float], home: Path
) -> None:
    written = [path.name for path in home.rglob("*") if path.is_file() and path.parent.name != "kept"]
    assert written == ["demo-report.html"]


@pytest.mark.timeout(120)
def test_demo_fails_where_a_tag_is_not_as_expected(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from hf_audio_tagger.demo import videos
    from hf_audio_tagger.demo.sounds import synthesize

    def write_two(folder: Path) -> list[videos.DemoVideo]:
        videos.write_video(folder / "siren.mp4", synthesize("Siren", 4.0, 44_100, 1), 44_100)
        return [
            videos.DemoVideo(folder / "siren.mp4", "Siren"),
            videos.DemoVideo(folder / "siren.mp4", "Music"),
        ]

    monkeypatch.setattr(videos, "write_demo_videos", write_two)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    done = CliRunner().invoke(app, ["demo"])
    assert done.exit_code == 1
    assert "1 of 2 are not as expected" in done.stdout
    assert [line.split()[-1] for line in done.stdout.splitlines() if "siren.mp4" in line] == ["✓", "✗"]
    assert list(temporary.glob("hf_audio_tagger_*")) == []  # the videos are gone


def test_demo_says_where_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(app, ["demo", "--folder", str(tmp_path / "file" / "videos")])
    assert done.exit_code == 1
    assert "--folder" in done.stderr
    assert "Not a directory" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
