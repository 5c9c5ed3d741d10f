"""How many bytes and requests a remote clip costs, in each container; the same sound as of a local file."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import remote_site
from remote_clips import WINDOW_SECONDS, Counts, assert_as_local, cut
from remote_site import Site, reason, wav_of

from benchmarks.subjects.remote_clips import CONTAINERS, find_span_bytes, make_clip
from hf_audio_tagger.cells import FileMedia
from hf_audio_tagger.media.remote import blocks
from hf_audio_tagger.media.remote.remote_file import open_url

site_server, site, quick_retries = remote_site.site_server, remote_site.site, remote_site.quick_retries
pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("quick_retries")]

SECONDS = 30
HEADER_BYTES = 64 << 10  # and an index: what is read beside the windows
WITHOUT_INDEX = "mp4, fragments"


@pytest.fixture(scope="module")
def make() -> Any:
    return cache(lambda container: make_clip(container, SECONDS))


@pytest.mark.parametrize("container", CONTAINERS)
def test_the_first_window(site: Site, make: Any, container: str) -> None:
    data, counts = make(container), Counts()
    (clip,) = cut([FileMedia(site.add("/clip", counts.file(data)))])
    assert_as_local(clip, data, "first")
    assert counts.sent_bytes <= 1.5 * find_span_bytes(data, 0, WINDOW_SECONDS) + HEADER_BYTES
    assert counts.requests <= 8


@pytest.mark.parametrize("container", CONTAINERS)
def test_windows_in_the_middle(site: Site, make: Any, container: str) -> None:
    """Of the file's end a second is read as well. Fragments without an index have to be looked for."""
    data, counts = make(container), Counts()
    (clip,) = cut([FileMedia(site.add("/clip", counts.file(data)))], 2)
    assert_as_local(clip, data, 2)
    spans = 0
    for start, samples in clip:
        seconds = start / 16_000
        spans += find_span_bytes(data, seconds - 0.5, seconds + len(samples) / 16_000)
    if container != WITHOUT_INDEX:
        assert counts.sent_bytes <= 1.5 * (spans + find_span_bytes(data, SECONDS - 2, SECONDS)) + HEADER_BYTES
        assert counts.requests <= 8 * len(clip)


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_whole_clip_is_fetched_once(site: Site, make: Any, container: str) -> None:
    data, counts = make(container), Counts()
    (clip,) = cut([FileMedia(site.add("/clip", counts.file(data)))], "all")
    assert_as_local(clip, data, "all")
    assert counts.sent_bytes <= 1.02 * len(data)


def test_few_bytes_of_a_file_are_in_memory(site: Site) -> None:
    data = wav_of(remote_site.NOISE.repeat(120))  # 23 MB
    url = site.add("/long.wav", Counts().file(data))
    with open_url(url, url) as file:
        file.expect_bytes(len(data))
        for position in range(0, len(data), 1 << 20):
            assert file.read(1 << 20) == data[position : position + (1 << 20)]
        held = sum(len(block) for _, block in file.file.blocks)  # type: ignore[attr-defined]
        assert held <= blocks.MOST_HELD_BYTES < len(data) / 2


def test_a_file_that_changes_meanwhile(site: Site) -> None:
    """Its parts would not fit together."""
    old, new = Counts().file(wav_of(remote_site.NOISE)), Counts().file(wav_of(remote_site.NOISE[:-9]))
    routes = iter([old, old])
    text = reason(site.add("/clip.wav", lambda handler: next(routes, new)(handler)))
    assert "the file changed while it was read, from 192,044 to 192,026 bytes" in text


def test_a_server_that_does_not_state_the_size(site: Site) -> None:
    data = wav_of(remote_site.NOISE)

    def route(handler: Any) -> None:
        asked = handler.headers.get("Range")
        if asked is None:
            return handler.answer(200, data, Content_Length=None, Connection="close") or close(handler)
        first, last = map(int, asked.removeprefix("bytes=").split("-"))
        return handler.answer(206, data[first : last + 1], Content_Range=f"bytes {first}-{last}/*")

    def close(handler: Any) -> None:
        handler.close_connection = True

    remote_site.assert_decoded(site.add("/clip.wav", route))


def test_a_part_that_never_comes(site: Site) -> None:
    """An empty answer is not the file's end: the sound would be cut short without a word."""
    data = wav_of(remote_site.NOISE)
    whole = Counts().file(data)

    def route(handler: Any) -> None:
        first = int(handler.headers["Range"].removeprefix("bytes=").partition("-")[0])
        if first:
            handler.answer(206, b"", Content_Range=f"bytes {first}-{len(data) - 1}/{len(data)}")
        else:
            whole(handler)

    assert "the server sent nothing of bytes 65,536" in reason(site.add("/clip.wav", route))


def test_zip_and_tar_members_by_ranges(site: Site, make: Any, tmp_path: Path) -> None:
    import zipfile

    data = make("mp4, index last")
    stored, tarred = remote_site.zip_of(data, zipfile.ZIP_STORED, "a.mp4"), remote_site.tar_of(data)
    for chain, archive in (("zip://a.mp4", stored), ("tar://clips/a.wav", tarred)):
        counts = Counts()
        (clip,) = cut([FileMedia(f"{chain}::{site.add('/archive', counts.file(archive))}")])
        assert_as_local(clip, data, "first")
        assert counts.sent_bytes <= 2 * find_span_bytes(data, 0, WINDOW_SECONDS)
        assert counts.requests <= 16
