"""Reports that `report` wrote, in a real browser: as a folder, as one file, with names that attack."""

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from page_browser import read_status, serve_folder, watch_page, write_webm

from hf_audio_tagger import report

pytestmark = pytest.mark.browser
NAMES = ("<img src=x onerror=alert(1)>.webm", "a #1 & 100%.webm", "</script><script>alert(2)</script>.webm")
SAFE_NAMES = [name.replace("/", "_") for name in NAMES]
SEGMENTS = [("Bark", 0.0, 4.0), ("Siren", 4.0, 8.0)]
BEGAN = """(start) => {
  const {played, paused, currentTime} = document.querySelector("video");
  for (let i = 0; i < played.length; i++) {
    if (Math.abs(played.start(i) - start) < 0.3 && currentTime > start) return !paused;
  }
}"""


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Three clips of eight seconds and one that is lost, tagged by hand."""
    folder = tmp_path_factory.mktemp("clips")
    for name in SAFE_NAMES:
        write_webm(folder / name)
    segments = [{"start": a, "end": b, "label": label, "score": 0.9} for label, a, b in SEGMENTS]
    top = [{"label": "Bark", "score": 0.9}, {"label": "Siren", "score": 0.6}]
    return Dataset.from_dict(
        {
            "video": [str(folder / name) for name in [*SAFE_NAMES, "lost.webm"]],
            "note": ["<b>bold</b>", "x", "y", "z"],
            "video_audio_tags": [["Bark"], ["Siren"], ["EMPTY"], [None]],
            "video_audio_top": [[top], [top[::-1]], [[]], [None]],
            "video_audio_segments": [[segments], [segments], [[]], [None]],
            "video_audio_embedding": [[[1.0, 0.0, 0.5]], [[0.9, 0.2, 0.1]], [[0.0, 1.0, 0.3]], [None]],
            "video_audio_error": [[None], [None], [None], ["lost.webm: <i>no such file</i>"]],
        }
    )


def test_words_of_ones_own_have_colours_each(browser: Any, tmp_path: Path) -> None:
    """The seven most frequent tags; the map's legend names them."""
    words = [f"word {number}" for number in range(9)]
    tags = [[word] for number, word in enumerate(words) for _ in range(10 - number)]
    vectors = [[[float(row % 5), float(row % 7), 1.0]] for row in range(len(tags))]
    report(Dataset.from_dict({"video_audio_tags": tags, "video_audio_embedding": vectors}), tmp_path / "page")
    with watch_page(browser, tmp_path / "page") as page:
        colours = [page.evaluate(f"report.soundColour(report.findSound({word!r}))") for word in words]
        assert colours == [0, 1, 2, 3, 4, 5, 6, 7, 7]
        page.get_by_role("tab", name="Map").click()
        assert page.locator(".legend li").all_inner_texts() == [*words[:7], "other tags"]


def test_a_report_is_shown_within_a_notebook(browser: Any, tagged: Dataset, tmp_path: Path) -> None:
    """As a notebook's page holds it: HTML within other HTML, from a server."""
    cell = report(tagged)._repr_html_()
    (tmp_path / "index.html").write_text(
        f"<!doctype html><title>A notebook</title><p>In[1]</p>{cell}", "utf-8"
    )
    page = browser.new_page()
    messages: list[str] = []
    page.on("console", lambda message: messages.append(f"{message.text} {message.location['url']}"))
    page.on("pageerror", lambda error: messages.append(str(error)))
    with serve_folder(tmp_path) as url:
        page.goto(f"{url}/index.html")
        inner = page.frame_locator("iframe")
        inner.locator("html[data-ready]").wait_for()
        inner.locator("#clip-0").click()
        inner.locator(".segment", has_text="Siren").click()
        frame = page.frames[1]
        frame.wait_for_function(BEGAN, arg=4.0)
    page.close()
    assert not [text for text in messages if "favicon.ico" not in text]


@pytest.mark.parametrize("way", ["link", "embed", "one file"])
def test_a_written_report_shows_and_plays(browser: Any, tagged: Dataset, tmp_path: Path, way: str) -> None:
    if way == "one file":
        opened = report(tagged, tmp_path / "page.html", media="embed", single_file=True)
    else:
        opened = report(tagged, tmp_path / "page", media=way).parent
    base = tmp_path.parent if way == "link" else tmp_path  # linked clips lie where they are
    with watch_page(browser, opened, base=base) as page:
        assert read_status(page).startswith("4 clips")
        for name in SAFE_NAMES:
            page.locator(".clip .name", has_text=name).wait_for()
        page.fill("#sound", "Animal")
        page.locator(".chip", has_text="Animal").wait_for()
        assert read_status(page).startswith("1 of 4 clips")
        page.locator("#clip-0").click()
        page.locator("#player dd", has_text="<b>bold</b>").wait_for()
        page.locator(".segment", has_text="Siren").click()
        page.wait_for_function(BEGAN, arg=4.0)
        page.keyboard.press("c")
        page.locator("#clip-3", has_text="<i>no such file</i>").click()
        page.locator("#player .error").wait_for()
        page.click("#tab-map")
        page.locator("#map").wait_for()
        for selector in ("img", "#player b b", "#player i", "main script"):
            assert page.locator(selector).count() == 0
