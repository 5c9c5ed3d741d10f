"""Retries with growing pauses, what servers ask to wait, and what a recorded error says, without secrets."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import remote_site
from remote_clips import Counts
from remote_site import WAV, Site, after, assert_decoded, cut_off, ranges, reason, redirect, status, zip_of

from hf_audio_tagger import build_tagger
from hf_audio_tagger.media.remote import remote_file, seekable, web

site_server, site = remote_site.site_server, remote_site.site
pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between retries, which take no time."""
    taken: list[float] = []

    class Reading(seekable.Reading):
        def __init__(self) -> None:
            super().__init__()
            self.cancelled.wait = lambda seconds: taken.append(seconds) or False  # type: ignore

    monkeypatch.setattr(remote_file, "Reading", Reading)
    monkeypatch.setattr(seekable, "SPREAD", 0.0)
    return taken


@pytest.mark.parametrize("bad", [status(500), status(502), status(429), status(520), cut_off])
def test_pauses_grow(site: Site, pauses: list[float], bad: Any) -> None:
    assert_decoded(site.add("/a.wav", after(4, bad, ranges(WAV))))
    assert pauses == [0.5, 1, 2, 4]


def test_retries_end(site: Site, pauses: list[float]) -> None:
    counts = Counts()
    text = reason(site.add("/a.wav", counts.counted(status(503))))
    assert "the server failed (HTTP 503)" in text
    assert counts.requests == 1 + len(pauses)
    assert sum(pauses) < web.SILENT_SECONDS


@pytest.mark.parametrize("lasting", [400, 403, 404, 501])
def test_what_lasts_is_not_retried(site: Site, pauses: list[float], lasting: int) -> None:
    counts = Counts()
    assert f"HTTP {lasting}" in reason(site.add("/a.wav", counts.counted(status(lasting))))
    assert (counts.requests, pauses) == (1, [])


def test_a_server_asks_to_wait(site: Site, pauses: list[float]) -> None:
    """In seconds or until a date; less than the pause that comes anyway changes nothing."""
    asks = iter([status(429, Retry_After="7"), status(503, Retry_After="0"), status(429, Retry_After="soon")])
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    date = status(503, Retry_After=until)
    assert_decoded(site.add("/a.wav", after(4, lambda handler: next(asks, date)(handler), ranges(WAV))))
    assert pauses[:3] == [7, 1, 2]
    assert 20 < pauses[3] <= 30


def test_a_server_asks_to_wait_too_long(site: Site, pauses: list[float]) -> None:
    text = reason(site.add("/a.wav", status(429, Retry_After="3600")))
    assert "too many requests (HTTP 429)" in text
    assert "asks to wait 3600 s" in text
    assert pauses == []


def test_pauses_end_with_the_clips_time(
    site: Site, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last answer is told, not that the time is over."""
    monkeypatch.setattr(web, "STALLED_SECONDS", 3.0)
    assert "HTTP 503" in reason(site.add("/a.wav", status(503)))
    assert pauses == [0.5, 1, 2]  # no time has passed here; 4 s would be too long


@pytest.mark.parametrize("start", ["", "zip://a.wav::"])
def test_an_error_has_no_secrets(site: Site, pauses: list[float], start: str) -> None:
    """The address without what signs it: user, password, query."""
    site.add("/signed.wav?X-Amz-Signature=secret&x=1", status(403))
    url = start + site.url("/signed.wav?X-Amz-Signature=secret&x=1").replace("//127", "//me:word@127")
    result = build_tagger("demo", on_error="record").classify(url)[0]
    assert result.error is not None
    assert "secret" not in result.error
    assert "word" not in result.error
    assert result.error.startswith(start + site.url("/signed.wav: it could not be opened: "))
    assert "(HTTP 403)" in result.error


def test_an_error_behind_a_redirect_names_its_host(site: Site, pauses: list[float]) -> None:
    to = site.add("/gone.wav?key=secret", status(403)).replace("127.0.0.1", "localhost")
    text = reason(site.add("/a.wav", redirect(to)))
    assert "localhost" in text
    assert "secret" not in text


def test_a_redirect_is_followed_once_and_again_when_it_has_expired(site: Site, pauses: list[float]) -> None:
    """Signed addresses have an end; the first address leads to a new one."""
    first, second, start = Counts(), Counts(), Counts()
    leads = iter(["/first.wav"])
    parts = iter(range(2))
    site.add("/first.wav", first.counted(lambda handler: answer_twice(handler)))
    site.add("/second.wav", second.file(WAV))

    def answer_twice(handler: Any) -> None:
        (ranges(WAV) if next(parts, None) is not None else status(403))(handler)

    url = site.add("/a.wav", start.counted(lambda handler: redirect(next(leads, "/second.wav"))(handler)))
    assert_decoded(url)
    assert (start.requests, first.requests) == (2, 3)
    assert second.requests >= 1


def test_a_chain_is_retried_below_its_archive(site: Site, pauses: list[float]) -> None:
    data = zip_of(WAV)
    assert_decoded("zip://a.wav::" + site.add("/a.zip", after(2, status(502), ranges(data))))
    assert pauses == [0.5, 1]
