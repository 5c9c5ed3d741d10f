"""Text of others on a terminal, in JSON for scripts and on a dataset's card: seen, and never obeyed."""

import io
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any
from xml.dom import minidom

import numpy as np
import pytest
from datasets import Dataset
from rich.table import Table
from rich.text import Text
from typer.testing import CliRunner, Result

from hf_audio_tagger import build_tagger
from hf_audio_tagger.cli import app, console
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.demo.videos import write_video
from hf_audio_tagger.recipes import run_recipe
from hf_audio_tagger.results.card import PushedDataset, update_card
from hf_audio_tagger.results.facts import TagFacts
from hf_audio_tagger.text import safe_json, safe_text

pytestmark = pytest.mark.timeout(60)

# A terminal's title, an erased screen in C0 and in C1, a text that runs backwards, a line of its own.
HOSTILE = "\x1b]0;t\x07\x1b[2J\x9b2J \u202e4pm\u2066 \u2028\u200f\ufeff :skull: [red]é日本"
SEEN = r"\x1b]0;t\x07\x1b[2J\x9b2J \u202e4pm\u2066 \u2028\u200f\ufeff :skull: [red]é日本"
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")  # whether they are there is rich's to decide


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    try:
        (folder / f"{HOSTILE}.mp4").write_bytes(b"no video at all" * 40)
        write_video(folder / f"Z{HOSTILE}.mp4", synthesize("Siren", 0.7, 16_000, 1), 16_000)
    except OSError:
        pytest.skip("this file system takes no such names")
    return folder


def invoke(monkeypatch: pytest.MonkeyPatch, *words: object) -> Result:
    monkeypatch.setenv("COLUMNS", "400")
    return CliRunner().invoke(app, [str(word) for word in words])


def plain(text: str) -> str:
    return COLOURS.sub("", text)


def test_what_is_escaped_and_what_stays() -> None:
    assert safe_text(HOSTILE) == SEEN
    assert safe_text("a\nb\tc", keep="\n") == "a\nb\\tc"
    assert safe_text("\udce9\ud83d\U000e0041") == r"\xe9\ud83d\U000e0041"
    for text in ("été 日本 العربية", "می\u200cخواهم", "👩\u200d👩\u200d👧", r"C:\x1b"):
        assert safe_text(text) == text


def test_json_for_scripts_says_the_same_and_shows_no_controls() -> None:
    value = {"a": [HOSTILE, "\udce9", "\U000e0041", "\x7f"], "é日本": 1.5, "none": None}
    for indent in (None, 2):
        text = safe_json(value, indent=indent)
        assert json.loads(text) == value
        assert not UNSAFE.search(text)
        assert text.encode()
    assert "é日本" in safe_json(value)


