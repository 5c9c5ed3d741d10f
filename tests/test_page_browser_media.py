"""A report's player in a real browser: it goes where a segment begins, and missing media break nothing."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from page_browser import CLIP_SECONDS, serve_folder, watch_page, write_webm
from page_data import MadeUp, write_report

pytestmark = pytest.mark.browser
MEDIA = ("media/a clip #1.webm", "media/gone.webm")
# The part that plays now begins there: a place that it played up to is none.
BEGAN = """(start) => {
  const {played, paused, currentTime} = document.querySelector("video");
  for (let i = 0; i < played.length; i++) {
    const isThere = Math.abs(played.start(i) - start) < 0.3 && currentTime > start;
    if (isThere && currentTime <= played.end(i)) return !paused;
  }
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    write_report(folder, MadeUp(clips=30, media=MEDIA, names=("a.webm", "b.webm")))
    write_webm(folder / MEDIA[0])
    return folder


def wait_until_it_plays(page: Any, start: float) -> None:
    page.wait_for_function(BEGAN, arg=start)


def test_a_segment_of_the_list_plays_from_its_start(browser: Any, folder: Path) -> None:
    with watch_page(browser, folder) as page:
        strip = page.locator(".clip .strip").first
        box = strip.bounding_box()
        strip.click(position={"x": box["width"] * 0.6, "y": box["height"] / 2})  # in the third of four
        wait_until_it_plays(page, CLIP_SECONDS / 2)


@pytest.mark.parametrize("where", ["disk", "server"])
def test_a_segment_of_the_chosen_clip_plays_from_its_start(browser: Any, folder: Path, where: str) -> None:
    with serve_folder(folder) as url, watch_page(browser, folder if where == "disk" else url) as page:
        page.locator(".clip").first.click()
        page.locator(".segment").nth(3).click()
        wait_until_it_plays(page, CLIP_SECONDS * 0.75)
        assert page.locator(".segment[aria-current]").count() == 1
        page.locator(".segment").nth(1).click()
        wait_until_it_plays(page, CLIP_SECONDS * 0.25)


def test_keys_play_and_step_through_segments(browser: Any, folder: Path) -> None:
    with watch_page(browser, folder) as page:
        page.keyboard.press("j")
        page.wait_for_selector("video:not([hidden])")
        page.keyboard.press("Enter")
        wait_until_it_plays(page, 0)
        page.keyboard.press("]")
        wait_until_it_plays(page, CLIP_SECONDS * 0.25)
        page.keyboard.press("]")
        wait_until_it_plays(page, CLIP_SECONDS * 0.5)
        page.keyboard.press("[")
        wait_until_it_plays(page, CLIP_SECONDS * 0.25)
        page.keyboard.press(".")
        page.wait_for_function(
            f"() => document.querySelector('video').currentTime >= {CLIP_SECONDS * 0.25 + 5}"
        )
        page.keyboard.press(" ")
        page.wait_for_function("() => document.querySelector('video').paused")


def test_a_missing_file_is_told_and_the_next_clip_plays(browser: Any, folder: Path) -> None:
    with watch_page(browser, folder, expected=["ERR_FILE_NOT_FOUND"]) as page:
        page.locator(".clip").nth(1).click()
        page.get_by_text("Its file does not open.").wait_for()
        assert page.locator(".segment").count() == 4
        page.locator(".clip").nth(0).click()
        page.locator(".segment").nth(2).click()
        wait_until_it_plays(page, CLIP_SECONDS / 2)


def test_a_preview_that_ends_before_a_segment_says_so(browser: Any, folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    path = copy / "data/clips-00000.js"
    text = path.read_text("ascii")
    path.write_text(text.replace('"name":"a.webm"', '"name":"a.webm","preview_seconds":5'), "ascii")
    with watch_page(browser, copy) as page:
        page.locator(".clip").first.click()
        page.locator(".segment").nth(3).click()
        page.get_by_text("The preview holds the first 0:05.0 only.").wait_for()
        page.locator(".segment").nth(1).click()
        wait_until_it_plays(page, CLIP_SECONDS * 0.25)
        assert page.get_by_text("The preview holds").count() == 0


def test_missing_parts_of_the_data_are_told(browser: Any, folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    for name in ("data/clips-00000.js", "data/text-000.js", "data/map.js", "posters/00000.jpg"):
        (copy / name).unlink()
    with watch_page(browser, copy, expected=["ERR_FILE_NOT_FOUND"]) as page:
        page.get_by_text("Clip 1: its details are missing").wait_for()
        page.locator(".clip").first.click()
        page.get_by_text("a file of this report's data folder is not there").wait_for()
        page.fill("#search", "bern")
        page.get_by_text("Files of data/text are missing").wait_for()
        page.click("#tab-map")
        page.get_by_text("data/map.js is missing").wait_for()


def test_missing_columns_and_a_missing_head_are_told(browser: Any, folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "data/columns-000.js").unlink()
    with watch_page(browser, copy, expected=["ERR_FILE_NOT_FOUND"]) as page:
        page.get_by_text("The columns of part 0 are missing").wait_for()
    (copy / "data/head.js").unlink()
    page = browser.new_page()
    page.goto((copy / "index.html").as_uri())
    page.get_by_text("data/head.js is missing or damaged").wait_for()
    page.close()
