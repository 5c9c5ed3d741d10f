"""Clips whose pictures take most of the bytes, in each container; a server that counts what it is asked."""

import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np
from remote_site import Handler, Route, ranges

from hf_audio_tagger.cells import BytesMedia, Media
from hf_audio_tagger.pipeline import PipelineOptions, decode_ahead

RATE_HZ = 16_000
WINDOW_SECONDS = 10.24
PICTURES_A_SECOND = 4
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


def make_clip(container: str, folder: Any, seconds: int = 40, picture_bytes: int = 100_000) -> bytes:
    """A clip with noise. The pictures are random bytes: nothing here decodes them."""
    kind, options, picture_codec, sound_codec = CONTAINERS[container]
    random = np.random.default_rng(11)
    picture = random.bytes(picture_bytes)
    rate_hz = 48_000
    noise = random.normal(0, 0.1, (2, rate_hz)).astype(np.float32)
    path = folder / "clip"  # a file: faststart reads what it wrote
    with av.open(str(path), "w", format=kind, options=options) as output:
        pictures = output.add_stream(picture_codec, rate=PICTURES_A_SECOND)
        pictures.width, pictures.height, pictures.pix_fmt = 320, 240, "yuv420p"
        sound = output.add_stream(sound_codec, rate=rate_hz, layout="stereo")
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
            frame.sample_rate, frame.pts = rate_hz, second * rate_hz
            output.mux(sound.encode(frame))
        output.mux(sound.encode(None))
    return path.read_bytes()


def find_span_bytes(data: bytes, start_seconds: float, stop_seconds: float) -> int:
    """How many bytes of a file lie between the first and the last packet of a part."""
    places = []
    with av.open(io.BytesIO(data)) as container:
        for packet in container.demux():
            if packet.pts is None or packet.pos is None:
                continue
            if start_seconds <= packet.pts * packet.time_base < stop_seconds:
                places += [packet.pos, packet.pos + packet.size]
    return max(places) - min(places)


@dataclass
class Counts:
    """What a server was asked."""

    requests: int = 0
    sent_bytes: int = 0
    tokens: list[str | None] = field(default_factory=list)
    lock: Any = field(default_factory=threading.Lock)

    def counted(self, route: Route, delay_seconds: float = 0.0) -> Route:
        def count(handler: Handler) -> None:
            write = handler.wfile.write

            def count_bytes(data: bytes) -> int:
                with self.lock:
                    self.sent_bytes += len(data)
                return int(write(data))

            with self.lock:
                self.requests += 1
                self.tokens.append(handler.headers.get("Authorization"))
            time.sleep(delay_seconds)
            handler.wfile.write = count_bytes  # type: ignore[method-assign]
            try:
                route(handler)
            finally:
                handler.wfile.write = write  # type: ignore[method-assign]

        return count

    def file(self, data: bytes, delay_seconds: float = 0.0) -> Route:
        return self.counted(ranges(data), delay_seconds)


@dataclass(frozen=True)
class NoModel:
    """What the pipeline asks of a model before there are windows."""

    rate_hz: int = RATE_HZ
    window_samples: int = round(WINDOW_SECONDS * RATE_HZ)
    hop_samples: int = round(WINDOW_SECONDS * RATE_HZ)
    frame_samples: int = 400


def cut(media: list[Media], windows: str | int = "first", **settings: Any) -> list[Any]:
    """The windows of each clip, or its error."""
    model: Any = NoModel()
    options = PipelineOptions(windows, model.window_samples, "mean", "pyav", 16, 2, **settings)
    clips: list[Any] = [[] for _ in media]
    for chunk in decode_ahead(media, model, options):
        clips[chunk.clip] += [(window.start_sample, window.samples) for window in chunk.windows]
        if chunk.end is not None and chunk.end.error is not None:
            clips[chunk.clip] = str(chunk.end.error)
    return clips


def assert_as_local(remote: Any, data: bytes, windows: str | int) -> None:
    """The same windows, to the bit, as of the file's bytes in memory."""
    (local,) = cut([BytesMedia(data)], windows)
    assert not isinstance(remote, str), remote
    assert [start for start, _ in remote] == [start for start, _ in local]
    for (_, own), (_, other) in zip(remote, local, strict=True):
        np.testing.assert_array_equal(own, other)


@contextmanager
def no_threads_left(name: str) -> Iterator[None]:
    """All threads of this name that the block starts end with it."""
    before = set(threading.enumerate())
    yield
    left = [one.name for one in threading.enumerate() if one not in before and name in one.name]
    assert not left