@pytest.mark.campaign
def test_an_error_shows_control_characters_of_a_name_escaped(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    done = invoke(monkeypatch, "tag", folder, "--dry-run", "--model", "demo", "--on-error", "raise")
    assert done.exit_code == 2
    assert not UNSAFE.search(plain(done.output))
    assert SEEN.split(r" \u2028")[0] in plain(done.stderr)
    assert ".mp4: it is no readable media file" in plain(done.stderr)


@pytest.mark.usefixtures("_without_openvino")
def test_a_table_shows_the_name(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    done = invoke(monkeypatch, "tag", folder, "--dry-run", "--model", "demo")
    assert done.exit_code == 0, done.output
    assert not UNSAFE.search(plain(done.output))
    assert f"file_name {SEEN}.mp4" in " ".join(plain(done.stdout).split())  # however wide the table is


def test_json_of_a_run_keeps_the_names(monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path) -> None:
    from hf_audio_tagger.runs import Summary

    told = Summary("\x9b2J\udce9.jsonl", 0, 0, 0, 0, 0, 0, 0.0, 0.0, (), None)
    monkeypatch.setattr("hf_audio_tagger.runs.tag_dataset", lambda *_, **__: told)
    done = invoke(monkeypatch, "tag", folder, "--out", tmp_path / "o", "--model", "demo", "--json")
    assert (done.exit_code, json.loads(done.stdout)["dest"]) == (0, told.dest)
    assert not UNSAFE.search(done.stdout)


def shown_by(encoding: str, *printed: Any) -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding)
    made = console.SafeConsole(file=file, width=300, force_terminal=True, highlight=False, emoji=False)
    for one in printed:
        made.print(one)
    file.flush()
    return plain(file.buffer.getvalue().decode(encoding))  # type: ignore[attr-defined]


def test_a_console_escapes_whatever_is_printed() -> None:
    table = Table("head")
    table.add_row(HOSTILE.replace("[red]", ""))
    table.add_row(Text(HOSTILE))
    text = shown_by("utf-8", table, Text(HOSTILE), HOSTILE.replace("[red]", "\\[red]"))
    assert not UNSAFE.search(text)
    assert ":skull:" in text  # no emoji in place of a name's letters
    assert text.count(r"\u202e4pm") == 4


def test_a_terminal_that_lacks_letters_is_given_their_numbers() -> None:
    assert shown_by("latin-1", "été 日本 \udce9") == "été \\u65e5\\u672c \\xe9\n"


@pytest.mark.campaign  # takes ten seconds
def test_a_traceback_is_shown_without_obeying_the_name(
    monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from hf_audio_tagger import cli

    words = ["tag", str(folder), "--dry-run", "--model", "demo", "--on-error", "raise"]
    monkeypatch.setattr("sys.argv", ["hf-audio-tagger", "--traceback", *words])
    monkeypatch.setenv("COLUMNS", "400")
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    told = plain(capsys.readouterr().err)
    assert "Traceback" in told
    assert "MediaError" in told
    assert not UNSAFE.search(told)


def test_a_recipes_notes_are_lines_without_controls(tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_text('{"videos": []}\n')
    keys = {"dataset_path": str(tmp_path / "s.jsonl"), "export_path": str(tmp_path / "out" / "res.jsonl")}
    (tmp_path / "r.json").write_text(json.dumps({**keys, f"a\n{HOSTILE}": 1}))
    notes: list[str] = []
    run_recipe(tmp_path / "r.json", notes.append)
    assert notes == [f"Ignored: a\\n{SEEN}"]


def test_a_picture_of_hostile_names_is_valid_xml() -> None:
    pytest.importorskip("matplotlib")
    from hf_audio_tagger.plot import plot_tags, plot_timeline

    tags = Dataset.from_dict({"video_audio_tags": [[HOSTILE]]})
    sound = {"array": np.zeros(800, np.float32), "sampling_rate": 16_000, "path": f"{HOSTILE}.wav"}
    row = {
        "audio": sound,
        "video_audio_segments": [[{"start": 0.0, "end": 0.05, "label": HOSTILE, "score": 1.0}]],
    }
    for figure in (plot_tags(tags, title=HOSTILE), plot_tags(tags), plot_timeline(row)):
        file = io.BytesIO()
        figure.savefig(file, format="svg")
        xml = file.getvalue()
        minidom.parseString(xml)
        assert not UNSAFE.search(xml.decode())


def test_a_card_shows_what_would_hide(tmp_path: Path) -> None:
    counts = TagFacts(3, tags=Counter({HOSTILE: 2, "Dog": 1}))
    tagger = build_tagger("demo", weights=None, tag_column="t\u202e_tags")
    pushed = PushedDataset(
        "user/name",
        "default",
        "train",
        None,
        tagger,
        "t\u202e_tags",
        ("t\u202e_tags", "t\u202e_error"),
        {"train": counts},
        "embedded",
    )
    card = update_card("About.\n", pushed)
    assert not UNSAFE.search(card)
    assert r"\\u202e4pm\\u2066" in card  # Markdown shows two backslashes as one
    code = card.split("```python\n")[1].split("```")[0]
    assert r'tag_column="t\u202e_tags"' in code  # what Python reads as the same name
