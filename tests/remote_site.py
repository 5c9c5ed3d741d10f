"""A server on this machine whose paths each answer as a test asks, and what is read from it."""

import http.server
import io
import tarfile
import threading
import wave
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from hf_audio_tagger.cells import FileMedia
from hf_audio_tagger.errors import MediaError
from hf_audio_tagger.media.audio import open_sound
from hf_audio_tagger.media.remote import seekable

RATE_HZ = 16_000
NOISE = np.random.default_rng(24).integers(-9_000, 9_000, 6 * RATE_HZ).astype("<i2")  # 192 kB
Route = Callable[["Handler"], None]


def wav_of(samples: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()


WAV = wav_of(NOISE)


class Site(http.server.ThreadingHTTPServer):
    """A server on this machine whose paths each answer as a test says."""

    daemon_threads = True

    def __init__(self, host: str = "127.0.0.1") -> None:
        super().__init__((host, 0), Handler)
        self.host = host
        self.routes: dict[str, Route] = {}
        self.seen: list[tuple[str, str]] = []
        self.ends = threading.Event()

    def url(self, path: str, host: str | None = None) -> str:
        return f"http://{host or self.host}:{self.server_port}{path}"

    def add(self, path: str, route: Route) -> str:
        self.routes[path] = route
        return self.url(path)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that had enough closes the connection


class Handler(http.server.BaseHTTPRequestHandler):
    server: Site
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.seen.append((self.command, self.path))
        self.server.routes.get(self.path, status(404))(self)

    do_HEAD = do_GET  # noqa: N815

    def answer(self, code: int, data: bytes = b"", **headers: Any) -> None:
        self.send_response(code)
        for name, value in {"Content_Length": len(data), **headers}.items():
            if value is not None:
                self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


def status(code: int, **headers: Any) -> Route:
    return lambda handler: handler.answer(code, **headers)


def redirect(to: str) -> Route:
    return status(302, Location=to)


def ranges(data: bytes) -> Route:
    """A file, whole or by ranges."""

    def route(handler: Handler) -> None:
        asked = handler.headers.get("Range")
        if asked is None:
            return handler.answer(200, data, Accept_Ranges="bytes")
        first, last = asked.removeprefix("bytes=").split("-")
        part = data[int(first) : int(last) + 1]
        where = f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}"
        return handler.answer(206, part, Content_Range=where)

    return route


def after(failures: int, bad: Route, good: Route) -> Route:
    """The first requests for a part fail."""
    left = iter(range(failures))

    def route(handler: Handler) -> None:
        is_part = "Range" in handler.headers
        (bad if is_part and next(left, None) is not None else good)(handler)

    return route


def cut_off(handler: Handler) -> None:
    """A body that ends before its length."""
    handler.answer(206, b"RIFF", Content_Length=5_000)
    handler.close_connection = True


def trickle(handler: Handler) -> None:
    """A long file, a byte at a time, for as long as anybody waits."""
    handler.answer(206 if "Range" in handler.headers else 200, Content_Length=len(WAV))
    while handler.command == "GET" and not handler.server.ends.wait(0.02):
        handler.wfile.write(b"R")


def say_nothing(handler: Handler) -> None:
    handler.server.ends.wait(50)
    handler.close_connection = True


@contextmanager
def running(site: Site) -> Iterator[Site]:
    thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        site.ends.set()
        site.shutdown()
        site.server_close()
        thread.join(10)


@pytest.fixture(scope="module")
def site_server() -> Iterator[Site]:
    with running(Site()) as site:
        yield site


@pytest.fixture
def site(site_server: Site) -> Iterator[Site]:
    yield site_server
    site_server.seen.clear()
    site_server.routes.clear()


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seekable, "RETRY_SECONDS", (0.0, 0.0))


def decode(url: str, decoder: str = "pyav") -> np.ndarray:
    with open_sound(FileMedia(url), decoder) as sound:
        assert sound is not None
        return np.concatenate(list(sound.blocks()))


def assert_decoded(url: str) -> None:
    np.testing.assert_array_equal(decode(url), NOISE.astype(np.float32) / 32768)


def reason(url: str, decoder: str = "pyav") -> str:
    """The error's text, without the URL in front."""
    with pytest.raises(MediaError) as caught:
        decode(url, decoder)
    text = str(caught.value)
    assert text.startswith(f"{url}: ")
    assert text.endswith(".")
    assert not text.endswith("..")
    assert "Multiple exceptions" not in text
    return text.removeprefix(f"{url}: ")


def zip_of(data: bytes, packing: int = zipfile.ZIP_DEFLATED, name: str = "a.wav") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as archive:
        archive.writestr("other.txt", "no sound")
        archive.writestr(name, data)
    return buffer.getvalue()


def tar_of(data: bytes, mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in (("b.txt", b"no sound"), ("./clips/a.wav", data)):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()
