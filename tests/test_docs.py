"""The README and the pages of docs/: links, settings and examples are right."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hf_audio_tagger.settings import ABOUT

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXIT_CODE = re.compile(r"^(?P<command>.*?)\s+# exit (?P<code>\d+): ")


def find_anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def read_blocks(page: Path, language: str) -> list[str]:
    return [code for name, code in BLOCK.findall(page.read_text("utf-8")) if name == language]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_project_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text("utf-8")):
        if "://" not in link:
            path, _, anchor = link.partition("#")
            target = page.parent / path if path else page
            assert target.exists(), f"{page.name} links to {link}"
            assert not anchor or anchor in find_anchors(target), f"{page.name} links to {link}"


def test_the_readme_links_to_every_page() -> None:
    linked = {link.partition("#")[0] for link in LINK.findall(README.read_text("utf-8"))}
    assert {f"docs/{page.name}" for page in PAGES if page.parent.name == "docs"} <= linked


def test_every_setting_is_described() -> None:
    text = (ROOT / "docs/settings.md").read_text("utf-8")
    assert [name for name in ABOUT if f"`{name}`" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_examples_are_python(page: Path) -> None:
    for code in read_blocks(page, "python"):
        ast.parse(code)


def test_the_session_says_how_each_line_ends() -> None:
    [session] = [code for code in read_blocks(README, "bash") if "--out" in code]
    assert all(EXIT_CODE.match(line) for line in session.splitlines())


@pytest.mark.campaign
@pytest.mark.timeout(300)
def test_the_session_ends_as_it_says(tmp_path: Path) -> None:
    """Every line in turn, in an empty folder, with the exit code that its comment names."""
    [session] = [code for code in read_blocks(README, "bash") if "--out" in code]
    for line in session.splitlines():
        match = EXIT_CODE.match(line)
        assert match
        command = match["command"].replace("hf-audio-tagger", f"'{sys.executable}' -m hf_audio_tagger", 1)
        ended = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert ended.returncode == int(match["code"]), f"{line}\n{ended.stdout}{ended.stderr}"
        if printed := re.search(r": prints (.+) [\d.]+$", line):  # but for the score
            assert printed[1].split() == ended.stdout.split()[:-1]
