"""Media behind URLs: every wait ends, every body is bounded, and what went wrong is said in plain words."""

import bz2
import errno
import gzip
import http.server
import io
import lzma
import multiprocessing
import os
import re
import socket
import ssl
import tarfile
import threading
import wave
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import fsspec.core
import numpy as np
import pytest
from hub_server import serve
from huggingface_hub import HfApi, hf_file_system

from hf_audio_tagger.cells import FileMedia
from hf_audio_tagger.errors import MediaError, ResourceError
from hf_audio_tagger.media.audio import open_sound
from hf_audio_tagger.media.decoders import unavailable_reason
from hf_audio_tagger.media.remote import archives, messages, remote_file, seekable, url_chain, web
from hf_audio_tagger.media.remote.remote_file import open_url
from hf_audio_tagger.media.source import raise_read_failures

pytestmark = pytest.mark.timeout(60)

needs_torchcodec = pytest.mark.skipif(
    bool(unavailable_reason("torchcodec")), reason="torchcodec does not load"
)
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
def server() -> Iterator[Site]:
    with running(Site()) as site:
        yield site


@pytest.fixture
def site(server: Site) -> Iterator[Site]:
    yield server
    server.seen.clear()
    server.routes.clear()


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seekable, "RETRY_SECONDS", (0.0, 0.0))


def decode(url: str, decoder: str = "pyav") -> np.ndarray:
    with open_sound(FileMedia(url), decoder) as sound:
        assert sound is not None
        return np.concatenate(list(sound.blocks()))


def assert_heard(url: str) -> None:
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


# What a server does in time, and with how much


def test_a_clip_has_so_many_seconds(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "READING_SECONDS", 0.3)
    waits, until = [], remote_file.wait

    def wait(futures: Any, seconds: float) -> Any:
        waits.append(seconds)
        return until(futures, seconds)

    monkeypatch.setattr(remote_file, "wait", wait)
    text = reason(site.add("/silent.wav", say_nothing))
    assert text.startswith("it could not be opened: it sent 0 bytes in ")
    assert text.endswith(" s; the limit is 0.3 s of reading a clip.")
    assert waits == [0.3, 0]  # the connection closes while nobody waits


