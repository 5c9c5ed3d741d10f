"""The report's page as files: all are used, small, without addresses and without markup made from text."""

import re
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WEB = ROOT / "hf_audio_tagger/page/web"
SCRIPTS = sorted(WEB.glob("*.js"))
INDEX = (WEB / "index.html").read_text("utf-8")


def test_the_page_loads_each_of_its_files_once() -> None:
    scripts = re.findall(r'<script src="([^"]+)"></script>', INDEX)
    assert sorted(scripts) == sorted([*(f"web/{path.name}" for path in SCRIPTS), "data/head.js"])
    assert INDEX.count('<link rel="stylesheet" href="web/page.css">') == 1
    assert INDEX.index("data/head.js") < INDEX.index("<!-- data -->") < INDEX.index("web/start.js")


def test_the_page_is_small() -> None:
    files = [*SCRIPTS, WEB / "page.css", WEB / "index.html"]
    assert sum(path.stat().st_size for path in files) < 200_000
    assert not {path.name for path in files if path.read_text("utf-8").count("\n") > 400}


@pytest.mark.parametrize("path", [*SCRIPTS, WEB / "page.css"], ids=lambda path: path.name)
def test_a_file_can_stand_within_html_and_asks_nobody(path: Path) -> None:
    text = path.read_text("ascii")  # its hash holds whatever encoding a page around it declares
    assert not re.search(r"</script|</style|<!--", text, re.IGNORECASE)
    assert not re.search(r"https?:|//[a-z0-9-]+\.[a-z]{2}|@import|url\(", text)
    # What makes markup or code of text; the policy refuses it as well.
    made = r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|new Function|srcdoc|DOMParser"
    assert not re.search(made, text)


def test_the_policy_allows_nothing_but_the_report() -> None:
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', INDEX)
    assert policy
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["require-trusted-types-for"] == "'script'"
    allowed = {"'self'", "'none'", "file:", "data:", "blob:", "'script'", "report"}
    assert {source for rule in rules.values() for source in rule.split()} <= allowed
    assert "data:" not in rules["script-src"]
    assert INDEX.index("Content-Security-Policy") < INDEX.index("<script")
    assert not re.search(r"<script(?! src=)|\son\w+=|<style|\sstyle=", INDEX)


def test_the_package_carries_the_page() -> None:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    assert "page/web/*" in config["options.package_data"]["hf_audio_tagger"].split()
