"""Chained URLs: archives, compressions and caches over a URL, all in bounded memory."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import pytest
import remote_site
from remote_site import (
    WAV,
    Handler,
    Site,
    assert_decoded,
    ranges,
    reason,
    tar_of,
    zip_of,
)

from hf_audio_tagger.errors import MediaError
from hf_audio_tagger.media.remote import seekable, url_chain
from hf_audio_tagger.media.remote.remote_file import open_url

site_server, site, quick_retries = remote_site.site_server, remote_site.site, remote_site.quick_retries
pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("quick_retries")]


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
        assert_decoded(url)


def test_a_chain_over_a_local_file(tmp_path: Path) -> None:
    (tmp_path / "A.zip").write_bytes(zip_of(WAV))
    (tmp_path / "a.wav").write_bytes(WAV)
    assert_decoded(f"zip://a.wav::{tmp_path}/A.zip")
    assert_decoded(f"zip://a.wav::file://{tmp_path}/A.zip")
    assert_decoded(f"FILE://{tmp_path}/a.wav")
    assert "it is a directory" in reason(f"FILE://{tmp_path}")


def test_one_member_of_a_tar_is_fetched(site: Site) -> None:
    big = tar_of(WAV) + b"\1" * (30 << 20)  # what follows is no tar at all
    url = site.add("/big.tar", ranges(big))
    assert_decoded(f"tar://clips/a.wav::{url}")


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
    assert "data are truncated" in reason(url)
    monkeypatch.setattr(url_chain, "MOST_XZ_BYTES", 1 << 20)
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
        assert_decoded(url)
    no_size = site.add("/no_size.wav", lambda handler: handler.answer(200, Content_Length=None))
    assert "the server does not state its size" in reason(f"simplecache::{no_size}")
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