def test_a_byte_at_a_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error counts what came, though no read has ended."""
    sent = web.Received()
    monkeypatch.setattr(web, "Received", lambda: sent)
    until = remote_file.wait

    def wait(futures: Any, seconds: float) -> Any:
        while not (sent.bytes or futures[0].done()):
            until(futures, 0.01)
        return until(futures, 0 if sent.bytes else seconds)

    monkeypatch.setattr(remote_file, "wait", wait)
    text = reason(site.add("/slow.wav", trickle))
    assert re.search(r"it sent [1-9]\d* bytes in .* s; the limit is 300 s of reading a clip", text)


@pytest.mark.parametrize("decoder", ["pyav", pytest.param("torchcodec", marks=needs_torchcodec)])
def test_the_limit_holds_for_all_reads_together(
    site: Site, monkeypatch: pytest.MonkeyPatch, decoder: str
) -> None:
    """Each read is quick enough by itself; what the decoder makes of the error does not matter."""
    url = site.add("/long.wav", ranges(WAV))
    clock = [0.0]
    monkeypatch.setattr(remote_file.time, "monotonic", lambda: clock[0])

    def slow(layer: Any, position: int, size: int, read: Any = seekable.HttpRangeFile.read_at) -> bytes:
        clock[0] += web.READING_SECONDS / 4
        return read(layer, position, size)

    monkeypatch.setattr(seekable.HttpRangeFile, "read_at", slow)
    assert "the limit is 300 s of reading a clip" in reason(url, decoder)


def test_what_still_reads_stops(site: Site) -> None:
    url = "gzip://a.wav::" + site.add("/a.wav.gz", ranges(gzip.compress(WAV)))
    with open_url(url, url) as file:
        file.spent_seconds = web.READING_SECONDS
        with pytest.raises(MediaError, match="the limit is 300 s"):
            file.read(9)
        with pytest.raises(MediaError, match="cancelled"):  # as the helper sees it
            file.file.read(9)
        assert file.read(9) == b""  # said once
        assert file.seek(0, io.SEEK_END) == 0  # nor is its length asked for again


def test_what_came_from_elsewhere_than_a_server_is_counted(tmp_path: Path) -> None:
    (tmp_path / "a.wav.gz").write_bytes(gzip.compress(WAV))
    url = f"gzip://a.wav::file://{tmp_path}/a.wav.gz"
    with open_url(url, url) as file:
        assert file.read(9) + file.read(8) == WAV[:17]
        file.spent_seconds = web.READING_SECONDS
        with pytest.raises(MediaError, match="it sent 17 bytes in 300 s"):
            file.read(9)


def test_a_failure_that_a_decoder_swallows() -> None:
    source = SimpleNamespace(failure=MediaError("a.wav: reading stopped."))
    with pytest.raises(MediaError, match="reading stopped"), raise_read_failures(source):
        pass
    with pytest.raises(MediaError, match="reading stopped"), raise_read_failures(source):
        raise MediaError("a.wav: Invalid data found.")
    with pytest.raises(MediaError, match="Invalid data"), raise_read_failures("file:/a.wav"):
        raise MediaError("a.wav: Invalid data found.")


def test_time_between_reads_is_not_the_servers(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(remote_file.time, "monotonic", lambda: clock[0])
    with open_sound(FileMedia(site.add("/a.wav", ranges(WAV))), "pyav") as sound:
        assert sound is not None
        clock[0] += 10 * web.READING_SECONDS  # a model that takes its time
        assert sum(map(len, sound.blocks())) == len(NOISE)


def test_a_server_that_falls_silent(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "SILENT_SECONDS", 0.2)
    text = reason(site.add("/silent.wav", say_nothing))
    assert "did not answer for 0.2 s (timed out)" in text


def test_a_helper_that_was_given_up_comes_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "READING_SECONDS", 0.2)
    monkeypatch.setattr(web, "GRACE_SECONDS", 0.3)
    monkeypatch.setattr(remote_file, "IDLE", [])
    reason(site.add("/slow.wav", trickle))
    for _ in range(500):
        if remote_file.IDLE:
            return
        site.ends.wait(0.02)
    pytest.fail("the helper still reads, though nobody waits for it")


def test_helpers_are_used_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_file, "IDLE", [])
    url = site.add("/a.wav", ranges(WAV))
    for _ in range(3):
        file = open_url(url, url)
        file.close()
        file.close()
        assert file.helper.start(lambda: None).result(10) is None
    (idle,) = remote_file.IDLE
    assert idle is file.helper


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only forks leave threads behind")
def test_a_forked_worker_reads_on(site: Site) -> None:
    """As `map(num_proc=2)` after a first clip in the parent: the helper's thread is not in the worker."""
    url = site.add("/a.wav", ranges(WAV))
    assert_heard(url)
    worker = multiprocessing.get_context("fork").Process(target=assert_heard, args=(url,), daemon=True)
    worker.start()
    worker.join(30)
    assert worker.exitcode == 0


@pytest.mark.parametrize("bad", [status(503), status(429), cut_off], ids=["503", "429", "cut off"])
def test_a_read_is_tried_again(site: Site, bad: Route) -> None:
    assert_heard(site.add("/a.wav", after(2, bad, ranges(WAV))))


@pytest.mark.parametrize("bad", [status(503), cut_off], ids=["503", "cut off"])
def test_a_read_inside_an_archive_is_tried_again(site: Site, bad: Route) -> None:
    """Tried again below the archive: its reader would have lost its place."""
    assert_heard("zip://a.wav::" + site.add("/a.zip", after(2, bad, ranges(zip_of(WAV)))))


