"""A report of more clips than a browser's tallest element has room for: the list still reaches them all."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_browser import read_status, watch_page
from page_data import COLUMNS_PER_PART, NONE, MadeUp, pack, write_call, write_report

pytestmark = pytest.mark.browser
CLIPS = 250_000  # in three parts; at 92 pixels each, 23 million
SCORES = np.random.default_rng(7).permutation(CLIPS).astype(np.float32) / CLIPS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Columns of all clips, details of the first alone."""
    folder = tmp_path_factory.mktemp("many")
    head = {"columns_per_part": COLUMNS_PER_PART, "has_text": False, "has_map": False, "agreement": None}
    write_report(folder, MadeUp(clips=10, has_posters=False, head=head))
    path = folder / "data/head.js"
    value = json.loads(path.read_text("ascii").removeprefix("report.head(").removesuffix(");\n"))
    value["facts"] |= {"clips": CLIPS, "rows": CLIPS, "tagged": CLIPS}
    write_call(path, "head", value)
    for number, first in enumerate(range(0, CLIPS, COLUMNS_PER_PART)):
        count = min(COLUMNS_PER_PART, CLIPS - first)
        zeros, clips = np.zeros(count), np.arange(first, first + count)
        columns = {
            "count": count,
            **dict.fromkeys(("state", "flags", "sound_counts"), pack(zeros, "u8")),
            **dict.fromkeys(("sounds", "sound_scores"), ""),
            "tag": pack(zeros, "u16"),
            "reason": pack(zeros + NONE, "u16"),
            "score": pack(SCORES[clips], "f32"),
            "seconds": pack(zeros + 1, "f32"),
            "name_rank": pack(clips, "u32"),
        }
        write_call(folder / f"data/columns-{number:03d}.js", "columns", number, columns)
    return folder


def list_places(page: Any) -> list[int]:
    """The places in the list, from 0, of the rows that are seen."""
    return page.evaluate(
        """() => {
          const list = document.getElementById('clips').getBoundingClientRect();
          return [...document.querySelectorAll('.clip')].filter((row) => {
            const box = row.getBoundingClientRect();
            return box.bottom > list.top && box.top < list.bottom;
          }).map((row) => Number(row.getAttribute('aria-posinset')) - 1).sort((a, b) => a - b);
        }"""
    )


def test_all_of_many_clips_can_be_reached(browser: Any, folder: Path) -> None:
    with watch_page(browser, folder, expected=["ERR_FILE_NOT_FOUND"]) as page:
        assert read_status(page).startswith(f"{CLIPS:,} clips")
        page.locator("#clips").focus()
        page.keyboard.press("End")
        page.locator(".clip[aria-selected=true]").wait_for()
        assert list_places(page)[-1] == CLIPS - 1
        page.keyboard.press("k")
        assert list_places(page)[-1] == CLIPS - 1  # it was in view
        page.keyboard.press("Home")
        page.wait_for_timeout(100)
        assert list_places(page)[0] == 0
        page.mouse.move(600, 600)
        page.mouse.wheel(0, 92 * 3)  # a short way goes by pixels
        page.wait_for_function("() => document.getElementById('clips').scrollTop > 0")
        page.wait_for_timeout(300)
        assert list_places(page)[0] == 3
        page.evaluate(  # a long way, as by the bar, goes by its share
            """() => {
              const list = document.getElementById('clips');
              list.scrollTop = (list.scrollHeight - list.clientHeight) / 2;
            }"""
        )
        page.wait_for_timeout(300)
        assert abs(list_places(page)[0] - CLIPS / 2) < 20
        page.evaluate(
            "() => { const list = document.getElementById('clips'); list.scrollTop = list.scrollHeight; }"
        )
        page.wait_for_timeout(300)
        assert list_places(page)[-1] == CLIPS - 1


def test_many_clips_are_sorted_and_filtered_over_all_parts(browser: Any, folder: Path) -> None:
    with watch_page(browser, folder, expected=["ERR_FILE_NOT_FOUND"]) as page:
        page.select_option("#order", "score down")
        page.locator(f"#clip-{SCORES.argmax()}").wait_for()
        page.fill("#low", "0.9")
        page.wait_for_function("() => report.state.low === 0.9")
        assert read_status(page).startswith(f"{np.sum(SCORES >= 0.9):,} of ")
