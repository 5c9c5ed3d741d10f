"""Media that lie, break off, or point elsewhere: each is told within a second, and nothing else is opened."""

import http.server
import io
import os
import socket
import struct
import tempfile
import threading
import time
import tracemalloc
import wave
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from datasets import Dataset, Features, List, Value
from sound_files import H264, KINDS, Kind, tones, write_sound

from hf_audio_tagger import build_tagger
from hf_audio_tagger.cells import FileMedia, media_of_cell
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.demo.videos import write_video
from hf_audio_tagger.errors import MediaError
from hf_audio_tagger.media import container as guarded
from hf_audio_tagger.media.audio import open_sound
from hf_audio_tagger.media.decoders import unavailable_reason
from hf_audio_tagger.media.source import open_source

DECODERS = [
    pytest.param(name, marks=pytest.mark.skipif(bool(unavailable_reason(name)), reason=name))
    for name in ("auto", "pyav", "torchcodec", "decord")
]
A_MOMENT_SECONDS = 1.0  # with room for a busy machine below: what hangs, hangs for ten
pytestmark = pytest.mark.timeout(60)


def refusal(cell: Any, decoder: str = "auto", **settings: Any) -> str:
    """The error that a cell gets; the test fails where it gets none, or late."""
    tagger = build_tagger("demo", decoder=decoder, **settings)
    started = time.thread_time(), time.monotonic()
    with pytest.raises(MediaError) as caught:
        tagger.tag(cell)
    assert time.thread_time() - started[0] < A_MOMENT_SECONDS
    assert time.monotonic() - started[1] < 5 * A_MOMENT_SECONDS
    return str(caught.value)


@pytest.fixture(scope="module", autouse=True)
def warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Models and decoders are loaded before anything is timed."""
    path = tmp_path_factory.mktemp("warm") / "warm.mp4"
    write_video(path, synthesize("Siren", 1.0, 16_000, 0), 16_000)
    for decoder in DECODERS:
        name = str(decoder.values[0])
        if not unavailable_reason(name):
            build_tagger("demo", decoder=name).tag(path)


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves one mp4 and one playlist, and keeps a list of what was asked for."""

    asked: list[str] = []  # noqa: RUF012
    served: dict[str, bytes] = {}  # noqa: RUF012

    def do_GET(self) -> None:
        self.asked.append(self.path)
        data = self.served.get(self.path, b"")
        first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        part = data[int(first) : int(last) + 1 if last else None]
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}")
        self.end_headers()
        self.wfile.write(part)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()


@pytest.fixture(scope="module")
def trap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a secret sound."""
    folder = tmp_path_factory.mktemp("trap")
    write_video(folder / "secret.mp4", synthesize("Siren", 2.0, 44_100, 0), 44_100)
    return folder


def touched(path: Path) -> bool:
    """Whether a file was read since `untouched`: relatime notes the first reading after a change."""
    return path.stat().st_atime_ns > 0


def untouched(path: Path) -> None:
    os.utime(path, ns=(0, 1_000_000_000))


MPD = """<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"
 profiles="urn:mpeg:dash:profile:isoff-on-demand:2011" mediaPresentationDuration="PT2S"><Period><AdaptationSet
 mimeType="audio/mp4"><Representation id="1" bandwidth="64000"><BaseURL>{target}</BaseURL></Representation>
