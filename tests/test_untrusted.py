"""Playlists and other texts that name files or hosts: nothing that they name is opened."""

import struct
from pathlib import Path
from typing import Any

import av
import hostile_media
import pytest
from hostile_media import DECODERS, TEXTS, Handler, disguised, refusal, touched, untouched

from hf_audio_tagger.cells import parse_cell
from hf_audio_tagger.errors import MediaError
from hf_audio_tagger.media.audio import open_sound

loaded_decoders, media_server, trap = (
    hostile_media.loaded_decoders,
    hostile_media.media_server,
    hostile_media.trap,
)
pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("loaded_decoders")]


def behind_id3(content: bytes) -> bytes:
    frame = b"TIT2" + struct.pack(">IH", 20, 0) + b"\0" + b"a" * 19
    size = len(frame) + 200
    head = b"ID3\x03\0\0" + bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return head + frame + bytes(200) + content


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("form", ["path", "bytes", "url"])
@pytest.mark.parametrize("with_id3", [False, True], ids=["plain", "id3"])
def test_texts_open_nothing(
    trap: Path, media_server: str, form: str, decoder: str, with_id3: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trap)  # where a decoder would look for a relative name that came in bytes
    for name, text in TEXTS.items():
        content = disguised(text, trap, media_server)
        content = behind_id3(content) if with_id3 else content
        Handler.served, Handler.asked = {"/clip.mp4": content}, []
        clip = trap / "clip.mp4"
        clip.write_bytes(content)
        untouched(trap / "secret.mp4")
        cell: Any = {"path": str(clip), "bytes": content, "url": f"{media_server}/clip.mp4"}[form]
        message = refusal(cell, decoder)
        assert not touched(trap / "secret.mp4"), name
        assert set(Handler.asked) <= ({"/clip.mp4"} if form == "url" else set()), name
        assert "playlist" in message or "no readable media" in message, name


def test_the_trap_works(trap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the guard FFmpeg does open the secret, and the test above would see it."""
    monkeypatch.chdir(trap)
    (trap / "clip.mp4").write_bytes(disguised(TEXTS["ffconcat"], trap, "http://127.0.0.1:1"))
    untouched(trap / "secret.mp4")
    untouched(trap / "clip.mp4")
    (trap / "clip.mp4").read_bytes()
    if not touched(trap / "clip.mp4"):
        pytest.skip("this file system does not note when a file is read")
    with av.open(str(trap / "clip.mp4")) as container:
        assert container.streams.audio
    assert touched(trap / "secret.mp4")


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_guard_holds_without_the_check_of_the_text(
    trap: Path, media_server: str, decoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FFmpeg's own lists of formats and protocols are a second wall behind the first."""
    monkeypatch.setattr("hf_audio_tagger.media.container.refuse_playlist", lambda *_: None)
    test_texts_open_nothing(trap, media_server, "path", decoder, False, monkeypatch)


def behind_long_id3(content: bytes) -> bytes:
    """A tag whose length needs all four of its bytes, as with a picture of a cover."""
    size = (1 << 21) + (1 << 14) + (1 << 7) + 3
    return b"ID3\x03\0\0" + bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0)) + bytes(size) + content


@pytest.mark.parametrize("name", TEXTS)
def test_the_text_alone_shows_every_playlist(trap: Path, name: str) -> None:
    """In whatever case, behind tags, and behind more than the first look."""
    content = disguised(TEXTS[name], trap, "http://127.0.0.1:1")
    cases = {"plain": content, "upper": content.upper(), "zero": content + bytes(9)}
    cases |= {"id3": behind_id3(content), "long id3": behind_long_id3(content)}
    if name in ("dash", "imf", "sdp behind a line"):  # what counts may stand anywhere
        cases |= {str(size): b"<!-- " + b"x" * size + b" -->\n" + content for size in (4_000, 4_100, 900_000)}
    for case, data in cases.items():
        with (
            pytest.raises(MediaError, match="it is a playlist"),
            open_sound(parse_cell(data)[0], "pyav"),
        ):
            pytest.fail(case)
