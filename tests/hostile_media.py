"""Files that point elsewhere, a server that records what is asked of it, and the bounds of a refusal."""

import http.server
import os
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hf_audio_tagger import build_tagger
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.demo.videos import write_video
from hf_audio_tagger.errors import MediaError
from hf_audio_tagger.media.decoders import unavailable_reason

DECODERS = [
    pytest.param(name, marks=pytest.mark.skipif(bool(unavailable_reason(name)), reason=name))
    for name in ("auto", "pyav", "torchcodec", "decord")
]
A_MOMENT_SECONDS = 1.0  # with room for a busy machine below: what hangs, hangs for ten


def refusal(cell: Any, decoder: str = "auto", **settings: Any) -> str:
    """The error that a cell gets; the test fails where it gets none, or late."""
    tagger = build_tagger("demo", decoder=decoder, **settings)
    started = time.thread_time(), time.monotonic()
    with pytest.raises(MediaError) as caught:
        tagger.tag(cell)
    assert time.thread_time() - started[0] < A_MOMENT_SECONDS
    assert time.monotonic() - started[1] < 5 * A_MOMENT_SECONDS
    return str(caught.value)


@pytest.fixture(scope="module")
def loaded_decoders(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Models and decoders are loaded before anything is timed."""
    path = tmp_path_factory.mktemp("loaded_decoders") / "warm.mp4"
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
def media_server() -> Iterator[str]:
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


def wav(
    rate_hz: int, channels: int, data: bytes, claimed: int | None = None, bits: int = 16, tag: int = 1
) -> bytes:
    """A WAV whose header may claim anything."""
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
