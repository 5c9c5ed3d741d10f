"""A report's look in a real browser: light, dark, narrow, wide, printed; and what axe says of it."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from page_browser import watch_page
from page_data import MadeUp, write_report

pytestmark = pytest.mark.browser
WIDTHS = (360, 800, 1100, 2560)
LONG = "a_name_without_any_space_" * 12 + ".mp4"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("look")
    write_report(folder, MadeUp(clips=400, names=("one.mp4", LONG), title=LONG))
    return folder


def list_views(page: Any) -> Iterator[str]:
    """Shows each view in turn, with a clip beside it and without."""
    yield "clips"
    page.locator(".clip").nth(1).click()
    page.locator("#player h2").wait_for()
    yield "clip"
    page.keyboard.press("Escape")
    for name in ("map", "failures", "labels"):
        page.click(f"#tab-{name}")
        page.wait_for_timeout(100)
        yield name
    page.keyboard.press("?")
    yield "help"


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_window(browser: Any, folder: Path, width: int) -> None:
    with watch_page(browser, folder, size=(width, 740)) as page:
        for name in list_views(page):
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
            assert page.evaluate("document.getElementById('results').scrollWidth") <= width, name


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 360)])
def test_axe_finds_nothing_serious(browser: Any, folder: Path, scheme: str, width: int) -> None:
    pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    axe = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
    options = {"color_scheme": scheme, "bypass_csp": True}  # axe writes styles of its own into the page
    with watch_page(browser, folder, size=(width, 900), **options) as page:
        page.evaluate(axe)
        for name in list_views(page):
            if name in ("clips", "failures"):
                continue  # what they have is in the others as well
            found = page.evaluate("() => axe.run({preload: false})")["violations"]
            told = [(one["id"], one["impact"], [node["html"] for node in one["nodes"]][:3]) for one in found]
            assert not told, name


def read_ground(page: Any) -> str:
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_light_and_dark_follow_the_system_and_a_key(browser: Any, folder: Path) -> None:
    with watch_page(browser, folder, color_scheme="dark") as page:
        dark, colours = read_ground(page), page.evaluate("report.readColours().groups")
        page.emulate_media(color_scheme="light")
        light = read_ground(page)
        assert light == "rgb(255, 255, 255)"
        assert light != dark
        page.keyboard.press("t")
        assert read_ground(page) == dark
        assert page.evaluate("report.readColours().groups") == colours
        page.keyboard.press("t")
        assert read_ground(page) == light
        assert page.evaluate("report.readColours().groups[2]") == "rgb(51, 34, 136)"  # as in the plots


def test_head_and_bars_are_printed(browser: Any, folder: Path) -> None:
    with watch_page(browser, folder, color_scheme="dark") as page:
        page.emulate_media(media="print")
        for selector, is_printed in (
            ("#title", True),
            (".facts", True),
            ("#bars .bar-shown >> nth=0", True),
            ("#clips", False),
            ("#filters", False),
            ("#theme", False),
        ):
            assert page.locator(selector).is_visible() == is_printed, selector
        assert read_ground(page) == "rgb(255, 255, 255)"
        colour = page.locator("#bars .bar-shown").first.evaluate(
            "(one) => getComputedStyle(one).printColorAdjust"
        )
        assert colour == "exact"
        text = page.pdf(format="A4")
        assert text.startswith(b"%PDF")
        assert text.count(b"/Type /Page\n") <= 3


def test_text_can_be_read(browser: Any, folder: Path) -> None:
    """No text of the list is cut off in its height, and none is smaller than 11 pixels."""
    for width in WIDTHS:
        with watch_page(browser, folder, size=(width, 900)) as page:
            page.locator(".clip .other").first.wait_for()
            small = page.evaluate(
                """() => [...document.querySelectorAll('body *')].filter((one) => one.checkVisibility()
                  && [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim())
                  && parseFloat(getComputedStyle(one).fontSize) < 11).map((one) => one.outerHTML)"""
            )
            assert small == []
            cut = "(row) => row.scrollHeight > row.clientHeight"
            assert not page.evaluate(f"[...document.querySelectorAll('.clip')].some({cut})")