</AdaptationSet></Period></MPD>"""
CPL = """<?xml version="1.0"?><CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016">
<Id>urn:uuid:00000000-0000-0000-0000-000000000000</Id><ContentTitle>x</ContentTitle></CompositionPlaylist>"""
SDP = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {port} RTP/AVP 0\n"

# A text by what it would make a decoder open: the secret file beside it, or the server.
TEXTS = {
    "ffconcat": "ffconcat version 1.0\nfile {file}\n",
    "ffconcat, absolute": "ffconcat version 1.0\nfile '{absolute}'\n",
    "ffconcat, server": "ffconcat version 1.0\nfile {url}/secret.mp4\n",
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{file}\n#EXT-X-ENDLIST\n",
    "hls, absolute": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://{absolute}\n#EXT-X-ENDLIST\n",
    "hls, server": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{url}/secret.mp4\n#EXT-X-ENDLIST\n",
    "dash": MPD.replace("{target}", "{absolute}"),
    "dash, server": MPD.replace("{target}", "{url}/secret.mp4"),
    "imf": CPL,
    "sdp": SDP,
    "sdp behind a line": "\xff\xfb\x90\x64 x\n" + SDP[4:],
}


def disguised(text: str, trap: Path, url: str) -> bytes:
    secret = trap / "secret.mp4"
    port = url.rpartition(":")[2]
    filled = text.replace("{file}", secret.name).replace("{absolute}", str(secret))
    return filled.replace("{url}", url).replace("{port}", port).encode("latin-1")


def behind_id3(content: bytes) -> bytes:
    frame = b"TIT2" + struct.pack(">IH", 20, 0) + b"\0" + b"a" * 19
    size = len(frame) + 200
    head = b"ID3\x03\0\0" + bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return head + frame + bytes(200) + content


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("form", ["path", "bytes", "url"])
@pytest.mark.parametrize("with_id3", [False, True], ids=["plain", "id3"])
def test_texts_open_nothing(
    trap: Path, server: str, form: str, decoder: str, with_id3: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trap)  # where a decoder would look for a relative name that came in bytes
    for name, text in TEXTS.items():
        content = disguised(text, trap, server)
        content = behind_id3(content) if with_id3 else content
        Handler.served, Handler.asked = {"/clip.mp4": content}, []
        clip = trap / "clip.mp4"
        clip.write_bytes(content)
        untouched(trap / "secret.mp4")
        cell: Any = {"path": str(clip), "bytes": content, "url": f"{server}/clip.mp4"}[form]
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
def test_the_guard_holds_without_the_look_at_the_text(
    trap: Path, server: str, decoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FFmpeg's own lists of formats and protocols are a second wall behind the first."""
    monkeypatch.setattr("hf_audio_tagger.media.container.refuse_playlist", lambda *_: None)
    test_texts_open_nothing(trap, server, "path", decoder, False, monkeypatch)


def behind_long_id3(content: bytes) -> bytes:
    """A tag whose length needs all four of its bytes, as with a picture of a cover."""
    size = (1 << 21) + (1 << 14) + (1 << 7) + 3
    return b"ID3\x03\0\0" + bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0)) + bytes(size) + content


@pytest.mark.parametrize("name", TEXTS)
def test_the_look_at_the_text_alone_knows_every_playlist(trap: Path, name: str) -> None:
    """In whatever case, behind tags, and behind more than the first look."""
    content = disguised(TEXTS[name], trap, "http://127.0.0.1:1")
    cases = {"plain": content, "upper": content.upper(), "zero": content + bytes(9)}
    cases |= {"id3": behind_id3(content), "long id3": behind_long_id3(content)}
    if name in ("dash", "imf", "sdp behind a line"):  # what counts may stand anywhere
        cases |= {str(size): b"<!-- " + b"x" * size + b" -->\n" + content for size in (4_000, 4_100, 900_000)}
    for case, data in cases.items():
        with (
            pytest.raises(MediaError, match="it is a playlist"),
            open_sound(media_of_cell(data)[0], "pyav"),
        ):
            pytest.fail(case)


def test_sound_that_holds_the_words_of_a_playlist_is_heard() -> None:
    words = b"<MPD #EXTM3U <CompositionPlaylist ffconcat\nc=IN IP4 "
    with open_sound(media_of_cell(wav(16_000, 1, words * 400))[0], "pyav") as sound:
        assert sound is not None
        assert sum(map(len, sound.blocks())) == len(words) * 200


def test_a_title_that_is_no_utf8_is_passed_over() -> None:
    """Titles in Latin-1 are everywhere in old files."""
    sound = (synthesize("Siren", 1.0, 16_000, 0) * 2**15).clip(-(2**15), 2**15 - 1).astype("<i2").tobytes()
    title = b"LIST" + struct.pack("<I", 16) + b"INFOINAM" + struct.pack("<I", 4) + b"caf\xe9"
    data = wav(16_000, 1, sound) + title
    with av.open(io.BytesIO(data), metadata_errors="replace") as container:
        assert container.metadata["title"] == "caf\ufffd"
    assert build_tagger("demo", decoder="pyav").tag(data) == "Siren"


