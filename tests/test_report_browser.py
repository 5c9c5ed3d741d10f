"""What `report` writes, in a real browser: clips with odd names play, linked, embedded, in a notebook."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from page_browser import Watched, list_names, serve_folder, watch_page, write_webm

from hf_audio_tagger import report

pytestmark = pytest.mark.browser
NAMES = (
    "<img src=x onerror=alert(1)>.webm",
    "100% & a#b?c=d %41 'quoted' \"twice\".webm",
    "umläut 日本.webm",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips beside a page that links them, a page of one file, and one in a notebook's cell."""
    folder = tmp_path_factory.mktemp("report")
    for name in NAMES:
        write_webm(folder / "clips" / name, 2)
    parts = {name: [(0.0, 1.0, "Dog"), (1.0, 2.0, name)] for name in NAMES}
    segments = [
        [{"start": start, "end": end, "label": label, "score": 0.5} for start, end, label in parts[name]]
        for name in NAMES
    ]
    ds = Dataset.from_dict(
        {
            "video": [str(folder / "clips" / name) for name in NAMES],
            "caption": ["</script><script>alert(2)</script>"] * 3,
            "video_audio_tags": [["Dog"]] * 3,
            "video_audio_segments": [[one] for one in segments],
            "video_audio_embedding": np.random.default_rng(0).standard_normal((3, 1, 4)).tolist(),
            "labels": [["Dog"], ["<b>"], ["Animal"]],
        }
    )
    report(ds, folder / "page")
    report(ds, folder / "one.html", single_file=True, media="embed")
    cell = report(ds)._repr_html_()
    (folder / "cell.html").write_text(f"<!doctype html><meta charset=utf-8><title>Notebook</title>{cell}")
    return folder


def wait_for(frame: Any, condition: str) -> None:
    """Ask until it holds: playwright's own waiting evaluates text in the page, which its policy forbids."""
    end = time.monotonic() + 10
    while not frame.evaluate(condition):
        assert time.monotonic() < end, condition
        time.sleep(0.05)


def play(frame: Any, name: str) -> float:
    """Choose a clip by a click, and click its second segment; where its player then is."""
    frame.get_by_text(name, exact=True).first.click()
    frame.wait_for_selector("#player video")
    wait_for(frame, "document.querySelector('#player video').readyState >= 2")
    frame.locator("#player").get_by_text(name, exact=True).last.click()
    wait_for(frame, "document.querySelector('#player video').currentTime >= 1")
    at: float = frame.evaluate("document.querySelector('#player video').currentTime")
    return at


def test_linked_clips_play_from_disk_and_from_a_server(browser: Any, folder: Path) -> None:
    with serve_folder(folder) as url:
        for place in (folder.as_uri(), url):
            watched = Watched(browser.new_page())
            page = watched.open(f"{place}/page/index.html")
            assert list_names(page) == list(NAMES)
            for name in NAMES:
                assert play(page, name) >= 1
            watched.check(place)
            page.close()


def test_a_single_file_plays(browser: Any, folder: Path) -> None:
    with watch_page(browser, f"{folder.as_uri()}/one.html") as page:
        assert play(page, NAMES[0]) >= 1
        assert page.locator("#player img, #player script").count() == 0


def test_a_notebook_s_cell_plays(browser: Any, folder: Path) -> None:
    page = browser.new_page()
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.goto(f"{folder.as_uri()}/cell.html")
    frame = page.frames[1]
    frame.wait_for_selector("html[data-ready]")
    assert play(frame, NAMES[1]) >= 1
    page.close()
    assert messages == []
