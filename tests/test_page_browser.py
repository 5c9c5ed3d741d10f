"""A report in a real browser: facts, bars, filters, list, keys, map, tables; from disk and from a server."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_browser import list_names, read_status, serve_folder, watch_page
from page_data import NONE, MadeUp, Results, Sounds, write_report

from hf_audio_tagger import ontology

pytestmark = pytest.mark.browser
CLIPS = 1500
SOUNDS = Sounds()
RESULTS = Results(MadeUp(clips=CLIPS), SOUNDS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_report(folder, MadeUp(clips=CLIPS))
    return folder


@pytest.fixture
def page(browser: Any, folder: Path) -> Iterator[Any]:
    with watch_page(browser, folder) as opened:
        yield opened


def find_below(name: str) -> list[int]:
    """The numbers of a category and all below it, by the package's own ontology."""
    top = ontology[name]
    return [SOUNDS.numbers[one.id] for one in (top, *top.descendants())]


def count_shown(page: Any) -> int:
    found = re.match(r"([\d,]+)( of [\d,]+)? clip", read_status(page))
    assert found
    return int(found[1].replace(",", ""))


def choose_sound(page: Any, name: str) -> None:
    page.fill("#sound", name)
    page.locator(".chip", has_text=name).wait_for()


def test_the_head_tells_the_facts(page: Any) -> None:
    facts = dict(
        zip(
            page.locator(".fact dt").all_inner_texts(),
            page.locator(".fact dd").all_inner_texts(),
            strict=True,
        )
    )
    states = np.bincount(RESULTS.state, minlength=4)
    assert facts["Clips"] == f"{CLIPS:,}"
    assert facts["EMPTY"].startswith(str(states[1]))
    assert facts["Failed"].startswith(str(states[2]))
    assert facts["Length"] == f"{np.nansum(RESULTS.seconds) / 3600:.1f} h"
    head = page.inner_text("header")
    assert "MIT/ast-finetuned-audioset-10-10-0.4593" in head
    assert "2026-11-20" in head
    page.get_by_text("Settings").click()
    assert "threshold" in page.inner_text("header")
    page.get_by_role("button", name=str(states[2]), exact=True).click()
    assert count_shown(page) == states[2]


def test_a_sound_of_the_ontology_finds_what_lies_below_it(page: Any) -> None:
    below = find_below("Vehicle")
    choose_sound(page, "vehicle")
    assert count_shown(page) == np.isin(RESULTS.tag, below).sum()
    page.check("#anywhere")
    found = (RESULTS.state == 0) & np.isin(RESULTS.sounds, below).any(1)
    assert count_shown(page) == found.sum()
    page.select_option("#order", "score down")  # by that sound's score, not by the tag's
    best = np.where(found, (np.isin(RESULTS.sounds, below) * RESULTS.scores).max(1), -1)
    page.get_by_text(RESULTS.names[best.argmax()]).wait_for()
    assert list_names(page)[:3] == [RESULTS.names[clip] for clip in np.argsort(-best)[:3]]
    page.fill("#low", "0.5")
    strong = (RESULTS.state == 0) & (np.isin(RESULTS.sounds, below) * RESULTS.scores >= 0.5).any(1)
    assert count_shown(page) == strong.sum()
    page.uncheck("#anywhere")
    assert count_shown(page) == (np.isin(RESULTS.tag, below) & (RESULTS.score >= 0.5)).sum()
    choose_sound(page, "Music")
    either = np.isin(RESULTS.tag, below + find_below("Music")) & (RESULTS.score >= 0.5)
    assert count_shown(page) == either.sum()
    page.get_by_role("button", name="Clear all").click()
    assert count_shown(page) == CLIPS


def test_a_part_of_a_sounds_name_is_enough(page: Any) -> None:
    """The one with most clips is taken, by Enter."""
    having = [one for one in SOUNDS.categories if "vehic" in one.name.lower()]
    totals = [np.isin(RESULTS.tag, find_below(one.name)).sum() for one in having]
    assert len(having) > 2
    page.fill("#sound", "vehic")
    assert count_shown(page) == CLIPS
    page.press("#sound", "Enter")
    page.get_by_role("button", name=f"Remove: {having[int(np.argmax(totals))].name}").wait_for()
    assert count_shown(page) == max(totals)
    page.fill("#sound", "no such sound")
    page.press("#sound", "Enter")
    assert count_shown(page) == max(totals)
    assert page.locator("#sound").evaluate("(input) => input.validity.customError")


