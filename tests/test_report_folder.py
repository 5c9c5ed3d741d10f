"""A report on disk: whole or not at all, and nothing else is replaced; the command; a notebook's cell."""

import html
import os
import re
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from typer.testing import CliRunner

from hf_audio_tagger import report
from hf_audio_tagger.cli import app
from hf_audio_tagger.errors import RunError, SettingsError
from hf_audio_tagger.page.folder import hash_text


@pytest.fixture
def ds() -> Dataset:
    return Dataset.from_dict({"video_audio_tags": [["Dog"], ["Cat"]]})


def list_files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_report_that_fails_leaves_the_one_before(
    ds: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report(ds, tmp_path / "page")
    before = list_files(tmp_path)

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hf_audio_tagger.page.making.make_head", fail)
    with pytest.raises(RunError, match=r"No space left on device\). .* is as it was before"):
        report(ds, tmp_path / "page")
    with pytest.raises(RunError, match="No space"):
        report(ds, tmp_path / "one.html", single_file=True)
    assert list_files(tmp_path) == before


def test_a_report_replaces_a_report_whole(ds: Dataset, tmp_path: Path) -> None:
    report(ds, tmp_path / "page")
    (tmp_path / "page" / "data" / "clips-00009.js").write_bytes(b"old")
    killed = tmp_path / ".page.999999999.tmp"
    (killed / "data").mkdir(parents=True)
    report(ds, tmp_path / "page")
    assert "clips-00009.js" not in os.listdir(tmp_path / "page" / "data")
    assert os.listdir(tmp_path) == ["page"]


def test_other_files_are_not_replaced(ds: Dataset, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(SettingsError, match=r"holds other files \(thesis.txt\)"):
        report(ds, tmp_path / "mine")
    with pytest.raises(SettingsError, match="must be a folder or not exist"):
        report(ds, tmp_path / "mine" / "thesis.txt")
    (tmp_path / "one.html").mkdir()
    with pytest.raises(SettingsError, match="is a folder"):
        report(ds, tmp_path / "one.html", single_file=True)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
    with pytest.raises(SettingsError, match="is in /proc, where no report"):
        report(ds, "/proc/page")


def test_one_file_allows_its_own_scripts_alone(ds: Dataset, tmp_path: Path) -> None:
    page = report(ds, tmp_path / "one.html", single_file=True).read_bytes()
    policy = re.search(rb'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    assert b"'self'" not in policy[1].partition(b"script-src")[2].partition(b";")[0]
    scripts = re.findall(rb"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) > 10
    for text in scripts:
        assert hash_text(text) in policy[1]
    (style,) = re.findall(rb"<style>(.*?)</style>", page, re.DOTALL)
    assert hash_text(style) in policy[1]
    assert b'src="' not in page.replace(b'src=""', b"").partition(b"<script>")[0]
    assert report(ds, tmp_path / "folder", single_file=True) == tmp_path / "folder" / "index.html"


def test_one_file_is_for_few_clips(ds: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_audio_tagger.page.making.MOST_IN_ONE_FILE", 1)
    with pytest.raises(SettingsError, match="at most 1 clips; these are 2"):
        report(ds, tmp_path / "one.html", single_file=True)


def test_a_notebook_shows_the_page_in_a_frame_of_its_own(ds: Dataset, tmp_path: Path) -> None:
    inline = report(ds)
    frame = inline._repr_html_()
    source = re.fullmatch(
        r'<iframe [^>]*sandbox="allow-scripts"[^>]* srcdoc="([^"]*)"></iframe>', frame, re.DOTALL
    )
    assert source is not None
    page = html.unescape(source[1])
    assert page.startswith("<!doctype html>")
    assert inline.save(tmp_path / "page.html").read_text() == page
    assert len(repr(inline)) < 100


def test_the_command(ds: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    ds.to_parquet("tagged.parquet")
    done = CliRunner().invoke(app, ["report", "tagged.parquet", "--open", "--quiet"])
    assert (done.exit_code, done.stdout) == (0, "The page is tagged.parquet-report/index.html\n")
    assert opened == [(tmp_path / "tagged.parquet-report" / "index.html").as_uri()]
    done = CliRunner().invoke(
        app, ["report", "tagged.parquet", "--single-file", "--out", "one.html", "--title", "Mine"]
    )
    assert (done.exit_code, done.stdout) == (0, "The page is one.html\n")
    assert b'"title":"Mine"' in (tmp_path / "one.html").read_bytes()
    done = CliRunner().invoke(app, ["report", "tagged.parquet", "--column", "tags"])
    assert done.exit_code == 1
    assert "no column 'tags'" in done.stderr


def test_terminals_get_no_codes_of_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    odd = ["\x1b[2J[red]evil", "\u202e[/]gpj.mp4"]
    tops = [[{"label": label, "score": score} for label, score in zip(odd, (0.9, 0.2), strict=True)]] * 2
    values = {
        "labels": [[odd[0]], [odd[1]]],
        "video_audio_tags": [[odd[0]]] * 2,
        "video_audio_top": [tops[:1]] * 2,
    }
    Dataset.from_dict(values).to_parquet("\x1b]0;odd\x07.parquet")
    for command in (["report", "--quiet", "--labels", "\x1b[2J"], ["report"], ["evaluate"]):
        done = CliRunner().invoke(app, [command[0], "\x1b]0;odd\x07.parquet", *command[1:]])
        assert not {"\x1b", "\x07", "\u202e"} & set(done.output)
        assert "\\x1b" in done.output
