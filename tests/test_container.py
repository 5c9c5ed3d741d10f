"""The guard of the container: formats, protocols and decoders, each of which holds without the others."""

import io
import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import hostile_media
import pytest
from hostile_media import DECODERS, TEXTS, Handler, disguised, refusal, touched, untouched, wav
from sound_files import H264, KINDS, Kind, tones, write_sound

from hf_audio_tagger import build_tagger
from hf_audio_tagger.cells import FileMedia, parse_cell
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.demo.videos import write_video
from hf_audio_tagger.errors import MediaError
from hf_audio_tagger.media import container as guarded
from hf_audio_tagger.media.audio import open_sound, open_source

loaded_decoders, media_server, trap = (
    hostile_media.loaded_decoders,
    hostile_media.media_server,
    hostile_media.trap,
)
pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("loaded_decoders")]


def test_sound_that_contains_a_playlists_text_is_decoded() -> None:
    words = b"<MPD #EXTM3U <CompositionPlaylist ffconcat\nc=IN IP4 "
    with open_sound(parse_cell(wav(16_000, 1, words * 400))[0], "pyav") as sound:
        assert sound is not None
        assert sum(map(len, sound.blocks())) == len(words) * 200


def test_a_title_that_is_not_utf8_is_ignored() -> None:
    """Titles in Latin-1 are everywhere in old files."""
    sound = (synthesize("Siren", 1.0, 16_000, 0) * 2**15).clip(-(2**15), 2**15 - 1).astype("<i2").tobytes()
    title = b"LIST" + struct.pack("<I", 16) + b"INFOINAM" + struct.pack("<I", 4) + b"caf\xe9"
    data = wav(16_000, 1, sound) + title
    with av.open(io.BytesIO(data), metadata_errors="replace") as container:
        assert container.metadata["title"] == "caf\ufffd"
    assert build_tagger("demo", decoder="pyav").tag(data) == "Siren"


def test_no_video_decoder_sees_a_file(tmp_path: Path) -> None:
    """FFmpeg knows how pixels are stored only once a decoder has looked at them."""
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
def hostile(tmp_path: Path, media_server: str) -> Path:
    """A folder with what the hostile files name."""
    kind = Kind("ts", "aac", "fltp", False)
    write_sound(tmp_path / "secret.ts", tones(0.5, 44_100), rate_hz=44_100, kind=kind)
    (tmp_path / "beside.m3u8").write_text(HOSTILE["http"][1].replace("{url}", media_server))
    untouched(tmp_path / "beside.m3u8")
    (tmp_path / "beside.m3u8").read_bytes()
    if not touched(tmp_path / "beside.m3u8"):
        pytest.skip("this file system does not note when a file is read")
    return tmp_path


@pytest.mark.parametrize("wall", WALLS)
def test_each_wall_holds_alone(
    hostile: Path, media_server: str, wall: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any, all is followed: the test sees it. The protocols keep FFmpeg to this machine's files."""
    leave_standing(wall, monkeypatch)
    opened = set()
    for name, (file_name, text) in HOSTILE.items():
        Handler.served, Handler.asked = {}, []
        clip = hostile / file_name
        clip.write_text(text.replace("{url}", media_server))
        untouched(hostile / "secret.ts")
        with suppress(MediaError), open_sound(parse_cell(clip)[0], "pyav"):
            pass
        if Handler.asked or touched(hostile / "secret.ts"):
            opened.add(name)
    assert opened == WALLS[wall]


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
    if decoder is None:  # the trap works where FFmpeg may follow
        with av.open(str(clip), options={"enable_drefs": "1", "use_absolute_path": "1"}):
            assert touched(trap / "secret.mp4")
        return
    result = build_tagger("demo", decoder=decoder, on_error="record").classify(clip)[0]
    assert result.tag == "Dial tone" or "external.mp4" in str(result.error)
    assert not touched(trap / "secret.mp4")


def test_a_file_of_this_machine_is_opened_by_its_whole_path(
    trap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By FFmpeg itself: it goes through none of the layers that a URL needs."""
    monkeypatch.chdir(trap)
    path = f"{trap}/secret.mp4"
    for name in ("secret.mp4", path, f"file://{path}", f"local://{path}"):
        assert open_source(FileMedia(name)) == f"file:{path}"