def test_no_video_decoder_sees_a_file(tmp_path: Path) -> None:
    """FFmpeg tells how pixels are stored only once a decoder has looked at them."""
    path = write_sound(tmp_path / "a.mp4", tones(1.0, 44_100), rate_hz=44_100, kind=H264)
    open_to_all = {**guarded.open_options(path.read_bytes()), "codec_whitelist": "aac,h264"}
    with av.open(str(path), options=open_to_all) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
    with guarded.open_container(f"file:{path}", "a.mp4") as container:
        assert container.streams.video[0].codec_context.pix_fmt is None
    names = guarded.list_decoders("audio").split(",")
    assert {"aac", "opus", "mp3float", "pcm_s16le", "flac"} <= set(names)
    assert not {"h264", "png", "mjpeg", "srt"} & set(names)


@pytest.mark.parametrize("form", ["path", "bytes"])
@pytest.mark.parametrize("kind", [H264, KINDS["mp4-aac"], KINDS["mkv-ac3"]], ids=lambda kind: kind.name)
def test_pictures_are_decoded_where_they_are_asked_for(tmp_path: Path, kind: Kind, form: str) -> None:
    path = write_sound(tmp_path / f"a.{kind.extension}", tones(1.0, 48_000, 2), rate_hz=48_000, kind=kind)
    source = path.read_bytes() if form == "bytes" else f"file:{path}"
    with guarded.open_container(source, "a.mp4", "video") as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 5
    assert frames[0].shape == (48, 64, 3)
    assert frames[0].mean() < 10


@pytest.mark.parametrize("name", TEXTS)
def test_a_playlist_of_pictures_is_refused_just_the_same(trap: Path, name: str) -> None:
    content = disguised(TEXTS[name], trap, "http://127.0.0.1:1")
    untouched(trap / "secret.mp4")
    with pytest.raises(MediaError, match="it is a playlist"):
        guarded.open_container(content, "a.mp4", "video")
    assert not touched(trap / "secret.mp4")
    options = guarded.open_options(content, "video")
    assert options["protocol_whitelist"] == "file"
    assert options["format_whitelist"] == guarded.SELF_CONTAINED_FORMATS
    assert not {"aac", "opus"} & set(options["codec_whitelist"].split(","))


HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{target}\n#EXT-X-ENDLIST\n"
# Files that an unguarded FFmpeg does follow, whether to another file or over which protocol.
HOSTILE = {
    "a file": ("clip.mp4", "ffconcat version 1.0\nfile secret.ts\n"),
    "a segment": ("clip.m3u8", HLS.format(target="secret.ts")),
    "http": ("clip.m3u8", HLS.format(target="{url}/secret.ts")),
    "http at second hand": ("clip.mp4", "ffconcat version 1.0\nfile beside.m3u8\n"),
}
# What is opened by the walls that stand.
WALLS = {
    "texts": set[str](),
    "formats": set[str](),
    "protocols": {"a file", "a segment"},
    "none": set(HOSTILE),
}


