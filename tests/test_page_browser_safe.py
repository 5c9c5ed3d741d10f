"""Hostile names, labels, metadata and paths in a report: text in a real browser, never run or fetched."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from page_browser import Watched, serve_folder, watch_page
from page_data import CLIPS_PER_PART, MadeUp, write_call, write_report

pytestmark = pytest.mark.browser
MARKUP = "<img src=x onerror=alert(1)>.mp4"
SCRIPT = "</script><script>alert(2)</script>"
CODES = "walks/\x1b[2J\u202egpj.exe\n\x00\u2066é👩‍🚒.mp4"
SHOWN_CODES = "walks/\\x1b[2J\\u202egpj.exe\\n\\x00\\u2066é👩‍🚒.mp4"
PROBE = "http://127.0.0.1:9/probe"
PATHS = (
    "javascript:alert(3)",
    "//127.0.0.1:9/probe.mp4",
    PROBE + ".mp4",
    "data:text/html,<script>alert(4)</script>",
    "/etc/hostname",
    "..\\..\\secret.mp4",
)


def make_hostile(folder: Path) -> None:
    """A report in which each string that data can hold attacks."""
    made_up = MadeUp(clips=40, has_posters=False, title=f"{SCRIPT}<h1>", names=(MARKUP, SCRIPT, CODES))
    write_report(folder, made_up)
    path = folder / "data/head.js"
    head = json.loads(path.read_text("ascii").removeprefix("report.head(").removesuffix(");\n"))
    for sound in head["sounds"]:
        sound["name"] = f"<b onmouseover=alert(5)>{sound['name']}</b>{SCRIPT}"
    for key in ("run", "settings", "versions"):
        head[key] = [[MARKUP, SCRIPT]]
    head |= {"notes": [MARKUP, SCRIPT], "groups": [MARKUP] * 8, "map_note": SCRIPT, "media": "link"}
    head["failures"] = [{"reason": f"{MARKUP} {n}", "clips": 1} for n in range(3)]
    head["agreement"]["column"] = MARKUP
    write_call(path, "head", head)
    path = folder / "data/clips-00000.js"
    part = json.loads(path.read_text("ascii").removeprefix("report.clips(0,").removesuffix(");\n"))
    part["sheet"] = f"{PROBE}.jpg"
    for number, clip in enumerate(part["clips"]):
        clip["metadata"] = [[MARKUP, SCRIPT], ["__proto__", "javascript:alert(6)"]]
        clip |= {"media": PATHS[number % len(PATHS)], "media_kind": MARKUP, "poster": 0}
    assert len(part["clips"]) < CLIPS_PER_PART
    write_call(path, "clips", 0, part)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    make_hostile(folder)
    return folder


@pytest.mark.parametrize("where", ["disk", "server"])
def test_no_string_of_the_data_is_markup_or_an_address(browser: Any, folder: Path, where: str) -> None:
    """Every view is opened, and clips are played. Nothing ran, and only the report's files were asked for."""
    expected = ["ERR_FILE_NOT_FOUND", "404"]  # of media whose names are odd, below the report's folder
    with (
        serve_folder(folder) as url,
        watch_page(browser, folder if where == "disk" else url, expected=expected) as page,
    ):
        for name in (MARKUP, SCRIPT, SHOWN_CODES):
            page.locator(".clip .name", has_text=name).first.wait_for()
        for _ in range(8):
            page.keyboard.press("j")
            page.locator("#player h2").wait_for()
            page.wait_for_timeout(50)
            page.keyboard.press("Enter")
        for name in ("map", "failures", "labels"):
            page.click(f"#tab-{name}")
        page.get_by_role("button", name="List", exact=True).click()
        page.keyboard.press("?")
        page.wait_for_timeout(200)
        page.mouse.move(200, 400)
        for selector in ("h1 h1", "h1 script", "img", "#bars b", "main script", ".clip b b"):
            assert page.locator(selector).count() == 0, selector
        assert page.title() == f"{SCRIPT}<h1>"
        assert MARKUP in page.inner_text("header")
        assert SCRIPT in page.inner_text("#bars")
        assert page.evaluate("({}).length") is None
        sources = page.evaluate("[...document.querySelectorAll('[src]')].map((one) => one.src)")
        assert all(source.startswith((url, folder.as_uri(), "data:")) for source in sources)


TRIES = """async (probe) => {
  const load = (element, source) => new Promise((resolve, reject) => {
    element.onload = element.onloadeddata = resolve;
    element.onerror = reject;
    element.src = source;
    document.body.append(element);
  });
  const tries = {
    markup: () => { document.body.innerHTML = "<b>x</b>"; },
    script: () => load(document.createElement("script"), "data/head.js"),
    image: () => load(new Image(), probe),
    video: () => load(document.createElement("video"), probe),
    fetched: () => fetch(probe),
    style: () => {
      const link = Object.assign(document.createElement("link"), {rel: "stylesheet", href: probe});
      document.body.append(link);
    },
  };
  const refused = [];
  for (const [name, run] of Object.entries(tries)) {
    try { await run(); } catch { refused.push(name); }
  }
  return refused;
}"""


@pytest.mark.parametrize("where", ["disk", "server"])
def test_the_policy_refuses_what_the_page_does_not_do(browser: Any, folder: Path, where: str) -> None:
    """Markup, scripts by a bare path and addresses elsewhere: the browser refuses them, from disk too."""
    with serve_folder(folder) as url, socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.setblocking(False)
        watched = Watched(browser.new_page())
        page = watched.open(f"{folder.as_uri() if where == 'disk' else url}/index.html")
        probe = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/probe"
        assert page.evaluate(TRIES, probe) == ["markup", "script", "image", "video", "fetched"]
        assert page.locator("h1").count() == 1
        page.wait_for_timeout(200)
        with pytest.raises(BlockingIOError):  # nobody came
            elsewhere.accept()
        page.close()
