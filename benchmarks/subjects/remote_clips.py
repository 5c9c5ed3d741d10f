"""Clips whose pictures take most of the bytes, in each container, and a web server that counts."""

import http.server
import io
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np

PICTURES_A_SECOND = 4
RATE_HZ = 48_000
FRAGMENTED = "frag_keyframe+empty_moov+default_base_moof"
CONTAINERS = {  # format, options, codecs
    "mp4, index first": ("mp4", {"movflags": "faststart"}, "mpeg4", "aac"),
    "mp4, index last": ("mp4", {}, "mpeg4", "aac"),
    "mp4, fragments": ("mp4", {"movflags": f"{FRAGMENTED}+skip_trailer"}, "mpeg4", "aac"),
    "mp4, fragments, index last": ("mp4", {"movflags": FRAGMENTED}, "mpeg4", "aac"),
    "mp4, fragments, index first": ("mp4", {"movflags": f"{FRAGMENTED}+global_sidx"}, "mpeg4", "aac"),
    "mkv": ("matroska", {}, "mpeg4", "aac"),
    "webm": ("webm", {}, "libvpx", "libopus"),
}


def make_clip(container: str, seconds: int = 40, picture_bytes: int = 100_000) -> bytes:
    """A clip with noise. The pictures are random bytes: nothing decodes them here."""
    kind, options, picture_codec, sound_codec = CONTAINERS[container]
    random = np.random.default_rng(11)
    picture = random.bytes(picture_bytes)
    noise = random.normal(0, 0.1, (2, RATE_HZ)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip"  # a file: with "faststart", FFmpeg reads what it wrote
        with av.open(str(path), "w", format=kind, options=options) as output:
            pictures: Any = output.add_stream(picture_codec, rate=PICTURES_A_SECOND)
            pictures.width, pictures.height, pictures.pix_fmt = 320, 240, "yuv420p"
            sound: Any = output.add_stream(sound_codec, rate=RATE_HZ, layout="stereo")
            if sound_codec == "aac":
                sound.options = {"aac_coder": "fast"}
            output.start_encoding()
            for second in range(seconds):
                for index in range(PICTURES_A_SECOND):
                    packet = av.Packet(picture)
                    packet.stream = pictures
                    packet.pts = packet.dts = second * PICTURES_A_SECOND + index
                    packet.duration, packet.time_base = 1, pictures.codec_context.time_base
                    packet.is_keyframe = index == 0
                    output.mux(packet)
                frame = av.AudioFrame.from_ndarray(np.roll(noise, second, axis=1), "fltp", "stereo")
                frame.sample_rate, frame.pts = RATE_HZ, second * RATE_HZ
                output.mux(sound.encode(frame))
            output.mux(sound.encode(None))
        return path.read_bytes()


def find_span_bytes(data: bytes, start_seconds: float, stop_seconds: float) -> int:
    """How many bytes of a file lie between the first and the last packet of a part."""
    places = []
    with av.open(io.BytesIO(data), "r") as container:
        for packet in container.demux():
            if packet.pts is None or packet.pos is None:
                continue
            if start_seconds <= packet.pts * packet.time_base < stop_seconds:
                places += [packet.pos, packet.pos + packet.size]
    return max(places) - min(places)


class CountingServer(http.server.ThreadingHTTPServer):
    """Serves files by ranges, each request after a delay."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, delay_seconds: float) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.delay_seconds = delay_seconds
        self.requests = self.sent_bytes = 0
        self.lock = threading.Lock()

    def add(self, name: str, data: bytes) -> str:
        self.files[f"/{name}"] = data
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: CountingServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        data = self.server.files[self.path]
        first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
        part = data[first : last + 1]
        time.sleep(self.server.delay_seconds)
        with self.server.lock:
            self.server.requests += 1
            self.server.sent_bytes += len(part)
        self.send_response(206)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Content-Range", f"bytes {first}-{first + len(part) - 1}/{len(data)}")
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(delay_seconds: float = 0.0) -> Iterator[CountingServer]:
    with CountingServer(delay_seconds) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
