"""Tars behind URLs: read in sequence by large ranges, each byte once. The server is on this machine."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from remote_site import Handler, Site, ranges, site, site_server, status  # noqa: F401
from small_runs import rows_of
from tar_files import BLOCK, drop_urls, find_offset, make_clips, make_samples, pack

from hf_audio_tagger import build_tagger
from hf_audio_tagger.errors import SettingsError
from hf_audio_tagger.media.remote import seekable
from hf_audio_tagger.runs import tag_dataset
from hf_audio_tagger.sources import SourceError, open_source
from hf_audio_tagger.sources.tars import byte_streams

TAGGER = build_tagger("demo", batch_size=2, device="cpu", on_error="record")
PADDING = ("x.bin", os.urandom(300_000))  # of the first sample: no column needs it


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    return make_clips(tmp_path_factory.mktemp("clips"), 4)


@pytest.fixture
def tar(clips: list[bytes], monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Four samples, among them a member that nobody wants, in blocks that are small beside it."""
    monkeypatch.setattr(byte_streams, "BLOCK_BYTES", 1 << 14)
    monkeypatch.setattr(seekable, "RETRY_SECONDS", (0.0, 0.0))
    samples = make_samples(clips)
    return pack([*samples[:6], ("001.bin", PADDING[1]), *samples[6:]])


class Served:
    """What a server has sent of a file: which bytes, in how many requests."""

    def __init__(self, data: bytes) -> None:
        self.data, self.spans = data, list[tuple[int, int]]()

    def __call__(self, handler: Handler) -> None:
        asked = handler.headers.get("Range")
        if handler.command == "GET" and asked:
            first, last = asked.removeprefix("bytes=").split("-")
            self.spans.append((int(first), min(int(last) + 1, len(self.data))))
        ranges(self.data)(handler)

    @property
    def sent_bytes(self) -> int:
        return sum(end - start for start, end in self.spans)


def test_every_byte_is_read_once_and_in_order(
    site: Site,  # noqa: F811
    tar: bytes,
    clips: list[bytes],
    tmp_path: Path,
) -> None:
    """The columns are found by the headers of the first samples; what no column needs is passed over."""
    served = Served(tar)
    url = site.add("/a.tar", served)
    source = open_source(url)
    assert served.sent_bytes < len(tar) - len(PADDING[1]) + 3 * byte_streams.BLOCK_BYTES
    served.spans.clear()
    summary = tag_dataset(source, tmp_path / "out", TAGGER)
    assert summary.rows == 4
    assert served.spans == sorted(served.spans)
    assert all(one[1] <= other[0] for one, other in zip(served.spans, served.spans[1:], strict=False))
    assert served.sent_bytes <= len(tar) - len(PADDING[1]) + 2 * byte_streams.BLOCK_BYTES
    (tmp_path / "a.tar").write_bytes(tar)
    tag_dataset(str(tmp_path / "a.tar"), tmp_path / "local", TAGGER)
    assert drop_urls(rows_of(tmp_path / "out")) == drop_urls(rows_of(tmp_path / "local"))
    assert rows_of(tmp_path / "out")[0]["__url__"] == url


def whole(data: bytes) -> Callable[[Handler], None]:
    """A server that knows no ranges."""
    return lambda handler: handler.answer(200, data)


def without_length(data: bytes) -> Callable[[Handler], None]:
    def route(handler: Handler) -> None:
        handler.close_connection = True
        handler.answer(200, data, Content_Length=None, Connection="close")

    return route


@pytest.mark.parametrize("answer", [whole, without_length])
def test_a_server_without_ranges_sends_it_once(
    answer: Any,
    site: Site,  # noqa: F811
    tar: bytes,
    tmp_path: Path,
) -> None:
    source = open_source(site.add("/a.tar", answer(tar)))
    site.seen.clear()
    assert tag_dataset(source, tmp_path / "out", TAGGER).rows == 4
    assert [method for method, _ in site.seen].count("GET") <= 2  # the first one may ask for a range