def leave_standing(wall: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every wall away but one: the look at the text, the list of formats, the list of protocols."""
    options = guarded.open_options
    if wall != "texts":
        monkeypatch.setattr(guarded, "refuse_playlist", lambda *_: None)

    def fewer(*given: Any) -> dict[str, str]:
        left = options(*given)
        if wall != "formats":
            del left["format_whitelist"]
        if wall != "protocols":
            left["protocol_whitelist"] = "file,http,tcp,crypto,data"
        return left

    monkeypatch.setattr(guarded, "open_options", fewer)


@pytest.fixture
def hostile(tmp_path: Path, server: str) -> Path:
    """A folder with what the hostile files name."""
    kind = Kind("ts", "aac", "fltp", False)
    write_sound(tmp_path / "secret.ts", tones(0.5, 44_100), rate_hz=44_100, kind=kind)
    (tmp_path / "beside.m3u8").write_text(HOSTILE["http"][1].replace("{url}", server))
    untouched(tmp_path / "beside.m3u8")
    (tmp_path / "beside.m3u8").read_bytes()
    if not touched(tmp_path / "beside.m3u8"):
        pytest.skip("this file system does not note when a file is read")
    return tmp_path


@pytest.mark.parametrize("wall", WALLS)
def test_each_wall_holds_alone(
    hostile: Path, server: str, wall: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any, all is followed: the test sees it. The protocols keep FFmpeg to this machine's files."""
    leave_standing(wall, monkeypatch)
    opened = set()
    for name, (file_name, text) in HOSTILE.items():
        Handler.served, Handler.asked = {}, []
        clip = hostile / file_name
        clip.write_text(text.replace("{url}", server))
        untouched(hostile / "secret.ts")
        with suppress(MediaError), open_sound(media_of_cell(clip)[0], "pyav"):
            pass
        if Handler.asked or touched(hostile / "secret.ts"):
            opened.add(name)
    assert opened == WALLS[wall]


@pytest.mark.parametrize("form", ["path", "bytes", "struct", "url"])
def test_an_empty_file_is_called_empty(tmp_path: Path, form: str) -> None:
    """Not "invalid data": an empty file is mostly a download that failed."""
    path = tmp_path / "empty.mp4"
    path.touch()
    cell, name = {
        "path": (str(path), str(path)),
        "bytes": (b"", "<bytes>"),
        "struct": ({"path": str(path), "bytes": b""}, str(path)),
        "url": (f"file://{path}", f"file://{path}"),
    }[form]
    assert refusal(cell) == f"{name}: it is empty (0 bytes)."


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize(
    "path",
    [
        "concat:secret.mp4|secret.mp4",
        "subfile,,start,0,end,0,,:secret.mp4",
        "file:secret.mp4",
        "async:secret.mp4",
        "cache:secret.mp4",
        "crypto:secret.mp4",
        "data:audio/wav;base64,UklGRg==",
        "lavfi:sine",
        "pipe:0",
        "tcp:127.0.0.1:1",
        "%d.mp4",
        "secret.mp4\0.txt",
        "secret.mp4\n",
        "secret.mp4?x",
        "",
    ],
)
def test_paths_are_no_protocols(trap: Path, path: str, decoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trap)
    untouched(trap / "secret.mp4")
    refusal({"path": path, "bytes": None}, decoder)
    assert not touched(trap / "secret.mp4")


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_protocol_as_a_file_name_is_a_file_name(
    trap: Path, decoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trap)
    for name in ("concat:x|x.mp4", "subfile,,start,0,end,0,,:x.mp4", "line\nbreak.mp4", "ü 音.mp4"):
        write_video(trap / "dial.mp4", synthesize("Dial tone", 2.0, 44_100, 0), 44_100)
        (trap / "dial.mp4").rename(trap / name)
        assert build_tagger("demo", decoder=decoder).tag(name) == "Dial tone"


def test_names_that_are_no_text(trap: Path) -> None:
    """Linux allows any bytes; Arrow takes only UTF-8, also in the error's column."""
    name = os.fsdecode(os.fsencode(str(trap)) + b"/\xff\xfe.mp4")
    write_video(trap / "x.mp4", synthesize("Dial tone", 2.0, 44_100, 0), 44_100)
    os.rename(trap / "x.mp4", name)
    assert build_tagger("demo", decoder="pyav").tag(name) == "Dial tone"
    result = build_tagger("demo", on_error="record").classify(name + ".missing")[0]
    assert result.error is not None
    assert result.error.encode("utf-8")


def external_mp4(source: bytes, target: Path) -> bytes:
    """An mp4 whose sound lies in another file, by QuickTime's alias: the way that FFmpeg can follow."""
    inside = struct.pack(">I4sI", 12, b"url ", 1)  # flag 1: the samples are in this very file
    path = str(target).encode()
    path += b"\0" * (len(path) % 2)
    name = target.name.encode()
    alias = bytes(10) + bytes(28) + bytes(12) + bytes([len(name)]) + name.ljust(63, b"\0") + bytes(16)
    alias += struct.pack(">HH", 1, 1) + bytes(16)
    alias += struct.pack(">HH", 2, len(path)) + path + struct.pack(">HH", 0xFFFF, 0)
    outside = struct.pack(">I4sI", 12 + len(alias), b"alis", 0) + alias
    data, at = bytearray(source), source.rindex(inside)
    for box in (b"dref", b"dinf", b"minf", b"mdia", b"trak", b"moov"):  # the boxes around it grow with it
        start = source.rindex(box, 0, at) - 4
        (size,) = struct.unpack_from(">I", data, start)
        struct.pack_into(">I", data, start, size + len(outside) - len(inside))
    data[at : at + len(inside)] = outside
    return bytes(data)


@pytest.mark.parametrize("decoder", [None, *DECODERS])
def test_external_references_are_not_followed(trap: Path, decoder: str | None) -> None:
    clip = trap / "external.mp4"
    write_video(clip, synthesize("Dial tone", 2.0, 44_100, 0), 44_100)
    clip.write_bytes(external_mp4(clip.read_bytes(), trap / "secret.mp4"))
    untouched(trap / "secret.mp4")
    if decoder is None:  # the trap works where FFmpeg is told to follow
        with av.open(str(clip), options={"enable_drefs": "1", "use_absolute_path": "1"}):
            assert touched(trap / "secret.mp4")
        return
    result = build_tagger("demo", decoder=decoder, on_error="record").classify(clip)[0]
    assert result.tag == "Dial tone" or "external.mp4" in str(result.error)
    assert not touched(trap / "secret.mp4")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An mp4 with its index in front, which can be cut in the middle of its sound."""
    folder = tmp_path_factory.mktemp("whole")
    write_video(folder / "a.mp4", synthesize("Siren", 4.0, 44_100, 0), 44_100)
    with (
        av.open(str(folder / "a.mp4")) as given,
        av.open(str(folder / "b.mp4"), "w", options={"movflags": "faststart"}) as made,
    ):
        streams = {stream.index: made.add_stream_from_template(stream) for stream in given.streams}
        for packet in given.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                made.mux(packet)
    return (folder / "b.mp4").read_bytes()


def png() -> bytes:
    picture = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
    file = io.BytesIO()
    with av.open(file, "w", format="image2pipe") as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
        container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return file.getvalue()


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "one byte": lambda _: b"x",
    "random": lambda _: np.random.default_rng(0).bytes(100_000),
    "zeros": lambda _: bytes(100_000),
    "text": lambda _: b"these are words, not a video. " * 100,
    "html": lambda _: b"<!DOCTYPE html><html><body>404</body></html>" * 10,
    "png": lambda _: png(),
    "pdf": lambda _: b"%PDF-1.4\n" + b"1 0 obj << >> endobj\n" * 50,
    "no index": lambda mp4: mp4[mp4.index(b"mdat") - 4 :],
    "cut in the index": lambda mp4: mp4[:600],
    "cut before the sound": lambda mp4: mp4[: mp4.index(b"mdat") + 4],
}


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("form", ["path", "bytes"])
def test_broken_files_are_told(tmp_path: Path, whole: bytes, form: str, decoder: str) -> None:
    for name, make in BROKEN.items():
        path = tmp_path / f"{name}.mp4"
        path.write_bytes(make(whole))
        cell: Any = str(path) if form == "path" else {"path": str(path), "bytes": make(whole)}
        message = refusal(cell, decoder)
        assert str(path) in message, name
        assert "\n" not in message
        if name == "cut before the sound" and decoder in ("auto", "pyav"):
            assert message.endswith("no sound can be decoded from it.")


@pytest.mark.parametrize("decoder", ["auto", "pyav"])
def test_a_file_that_breaks_off_is_heard_up_to_there(whole: bytes, decoder: str) -> None:
    assert build_tagger("demo", decoder=decoder).tag(whole[: len(whole) * 2 // 3]) == "Siren"


def test_places_that_are_no_files(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo.mp4"
    os.mkfifo(fifo)
    sockets = tempfile.TemporaryDirectory(dir="/tmp")  # the system limits the length of a socket's path
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(f"{sockets.name}/s.mp4")
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "dangling.mp4").symlink_to(tmp_path / "nothing")
    (tmp_path / "loop.mp4").symlink_to(tmp_path / "loop.mp4")
    for place, reason in {
        str(fifo): "regular",
        f"file://{fifo}": "regular",
        f"zip://a.mp4::{fifo}": "regular",
        f"simplecache::file://{fifo}": "regular",
        f"{sockets.name}/s.mp4": "regular",
        "/dev/zero": "regular",
        "/dev/stdin": "",
        "/dev/fd/0": "",
        "file:///dev/zero": "regular",
        "local:///dev/zero": "regular",
        "/proc/self/mem": "",
        str(tmp_path / "folder.mp4"): "directory",
        str(tmp_path / "missing.mp4"): "No such file",
        str(tmp_path / "dangling.mp4"): "No such file",
        str(tmp_path / "loop.mp4"): "",
        "/" + "a" * 5_000: "",
        "nonsense://a.mp4": "",
        "zip://a.mp4::" + str(tmp_path / "missing.zip"): "No such file",
    }.items():
        message = refusal(place)
        assert reason in message, place
        assert place[:200] in message, place
    listening.close()
    sockets.cleanup()


def test_a_file_of_this_machine_is_opened_by_its_whole_path(
    trap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By FFmpeg itself: it goes through none of the layers that a URL needs."""
    monkeypatch.chdir(trap)
    path = f"{trap}/secret.mp4"
    for name in ("secret.mp4", path, f"file://{path}", f"local://{path}"):
        assert open_source(FileMedia(name)) == f"file:{path}"


def test_a_file_in_an_archive(tmp_path: Path, whole: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.mp4", whole)
    assert build_tagger("demo").tag(f"zip://a.mp4::{tmp_path}/a.zip") == "Siren"
    assert "b.mp4" in refusal(f"zip://b.mp4::{tmp_path}/a.zip")


def wav(
    rate_hz: int, channels: int, data: bytes, claimed: int | None = None, bits: int = 16, tag: int = 1
) -> bytes:
    """A WAV whose header says what it likes."""
    size = len(data) if claimed is None else claimed
    align = channels * bits // 8
    head = struct.pack(
        "<HHIIHH", tag, channels, rate_hz, (rate_hz * align) & 0xFFFFFFFF, align & 0xFFFF, bits
    )
    return (
        b"RIFF"
        + struct.pack("<I", (size + 36) & 0xFFFFFFFF)
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + head
        + b"data"
        + struct.pack("<I", size)
        + data
    )


@pytest.mark.parametrize("decoder", DECODERS)
def test_wild_headers_take_no_memory(decoder: str) -> None:
    noise = np.random.default_rng(0).integers(-9_000, 9_000, 64_000).astype("<i2").tobytes()
    for name, data in {
        "0 Hz": wav(0, 1, noise),
        "1 Hz": wav(1, 1, noise),
        "a gigahertz": wav(10**9, 1, noise),
        "4 gigahertz": wav(2**32 - 1, 1, noise),
        "65535 channels": wav(16_000, 65_535, noise),
        "no channels": wav(16_000, 0, noise),
        "no samples": wav(16_000, 1, b""),
    }.items():
        tracemalloc.start()
        message = refusal({"path": name, "bytes": data}, decoder)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert message.startswith(name)
        assert peak_bytes < 50e6, name


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("windows", ["first", "all", 3])
def test_a_header_that_claims_too_much(decoder: str, windows: str | int) -> None:
    sound = (synthesize("Siren", 3.0, 16_000, 0) * 2**15).clip(-(2**15), 2**15 - 1).astype("<i2").tobytes()
    tagger = build_tagger("demo", decoder=decoder, windows=windows)
    for claimed in (2**31, 2**32 - 1, len(sound) * 50):
        started = time.thread_time()
        assert tagger.tag(wav(16_000, 1, sound, claimed)) == "Siren"
        assert time.thread_time() - started < A_MOMENT_SECONDS


@pytest.mark.parametrize("decoder", DECODERS)
def test_samples_that_are_no_numbers(decoder: str) -> None:
    for wrong in (np.nan, np.inf, -np.inf):
        samples = np.zeros(16_000, "<f4")
        samples[8_000] = wrong
        data = wav(16_000, 1, samples.tobytes(), bits=32, tag=3)
        assert "finite" in refusal({"path": "nan.wav", "bytes": data}, decoder)


@pytest.mark.parametrize("decoder", DECODERS)
def test_no_audio_stream_is_empty_and_no_error(tmp_path: Path, decoder: str) -> None:
    write_video(tmp_path / "silent.mp4", None, 44_100)
    assert build_tagger("demo", decoder=decoder).tag(tmp_path / "silent.mp4") == "EMPTY"
    kind = Kind("mkv", "aac", "fltp", False, with_picture=True)
    path = write_sound(tmp_path / "pcm.mkv", tones(0.5, 44_100), rate_hz=44_100, kind=kind)
    assert build_tagger("demo", decoder=decoder).tag(path) != "EMPTY"


def test_a_stream_that_no_header_declares_is_found(tmp_path: Path) -> None:
    """FLV names its streams one by one, as they come: a look that is too short finds no sound."""
    kind = Kind("flv", "aac", "fltp", False, with_picture=True, picture_codec="flv1")
    path = write_sound(tmp_path / "a.flv", tones(1.0, 44_100), rate_hz=44_100, kind=kind)
    with open_sound(media_of_cell(path)[0], "pyav") as sound:
        assert sound is not None
        assert sum(map(len, sound.blocks())) >= 44_100


def test_the_map_finishes_with_the_reason_beside_the_row(tmp_path: Path, whole: bytes) -> None:
    good = tmp_path / "good.mp4"
    good.write_bytes(whole)
    rows: list[list[str | None]] = [[str(good)]]
    for name, make in BROKEN.items():
        (tmp_path / f"{name}.mp4").write_bytes(make(whole))
        rows.append([str(good), str(tmp_path / f"{name}.mp4")])
    os.mkfifo(tmp_path / "fifo.mp4")
    rows += [[str(tmp_path / "fifo.mp4")], [str(tmp_path)], [None, str(good)], [], ["/nowhere.mp4"]]
    dataset = Dataset.from_dict({"videos": rows}, features=Features({"videos": List(Value("string"))}))
    mapped = dataset.map(build_tagger("demo", on_error="record"), batched=True, batch_size=5)
    for row in mapped:
        for video, tag, error in zip(
            row["videos"], row["video_audio_tags"], row["video_audio_error"], strict=True
        ):
            assert (tag, error) == ("Siren", None) if video == str(good) else tag is None
            if video is not None and tag is None:
                assert video in error
    assert mapped[len(rows) - 3]["video_audio_error"] == [
        "<null>: there is no video, only a null in the list.",
        None,
    ]


def test_a_raised_error_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"nothing" * 100)
    dataset = Dataset.from_dict({"video": [str(tmp_path / "bad.mp4")]})
    with pytest.raises(MediaError, match=r"bad\.mp4"):
        dataset.map(build_tagger("demo"))


def test_a_window_of_many_channels_is_bounded(tmp_path: Path) -> None:
    """What decodes to much more than it takes on disk is decoded a block at a time."""
    path = tmp_path / "many.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(64)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(bytes(64 * 2 * 48_000 * 4))
    with open_sound(media_of_cell(path)[0], "auto", only_start=True) as sound:
        assert sound is not None
        assert max(len(block) for block in sound.blocks()) * 64 < 1.5 * (1 << 20)


def test_every_kind_is_read_by_the_guard(tmp_path: Path) -> None:
    for kind in KINDS.values():
        rate_hz, channels = (
            (48_000 if kind.codec in ("libopus", "ac3") else 44_100),
            6 if kind.codec == "ac3" else 2,
        )
        path = write_sound(
            tmp_path / f"{kind.name}.{kind.extension}",
            tones(0.3, rate_hz, channels),
            rate_hz=rate_hz,
            kind=kind,
        )
        assert build_tagger("demo", decoder="pyav").tag(path) in build_tagger("demo").labels
