"""Reports in a headless Chromium, watched: what it prints, what it asks for, what went wrong."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import av
import numpy as np
import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
WIDE = (1440, 900)
MOST_MS = 10_000  # that anything on a page may take here
CLIP_SECONDS = 8


@contextmanager
def open_browser() -> Iterator[Any]:
    """A Chromium of this machine; the tests are skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("there is no Chromium on this machine")
    with playwright.sync_playwright() as started:
        arguments = ["--autoplay-policy=no-user-gesture-required", "--mute-audio"]
        browser = started.chromium.launch(executable_path=path, args=arguments, timeout=60_000)
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """A page, and all that it said, asked for and failed at."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.messages: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.messages.append(message.text))
        page.on("pageerror", lambda error: self.messages.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("dialog", lambda dialog: (self.messages.append("a dialog"), dialog.dismiss()))
        page.set_default_timeout(MOST_MS)

    def open(self, url: str) -> Any:
        self.page.goto(url)
        self.page.wait_for_selector("html[data-ready]")
        return self.page

    def check(self, url: str, expected: Sequence[str] = ()) -> None:
        """Nothing was said but what is expected, and nothing asked for outside of the report's folder."""
        left = [text for text in self.messages if not any(part in text for part in expected)]
        assert not left, left
        outside = [
            request for request in self.requests if not request.startswith((url, f"blob:{url}", "data:"))
        ]
        assert not outside, outside


@contextmanager
def watch_page(
    browser: Any,
    folder: Path | str,
    *,
    size: tuple[int, int] = WIDE,
    expected: Sequence[str] = (),
    base: Path | None = None,
    **options: Any,
) -> Iterator[Any]:
    """The report in a folder (from disk) or at a URL, with its clips read; watched until the end.

    Nothing but files below it may be asked for; or below `base`, where its media lie elsewhere.
    """
    url = folder.as_uri() if isinstance(folder, Path) else folder
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **options)
    try:
        watched = Watched(context.new_page())
        address = url if url.endswith(".html") else f"{url}/index.html"
        yield watched.open(address)
        watched.check(base.as_uri() if base else url, expected)
    finally:
        context.close()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        pass


class QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a browser that has enough of a file closes the connection


@contextmanager
def serve_folder(folder: Path) -> Iterator[str]:
    """The folder on a loopback server, as `python -m http.server` serves it; its URL."""
    handler = partial(QuietHandler, directory=str(folder))
    with QuietServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join(10)


def write_webm(path: Path, seconds: float = CLIP_SECONDS) -> None:
    """A small video that every Chromium plays: VP8 and Opus."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="webm") as container:
        video = container.add_stream("libvpx", rate=5)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = container.add_stream("libopus", rate=48_000, layout="mono")
        for number in range(round(seconds * 5)):
            picture = np.full((48, 64, 3), 40 + 4 * (number % 40), np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            frame.pts = number
            container.mux(video.encode(frame))
        wave = 0.1 * np.sin(np.arange(round(seconds * 48_000)) * 0.05)
        sound = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), format="flt", layout="mono")
        sound.sample_rate, sound.pts, sound.time_base = 48_000, 0, Fraction(1, 48_000)
        container.mux(audio.encode(sound))
        for stream in (video, audio):
            container.mux(stream.encode(None))


def read_status(page: Any) -> str:
    return page.inner_text("#status")


def list_names(page: Any) -> list[str]:
    """The names of the clips in view, from the top of the list."""
    rows = page.evaluate(
        """() => [...document.querySelectorAll('.clip')]
          .map((row) => [row.getBoundingClientRect().top, row.querySelector('.name').textContent])"""
    )
    return [name for _, name in sorted(rows)]
