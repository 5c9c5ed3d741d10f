"""Media behind URLs: every wait ends, every body is bounded, and interrupted reads are retried."""

import gzip
import io
import multiprocessing
import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import remote_site
from remote_site import (
    NOISE,
    WAV,
    Handler,
    Route,
    Site,
    after,
    assert_decoded,
    cut_off,
    decode,
    ranges,
    reason,
    say_nothing,
    status,
    trickle,
    wav_of,
    zip_of,
)

from hf_audio_tagger.cells import FileMedia
from hf_audio_tagger.errors import MediaError
from hf_audio_tagger.media.audio import open_sound, raise_read_failures
from hf_audio_tagger.media.decoders import unavailable_reason
from hf_audio_tagger.media.remote import remote_file, seekable, web
from hf_audio_tagger.media.remote.http_ranges import HttpRanges
from hf_audio_tagger.media.remote.remote_file import open_url

site_server, site, quick_retries = remote_site.site_server, remote_site.site, remote_site.quick_retries
pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("quick_retries")]

needs_torchcodec = pytest.mark.skipif(
    bool(unavailable_reason("torchcodec")), reason="torchcodec does not load"
)


def test_a_clip_has_so_many_seconds(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "STALLED_SECONDS", 0.3)
    waits, until = [], remote_file.wait

    def wait(futures: Any, seconds: float, *when: Any) -> Any:
        waits.append(seconds)
        return until(futures, seconds, *when)

    monkeypatch.setattr(remote_file, "wait", wait)
    text = reason(site.add("/silent.wav", say_nothing))
    assert text.startswith("it could not be opened: it sent 0 bytes in ")
    assert text.endswith(" s; the limit is 0.3 s of reading a clip.")
    assert waits[0] == 0.3
    assert len(waits) == 2  # the other for the connection to close


def test_a_byte_at_a_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error counts what came, though no read has ended."""
    reading = seekable.Reading()
    monkeypatch.setattr(remote_file, "Reading", lambda: reading)
    until = remote_file.wait

    def has_received() -> bool:
        return any(body.total_bytes for body in reading.bodies)

    clock = [0.0]
    monkeypatch.setattr(remote_file.time, "monotonic", lambda: clock[0])

    def wait(futures: Any, seconds: float, *when: Any) -> Any:
        while not (has_received() or futures[0].done()):
            until(futures, 0.01)
        clock[0] += seconds if has_received() else 0
        return until(futures, 0, *when)

    monkeypatch.setattr(remote_file, "wait", wait)
    text = reason(site.add("/slow.wav", trickle))
    assert re.search(r"it sent [1-9]\d* bytes in .* s; the limit is 120 s of reading a clip", text)


@pytest.mark.parametrize("decoder", ["pyav", pytest.param("torchcodec", marks=needs_torchcodec)])
def test_the_limit_holds_for_all_reads_together(
    site: Site, monkeypatch: pytest.MonkeyPatch, decoder: str
) -> None:
    """Each read is quick enough by itself; what the decoder makes of the error does not matter."""
    url = site.add("/long.wav", ranges(WAV))
    clock = [0.0]
    monkeypatch.setattr(remote_file.time, "monotonic", lambda: clock[0])

    def slow(layer: Any, start: int, stop: int, fetch: Any = HttpRanges.fetch) -> Any:
        clock[0] += web.STALLED_SECONDS / 2
        return fetch(layer, start, stop)

    monkeypatch.setattr(HttpRanges, "fetch", slow)
    # Of the limit, 10 s are for what has arrived.
    assert "it sent 192,044 bytes in 180 s; the limit is 130 s of reading a clip" in reason(url, decoder)


def test_what_still_reads_stops(site: Site) -> None:
    url = "gzip://a.wav::" + site.add("/a.wav.gz", ranges(gzip.compress(WAV)))
    with open_url(url, url) as file:
        file.spent_seconds = web.READING_SECONDS
        with pytest.raises(MediaError, match="the limit is 123 s"):  # for what has arrived, 3 s more
            file.read(9)
        with pytest.raises(MediaError, match="cancelled"):  # as the helper sees it
            file.file.read(9)
        assert file.read(9) == b""  # raised once
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


def test_helpers_are_reused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert_decoded(url)
    worker = multiprocessing.get_context("fork").Process(target=assert_decoded, args=(url,), daemon=True)
    worker.start()
    worker.join(30)
    assert worker.exitcode == 0


@pytest.mark.parametrize("bad", [status(503), status(429), cut_off], ids=["503", "429", "cut off"])
def test_a_read_is_retried(site: Site, bad: Route) -> None:
    assert_decoded(site.add("/a.wav", after(2, bad, ranges(WAV))))


@pytest.mark.parametrize("bad", [status(503), cut_off], ids=["503", "cut off"])
def test_a_read_inside_an_archive_is_retried(site: Site, bad: Route) -> None:
    """Retried below the archive: its reader would have lost its place."""
    assert_decoded("zip://a.wav::" + site.add("/a.zip", after(2, bad, ranges(zip_of(WAV)))))


def test_a_connection_that_breaks_every_time(site: Site) -> None:
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
    """Read front to back, once, and then seekable, whether the length is stated or not."""
    plain = site.add("/plain.wav", lambda handler: handler.answer(200, WAV))
    none = site.add("/none.wav", lambda handler: handler.answer(200, WAV, Accept_Ranges="none"))

    def no_length(handler: Handler) -> None:
        handler.answer(200, WAV, Content_Length=None, Connection="close")
        handler.close_connection = True

    for url in (plain, none, site.add("/no_size.wav", no_length)):
        file = open_url(url, url)
        assert file.seek(-4, io.SEEK_END) == len(WAV) - 4
        assert file.read(9) == WAV[-4:]
        file.seek(0)
        assert file.read() == WAV
        file.close()
        assert_decoded(url)
    monkeypatch.setattr(seekable, "MOST_STORED_BYTES", 100_000)
    assert "the limit is 100,000" in reason(site.url("/no_size.wav"))


@pytest.mark.parametrize("stated", [None, 1 << 40])
def test_a_part_without_an_end(site: Site, stated: int | None) -> None:
    """fsspec would hold in memory all that answers a request for a part."""

    def endless(handler: Handler) -> None:
        if "Range" not in handler.headers:
            handler.answer(200, WAV)
            return
        handler.answer(206, Content_Length=stated, Connection="close")
        while not handler.server.ends.is_set():
            handler.wfile.write(bytes(1 << 16))

    assert_decoded(site.add("/endless.wav", endless))
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