def test_a_connection_that_breaks_off_again_and_again(site: Site) -> None:
    assert "the server closed the connection too early" in reason(
        site.add("/a.wav", after(99, cut_off, ranges(WAV)))
    )


def test_a_sound_is_not_cut_short_by_a_server_that_fails(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    """FFmpeg takes a failed read for the file's end: the rest of the clip would be missing without a word."""
    whole = ranges(wav_of(np.tile(NOISE, 60)))  # longer than fsspec reads ahead

    def route(handler: Handler) -> None:
        first = handler.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0]
        (status(500) if int(first) > 0 else whole)(handler)

    assert "reading stopped: the server failed (HTTP 500)" in reason(site.add("/a.wav", route))
    assert "Traceback" not in capfd.readouterr().err


def test_a_server_without_ranges(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read front to back, once, and sought in: the length is told, denied or kept."""
    plain = site.add("/plain.wav", lambda handler: handler.answer(200, WAV))
    none = site.add("/none.wav", lambda handler: handler.answer(200, WAV, Accept_Ranges="none"))

    def no_length(handler: Handler) -> None:
        handler.answer(200, WAV, Content_Length=None, Connection="close")
        handler.close_connection = True

    for url in (plain, none, site.add("/untold.wav", no_length)):
        file = open_url(url, url)
        assert file.seek(-4, io.SEEK_END) == len(WAV) - 4
        assert file.read(9) == WAV[-4:]
        file.seek(0)
        assert file.read() == WAV
        file.close()
        assert_heard(url)
    monkeypatch.setattr(seekable, "MOST_STORED_BYTES", 100_000)
    assert "the limit is 100,000" in reason(site.url("/untold.wav"))


@pytest.mark.parametrize("told", [None, 1 << 40])
def test_a_part_without_an_end(site: Site, told: int | None) -> None:
    """fsspec would hold in memory all that answers a request for a part."""

    def endless(handler: Handler) -> None:
        if "Range" not in handler.headers:
            handler.answer(200, WAV)
            return
        handler.answer(206, Content_Length=told, Connection="close")
        while not handler.server.ends.is_set():
            handler.wfile.write(bytes(1 << 16))

    assert_heard(site.add("/endless.wav", endless))
    assert len(site.seen) <= 4, site.seen  # from the first such part on it is read front to back, once


@pytest.mark.parametrize("is_odd", [False, True])
def test_a_later_part_that_comes_without_its_status(site: Site, is_odd: bool) -> None:
    """A page in place of a later part is no sound; from a server that gives parts nothing else is fetched."""
    samples = np.tile(NOISE, 60)  # longer than fsspec reads ahead
    data, wholes, odd = wav_of(samples), [], iter([is_odd])

    def route(handler: Handler) -> None:
        asked = handler.headers.get("Range")
        wholes.extend([asked] * (asked is None and handler.command == "GET"))
        if asked and not asked.startswith("bytes=0-") and next(odd, False):
            handler.answer(200, b"Please come back later")
        else:
            ranges(data)(handler)

    np.testing.assert_array_equal(
        decode(site.add("/long.wav", route)), np.tile(NOISE.astype(np.float32) / 32768, 60)
    )
    assert len(wholes) == is_odd


def test_a_packed_body_is_refused(site: Site) -> None:
    packed = gzip.compress(WAV)
    url = site.add("/a.wav", lambda handler: handler.answer(200, packed, Content_Encoding="gzip"))
    assert "compressed (gzip)" in reason(url)


# Archives and caches


def test_chains(site: Site) -> None:
    zipped, packed = zip_of(WAV), gzip.compress(WAV)
    for path, data in {
        "/a.wav": WAV,
        "/a.zip": zipped,
        "/stored.zip": zip_of(WAV, zipfile.ZIP_STORED),
        "/a.wav.gz": packed,
        "/a.wav.bz2": bz2.compress(WAV),
        "/a.wav.xz": lzma.compress(WAV[:999]) + bytes(8) + lzma.compress(WAV[999:]),
        "/a.tar.xz": tar_of(WAV, "w:xz"),
        "/a.tar.bz2": tar_of(WAV, "w:bz2"),
        "/a.tar": tar_of(WAV),
        "/a.tar.gz": tar_of(WAV, "w:gz"),
        "/nested.zip": zip_of(packed, name="in/a.wav.gz"),
    }.items():
        site.add(path, ranges(data))
    for url in (
        site.url("/a.wav").replace("http", "HTTP"),
        "simplecache::" + site.url("/a.wav"),
        "filecache::" + site.url("/a.wav"),
        "blockcache::" + site.url("/a.wav"),
        "SimpleCache://::" + site.url("/a.wav"),
        "zip://a.wav::" + site.url("/a.zip"),
        "ZIP://a.wav::" + site.url("/a.zip").replace("http", "Http"),
        "zip://a.wav::simplecache::" + site.url("/a.zip"),
        "zip://a.wav::" + site.url("/stored.zip"),
        "gzip://a.wav::" + site.url("/a.wav.gz"),
        "bz2://a.wav::" + site.url("/a.wav.bz2"),
        "xz://a.wav::" + site.url("/a.wav.xz"),
        "tar://clips/a.wav::" + site.url("/a.tar"),
        "tar://clips/a.wav::" + site.url("/a.tar.xz"),
        "tar://clips/a.wav::" + site.url("/a.tar.bz2"),
        "tar://./clips/a.wav::" + site.url("/a.tar.gz"),
        "gzip://a.wav::zip://in/a.wav.gz::" + site.url("/nested.zip"),
    ):
        assert_heard(url)


def test_a_chain_over_a_local_file(tmp_path: Path) -> None:
    (tmp_path / "A.zip").write_bytes(zip_of(WAV))
    (tmp_path / "a.wav").write_bytes(WAV)
    assert_heard(f"zip://a.wav::{tmp_path}/A.zip")
    assert_heard(f"zip://a.wav::file://{tmp_path}/A.zip")
    assert_heard(f"FILE://{tmp_path}/a.wav")
    assert "it is a directory" in reason(f"FILE://{tmp_path}")


def test_one_member_of_a_tar_is_fetched(site: Site) -> None:
    big = tar_of(WAV) + b"\1" * (30 << 20)  # what follows is no tar at all
    url = site.add("/big.tar", ranges(big))
    assert_heard(f"tar://clips/a.wav::{url}")


def test_a_tar_of_many_files_takes_no_memory(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for number in range(300):
            archive.addfile(tarfile.TarInfo(f"{number}.txt"))
    opened = []
    open_tar = tarfile.open
    monkeypatch.setattr(tarfile, "open", lambda **how: opened.append(open_tar(**how)) or opened[-1])
    assert "has no file" in reason("tar://a.wav::" + site.add("/many.tar", ranges(buffer.getvalue())))
    assert len(opened[0].members) <= 1


@pytest.mark.parametrize("kind", ["zip", "gzip", "tar.gz", "zip in zip"])
def test_bombs(site: Site, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(seekable, "MOST_STORED_BYTES", 1 << 20)
    bomb = WAV[:44] + bytes(8 << 20)
    data, chain = {
        "zip": (zip_of(bomb), "zip://a.wav::"),
        "gzip": (gzip.compress(bomb, 1), "gzip://a.wav::"),
        "tar.gz": (tar_of(bomb, "w:gz"), "tar://clips/a.wav::"),
        "zip in zip": (zip_of(zip_of(bomb, zipfile.ZIP_STORED)), "zip://a.wav::zip://a.wav::"),
    }[kind]
    assert len(data) < 1 << 20
    url = chain + site.add("/bomb", ranges(data))

    def read_on() -> None:
        with open_url(url, url) as file:
            file.seek(4 << 20)
            file.read(1)

    with pytest.raises(MediaError, match=r"unpacks to .* the limit is 1,048,576") as caught:
        read_on()
    assert str(caught.value).startswith(url)


def test_what_an_archive_cannot_give(site: Site) -> None:
    site.add("/bz2.zip", ranges(zip_of(WAV, zipfile.ZIP_BZIP2)))
    site.add("/a.zip", ranges(zip_of(WAV)))
    site.add("/a.tar", ranges(tar_of(WAV)))
    site.add("/a.wav", ranges(WAV))
    assert "compression is not deflate" in reason("zip://a.wav::" + site.url("/bz2.zip"))
    assert "the zip has no file 'b.wav'" in reason("zip://b.wav::" + site.url("/a.zip"))
    assert "the tar has no file 'b.wav'" in reason("tar://b.wav::" + site.url("/a.tar"))
    assert "File is not a zip file" in reason("zip://b.wav::" + site.url("/a.wav"))
    assert "an archive comes first" in reason("simplecache::zip://a.wav::" + site.url("/a.zip"))
    assert "use zip:// or tar://" in reason("libarchive://a.wav::" + site.url("/a.zip"))
    assert "HTTP 404" in reason("zip://a.wav::" + site.url("/missing.zip"))


@pytest.mark.parametrize("chain", ["xz://a.wav::", "tar://clips/a.wav::"])
def test_xz_in_bounded_memory(site: Site, monkeypatch: pytest.MonkeyPatch, chain: str) -> None:
    packed = lzma.compress(WAV if chain.startswith("xz") else tar_of(WAV))
    url = chain + site.add("/a.xz", ranges(packed[: len(packed) // 2]))
    assert "data end too early" in reason(url)
    monkeypatch.setattr(archives, "MOST_XZ_BYTES", 1 << 20)
    assert "Memory usage limit exceeded" in reason(url)


def test_a_cache_keeps_no_copy_that_broke_off(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [False]

    def route(handler: Handler) -> None:
        if whole[0] or handler.command == "HEAD":
            ranges(WAV)(handler)
            return
        handler.answer(200, WAV[:1000], Content_Length=len(WAV))
        handler.close_connection = True

    for cache in ("simplecache", "filecache"):
        whole[0] = False
        url = f"{cache}::" + site.add(f"/{cache}.wav", route)
        assert "closed the connection too early" in reason(url)
        whole[0] = True
        assert_heard(url)
    untold = site.add("/untold.wav", lambda handler: handler.answer(200, Content_Length=None))
    assert "the server does not state its size" in reason(f"simplecache::{untold}")
    monkeypatch.setattr(seekable, "MOST_STORED_BYTES", 1000)
    assert "the limit is 1,000" in reason("simplecache::" + site.add("/big.wav", ranges(WAV)))


def test_one_read_is_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A zip's table may claim any length."""
    monkeypatch.setattr(seekable, "MOST_AT_ONCE_BYTES", 1 << 16)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(2000):
            archive.writestr(f"{number}.txt", b"")
    url = "zip://a.wav::" + site.add("/many.zip", ranges(buffer.getvalue()))
    assert "bytes in memory at once" in reason(url)


# What is said


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (401, "requires a login (HTTP 401); pass a token"),
        (403, "private, gated or blocked; check the token"),
        (404, "it was not found (HTTP 404); check the URL"),
        (410, "it was not found (HTTP 410)"),
        (429, "too many requests (HTTP 429); try again later"),
        (500, "the server failed (HTTP 500); try again later"),
        (503, "the server failed (HTTP 503); try again later"),
        (418, "the server answers with HTTP 418"),
    ],
)
def test_statuses(site: Site, code: int, words: str) -> None:
    text = reason(site.add("/a.wav", status(code)))
    assert text.startswith("it could not be opened: ")
    assert words in text