def test_text_is_searched_in_names_and_metadata(page: Any) -> None:
    for text, expected in (
        ("OSLO", sum(place == "Oslo" for place in RESULTS.places)),
        ("oslo 00001", sum("oslo" in name.lower() and "00001" in name for name in RESULTS.names)),
        ("| 3", sum(number % 7 == 3 for number in range(CLIPS))),
        ("no such text", 0),
    ):
        page.fill("#search", text)
        page.wait_for_function("(text) => report.state.text === text", arg=text)
        if text != "| 3":  # words may stand anywhere, and names hold digits
            assert count_shown(page) == expected
        else:
            assert count_shown(page) >= expected
    page.get_by_text("No clip is like that.").wait_for()
    page.locator("#clear-nothing").click()
    assert count_shown(page) == CLIPS


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("empty", RESULTS.state == 1),
        ("failed", RESULTS.state == 2),
        ("untagged", RESULTS.state == 3),
        ("several", (RESULTS.flags & 1) > 0),
        ("differs", (RESULTS.flags & 2) > 0),
    ],
)
def test_states_are_filters(page: Any, kind: str, expected: np.ndarray) -> None:
    page.select_option("#kind", kind)
    assert count_shown(page) == expected.sum()


def test_the_list_is_in_the_order_asked_for(page: Any) -> None:
    names = np.array(RESULTS.names)
    scores = np.nan_to_num(RESULTS.score, nan=-1)
    tagged = np.flatnonzero(RESULTS.state == 0)
    for order, expected in (
        ("number up", names),
        ("score down", names[np.argsort(-scores, kind="stable")]),
        ("score up", names[tagged[np.argsort(RESULTS.score[tagged], kind="stable")]]),
        ("seconds down", names[np.argsort(-np.nan_to_num(RESULTS.seconds, nan=-1), kind="stable")]),
        ("name up", np.sort(names)),
        ("name down", np.sort(names)[::-1]),
    ):
        page.select_option("#order", order)
        page.wait_for_function(
            "() => [...document.querySelectorAll('.name')].every((one) => one.textContent !== '…')"
        )
        assert list_names(page)[:5] == expected[:5].tolist(), order


def test_only_rows_in_view_exist_and_the_last_can_be_reached(page: Any) -> None:
    page.locator("#clips").focus()
    page.keyboard.press("End")
    page.locator(".clip[aria-selected=true] .name", has_text=RESULTS.names[-1]).wait_for()
    assert page.locator(".clip").count() < 30
    assert page.locator(".clip[aria-selected=true]").get_attribute("aria-posinset") == str(CLIPS)
    page.evaluate("document.getElementById('clips').scrollTop = 92 * 700")
    page.get_by_text(RESULTS.names[702]).wait_for()


def test_bars_show_clips_or_hours_and_fold(page: Any) -> None:
    music = find_below("Music")
    line = page.locator(".line", has=page.locator(f"[data-sound='{SOUNDS.find('Music')}']"))
    tagged = np.isin(RESULTS.tag, music)
    assert line.locator(".number").inner_text() == f"{tagged.sum():,}"
    page.get_by_role("button", name="Hours").click()
    seconds = np.nansum(RESULTS.seconds[tagged])
    assert line.locator(".number").inner_text() == f"{seconds / 3600:.1f} h"
    fold = line.locator(".fold")
    before = page.locator(".line").count()
    was_open = fold.get_attribute("aria-expanded") == "true"
    fold.click()
    assert (page.locator(".line").count() < before) == was_open
    page.get_by_role("button", name="List", exact=True).click()
    often = np.bincount(RESULTS.tag[RESULTS.tag != NONE], RESULTS.seconds[RESULTS.tag != NONE]).argmax()
    first = page.locator(".sound-name").first.inner_text()
    assert first == SOUNDS.categories[often].name
    page.select_option("#kind", "failed")  # of which none has a tag
    assert page.locator("#bars .number").first.inner_text().startswith("0.0 s of ")
    page.keyboard.press("c")
    page.select_option("#kind", "all")
    page.locator("#bars .sound").first.click()
    assert count_shown(page) == (np.isin(RESULTS.tag, find_below(first))).sum()


def test_failures_are_listed_by_reason(page: Any) -> None:
    page.click("#tab-failures")
    rows = page.locator("#panel-failures tbody tr").all_inner_texts()
    assert len(rows) == 3
    page.get_by_role("button", name="no such file").click()
    assert count_shown(page) == (RESULTS.reason == 1).sum()
    page.locator(".clip", has_text="no such file").first.wait_for()


def test_agreement_with_labels_is_shown(page: Any) -> None:
    page.click("#tab-labels")
    differs = np.flatnonzero(RESULTS.flags & 2)
    table = page.locator("#panel-labels table").first
    table.get_by_role("button", name=RESULTS.names[differs[0]]).click()
    assert page.locator("#player h2").inner_text() == RESULTS.names[differs[0]]
    page.get_by_role("button", name="Show all that differ").click()
    assert count_shown(page) == len(differs)