def test_braces_and_gzips_behind_urls(
    site: Site,  # noqa: F811
    tar: bytes,
    clips: list[bytes],
    tmp_path: Path,
) -> None:
    """The second one of three is not there: recorded, and done when it is."""
    site.add("/00.tar.gz", ranges(gzip.compress(tar)))
    site.add("/02.tar.gz", ranges(gzip.compress(pack(make_samples(clips[:1], 50)))))
    pattern = site.url("/{00..02}.tar.gz")
    summary = tag_dataset(pattern, tmp_path / "out", TAGGER)
    assert (summary.rows, summary.broken_tars) == (5, 1)
    assert "HTTP 404" in Path(str(summary.failures)).read_text()
    site.add("/01.tar.gz", ranges(gzip.compress(pack(make_samples(clips[:1], 40)))))
    assert tag_dataset(pattern, tmp_path / "out", TAGGER).rows == 5
    summary = tag_dataset(pattern, tmp_path / "out", TAGGER, retry_failed=True)
    assert (summary.rows, summary.processed_now, summary.broken_tars) == (6, 1, 0)


def fail_from(data: bytes, byte: int) -> Callable[[Handler], None]:
    """A server that fails for every range from a byte on."""

    def route(handler: Handler) -> None:
        asked = handler.headers.get("Range", "bytes=0-")
        start = int(asked.removeprefix("bytes=").split("-")[0])
        (status(503) if handler.command == "GET" and start >= byte else ranges(data))(handler)

    return route


def test_a_server_that_fails_costs_the_rest_of_its_tar_until_it_is_retried(
    site: Site,  # noqa: F811
    tar: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(byte_streams, "BLOCK_BYTES", 1 << 10)
    url = site.add("/a.tar", fail_from(tar, find_offset(tar, "002.mp4")))
    summary = tag_dataset(url, tmp_path / "out", TAGGER)
    assert summary.rows == 2
    assert "HTTP 503" in Path(str(summary.failures)).read_text()
    served = Served(tar)
    site.add("/a.tar", served)
    source = open_source(url)
    served.spans.clear()
    summary = tag_dataset(source, tmp_path / "out", TAGGER, retry_failed=True)
    assert (summary.rows, summary.broken_tars) == (4, 0)
    assert served.spans[0][0] == find_offset(tar, "002.json") - BLOCK  # behind the last good sample


def test_no_tar_behind_a_url(site: Site) -> None:  # noqa: F811
    site.add("/page.tar", whole(b"<html>log in</html>" * 99))
    with pytest.raises(SourceError, match="no tar"):
        open_source(site.url("/page.tar"))
    with pytest.raises(SourceError, match="HTTP 404"):
        open_source(site.url("/none.tar"))


def test_the_signature_of_an_address_is_not_kept(
    site: Site,  # noqa: F811
    tar: bytes,
    tmp_path: Path,
) -> None:
    url = site.add("/a.tar?sig=secret", ranges(tar))
    with pytest.raises(SettingsError, match="web server"):
        tag_dataset(url, None, TAGGER, beside=True)
    tag_dataset(url, tmp_path / "out", TAGGER)
    assert rows_of(tmp_path / "out")[0]["__url__"] == site.url("/a.tar")
    kept = [path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not any(b"secret" in data for data in kept)


def test_a_source_of_large_members_is_opened_by_its_headers(site: Site) -> None:  # noqa: F811
    """Sixteen samples of 400 kB tell the columns: not one of them is fetched."""
    large = bytes(400_000)
    served = Served(
        pack((f"{number:02d}.{suffix}", large) for number in range(20) for suffix in ("mp4", "bin"))
    )
    source = open_source(site.add("/a.tar", served))
    assert list(source.features) == ["__key__", "__url__", "mp4"]
    assert len(served.spans) <= 2 * 16 + 1
    assert served.sent_bytes <= 33 * byte_streams.HEADER_BLOCK_BYTES