def test_connections_that_fail(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        assert "the connection was refused" in reason(f"http://127.0.0.1:{port}/a.wav")
    assert "(TLS: " in reason(site.url("/a.wav").replace("http", "https"))
    assert "redirects too many times" in reason(site.add("/loop.wav", redirect("/loop.wav")))
    assert "no file system" not in reason("nonsense://a.wav")

    def no_name(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_name)
    assert "cannot be resolved (DNS)" in reason("http://nobody.invalid/a.wav")


def test_words_for_certificates() -> None:
    error = ssl.SSLCertVerificationError("certificate verify failed: self-signed certificate")
    assert "self-signed certificate" in messages.explain_error(error)


def test_words_for_storage_that_forbids_it_and_for_errors_that_hide_another() -> None:
    """fsspec says FileNotFoundError for whatever its client said."""
    forbidden = messages.explain_error(PermissionError("Forbidden"))
    assert forbidden == "access is denied (Forbidden); check the token or credentials"
    hiding = FileNotFoundError("https://x.test/a.mp4")
    assert messages.explain_error(hiding) == "it was not found; check the address"
    hiding.__cause__ = ValueError("the answer cannot be read.")
    assert messages.explain_error(hiding) == "the answer cannot be read"


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC])
def test_resources_that_run_out_are_not_the_clips_fault(
    site: Site, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def exhausted(*_: Any) -> Any:
        try:
            raise OSError(number, "no more")
        except OSError as error:
            raise FileNotFoundError("http://...") from error

    monkeypatch.setattr(url_chain, "open_or_cache", exhausted)
    monkeypatch.setattr("hf_audio_tagger.media.failures.is_memory_short", lambda: True)
    with pytest.raises(ResourceError, match="could not be read"):
        decode(site.url("/a.wav"))


# Where a server leads


@pytest.fixture
def first_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of this machine's own addresses one counts as public."""
    monkeypatch.setattr(web, "is_public", lambda address: address == "127.0.0.1")


def names(monkeypatch: pytest.MonkeyPatch, **addresses: str) -> None:
    resolve = socket.getaddrinfo

    def getaddrinfo(host: str, *rest: Any, **options: Any) -> Any:
        return resolve(addresses.get(host.partition(".")[0], host), *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.usefixtures("first_is_public")
@pytest.mark.parametrize(
    "host", ["127.0.0.2", "127.2", "2130706434", "0x7f000002", "inner.test", "[::ffff:127.0.0.2]"]
)
def test_a_redirect_from_public_to_private_is_refused(
    site: Site, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    names(monkeypatch, inner="127.0.0.2")
    site.add("/secret.wav", ranges(WAV))
    text = reason(site.add("/a.wav", redirect(site.url("/secret.wav", host))))
    assert "not a public address" in text or "the URL is not valid" in text
    assert all(path == "/a.wav" for _, path in site.seen)


@pytest.mark.usefixtures("first_is_public")
def test_a_redirect_over_a_public_address_to_a_private_one(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hops; the judgement does not forget the first."""
    names(monkeypatch, outer="127.0.0.1")
    site.add("/next.wav", redirect(site.url("/secret.wav", "127.0.0.2")))
    assert "not a public address" in reason(site.add("/a.wav", redirect(site.url("/next.wav", "outer.test"))))


def test_what_the_user_names_may_be_private(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.add("/end.wav", ranges(WAV))
    url = site.add("/a.wav", redirect("/end.wav"))
    assert_heard(url)  # private to private
    monkeypatch.setattr(web, "is_public", lambda _: True)
    assert_heard(url)


@pytest.mark.usefixtures("first_is_public")
def test_a_kept_connection_is_judged_too(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that the user has named before is not resolved again, and its connection is open already."""
    names(monkeypatch, inner="127.0.0.2")
    with ExitStack() as stack:
        try:
            inner = stack.enter_context(running(Site("127.0.0.2")))
        except OSError:
            pytest.skip("this machine has one loopback address")
        url = inner.add("/secret.wav", ranges(WAV)).replace("127.0.0.2", "inner.test")
        assert_heard(url)
        before = len(inner.seen)
        assert "not a public address" in reason(site.add("/a.wav", redirect(url)))
        assert len(inner.seen) == before


def test_a_proxy_may_be_private(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its address is the user's own, and says nothing of the server behind it."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", site.url(""))
    site.add("http://8.8.8.8/a.wav", redirect("http://8.8.4.4/a.wav"))
    site.add("http://8.8.4.4/a.wav", ranges(WAV))
    assert_heard("http://8.8.8.8/a.wav")
    site.add("http://8.8.4.4/a.wav", redirect("http://169.254.169.254/a.wav"))
    assert "169.254.169.254, which is not a public address" in reason("http://8.8.8.8/a.wav")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/a.wav", "gopher://x/"])
def test_a_redirect_to_another_scheme_is_refused(site: Site, target: str) -> None:
    text = reason(site.add("/a.wav", redirect(target)))
    assert "what is not an http or https URL" in text


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::808:808", True),
        ("2002:808:808::1", True),
        ("127.0.0.1", False),
        ("127.1.2.3", False),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("172.16.0.1", False),
        ("172.31.255.255", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("224.0.0.1", False),
        ("239.255.255.250", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("fd00:ec2::254", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("2001:db8::1", False),
        ("::ffff:169.254.169.254", False),
        ("::ffff:127.0.0.1", False),
        ("::127.0.0.1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b:1::a00:1", False),
        ("2002:a9fe:a9fe::1", False),
        ("2001:0:4136:e378:8000:63bf:5601:5601", False),  # Teredo over 169.254.169.254
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert web.is_public(address) is public


def test_a_private_clip_on_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """hf:// finds the token where `datasets` finds it, and says so where there is none."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with serve({"hf_writes": "me"}) as hub:
        monkeypatch.setattr(datasets.config, "HF_ENDPOINT", hub.url)
        api = HfApi(hub.url, "hf_writes")
        api.create_repo("me/clips", repo_type="dataset", private=True)
        api.upload_file(
            path_or_fileobj=zip_of(WAV), path_in_repo="a.zip", repo_id="me/clips", repo_type="dataset"
        )
        url = "zip://a.wav::hf://datasets/me/clips/a.zip"
        assert "HTTP 401" in reason(url)
        monkeypatch.setenv("HF_TOKEN", "hf_writes")
        hf_file_system.HfFileSystem.clear_instance_cache()
        assert_heard(url)
        assert_heard(f"zip://a.wav::{hub.url}/datasets/me/clips/resolve/main/a.zip")
        assert "not found" in reason("hf://datasets/me/clips/b.wav")
    hf_file_system.HfFileSystem.clear_instance_cache()


def test_options_reach_every_hop(tmp_path: Path) -> None:
    """hf:// and s3:// keep what `datasets` gives them; only HTTP is ours."""
    url, options = url_chain.prepare_url("hf://datasets/me/clips/a.mp4", web.http_options())
    assert url == "hf://datasets/me/clips/a.mp4"
    assert set(options) == {"hf"}
    assert set(options["hf"]) == {"endpoint", "token"}
    _, options = url_chain.prepare_url("simplecache::https://x.test/a.mp4", web.http_options())
    assert options["https"]["get_client"] is web.open_session
    assert options["https"]["client_kwargs"]["trust_env"] is True


def test_connections_are_shared() -> None:
    """fsspec keys its file systems by their options: equal options give one system and its connections."""
    assert web.http_options() == web.http_options()
    assert open_system("http://x.test/a.mp4") is open_system("http://x.test/b.mp4")


def open_system(url: str) -> Any:
    url, options = url_chain.prepare_url(url, web.http_options())
    return fsspec.core.url_to_fs(url, **options)[0]