def test_the_map_selects_and_opens(page: Any) -> None:
    page.click("#tab-map")
    box = page.locator("#map").bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(*middle, steps=4)
    page.mouse.up()
    page.get_by_role("button", name="Remove: Selected on the map").wait_for()
    places = page.evaluate(
        "() => ({clips: [...report.data.map.clips], x: [...report.data.map.x], y: [...report.data.map.y]})"
    )
    width, height = box["width"], box["height"]
    scale = (min(width, height) - 24) / 65535
    x = width / 2 + (np.array(places["x"]) - 65535 / 2) * scale
    y = height / 2 - (np.array(places["y"]) - 65535 / 2) * scale
    inside = (x >= 2) & (y >= 2) & (x <= width / 2) & (y <= height / 2)
    assert inside.sum() > 10
    assert abs(count_shown(page) - inside.sum()) <= 2  # points on the edge
    first = int(np.flatnonzero(inside)[0])
    page.mouse.click(box["x"] + x[first], box["y"] + y[first])
    page.locator("#player h2").wait_for()


def test_what_is_most_like_a_clip_is_listed(page: Any) -> None:
    number = int(np.flatnonzero(RESULTS.state == 0)[0])
    page.locator(".clip", has_text=RESULTS.names[number]).click()
    page.locator(".near", has_text=RESULTS.names[number + 1]).wait_for()
    page.keyboard.press("m")
    assert count_shown(page) == 4
    assert list_names(page) == RESULTS.names[number : number + 4]


def test_everything_has_a_key(page: Any) -> None:
    press = page.keyboard.press
    press("?")
    page.get_by_text("Search names and metadata").wait_for()
    press("Escape")
    press("j")
    press("ArrowDown")
    page.locator("#player h2", has_text=RESULTS.names[1]).wait_for()
    press("k")
    page.locator("#player h2", has_text=RESULTS.names[0]).wait_for()
    press("Escape")
    assert page.locator("#player h2").count() == 0
    press("/")
    page.keyboard.type("bern")
    page.get_by_role("button", name="Remove: “bern”").wait_for()
    press("Escape")
    press("c")
    assert count_shown(page) == CLIPS
    press("s")
    page.keyboard.type("Dog")
    page.locator(".chip", has_text="Dog").wait_for()
    press("Escape")
    press("3")
    assert page.locator("#panel-failures").is_visible()
    press("2")
    page.locator("#map").focus()
    press("ArrowRight")
    press("b")
    for _ in range(12):
        press("Shift+ArrowDown")
        press("Shift+ArrowLeft")
    press("b")
    page.get_by_role("button", name="Remove: Selected on the map").wait_for()
    press("h")
    assert page.get_by_role("button", name="Hours").get_attribute("aria-pressed") == "true"


def test_it_is_the_same_from_a_server(browser: Any, folder: Path) -> None:
    with serve_folder(folder) as url, watch_page(browser, url) as page:
        choose_sound(page, "Vehicle")
        assert count_shown(page) == np.isin(RESULTS.tag, find_below("Vehicle")).sum()
        page.fill("#search", "oslo")
        page.get_by_role("button", name="Remove: “oslo”").wait_for()
        page.locator(".clip .other").first.wait_for()


def test_a_dataset_with_tags_alone_is_shown(browser: Any, tmp_path: Path) -> None:
    """No scores, lengths, posters, embeddings or labels; labels that are nobody's."""
    head = {"has_map": False, "has_text": False, "agreement": None, "failures": [], "notes": [], "run": []}
    write_report(tmp_path, MadeUp(clips=3, has_posters=False, head={**head, "settings": [], "versions": []}))
    (tmp_path / "data/clips-00000.js").write_text(
        'report.clips(0,{"sheet":null,"clips":[{"name":"a"},{"name":"b"},{"name":"c"}]});\n'
    )
    text = (tmp_path / "data/head.js").read_text("ascii")
    value = json.loads(text.removeprefix("report.head(").removesuffix(");\n"))
    value["facts"] |= {"seconds": None, "failed": 0, "empty": 0, "untagged": 0, "tagged": 3}
    (tmp_path / "data/head.js").write_text(f"report.head({json.dumps(value)});\n".replace("</", "<\\/"))
    with watch_page(browser, tmp_path) as page:
        page.locator("#clip-2").click()
        page.locator("#player h2", has_text="c").wait_for()
        assert "unknown" in page.inner_text("header")
        assert page.locator("#tabs").is_hidden()
        assert page.locator("#kind option").count() == 3
