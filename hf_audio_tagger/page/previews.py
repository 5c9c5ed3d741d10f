"""A clip as a small file that browsers play: its first seconds, re-encoded."""

import io
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import av.audio.resampler

from ..cells import BytesMedia, FileMedia
from ..errors import MediaError
from ..media.audio import opened_source
from ..media.container import open_container
from ..media.frames import open_pictures

LONGEST_SECONDS = 30.0  # of a clip in its preview
MOST_WORK_SECONDS = 30.0  # that one preview may take
MOST_SIDE = 320  # of its picture, in pixels
RATE_FPS = 12
SOUND_RATE_HZ, SOUND_BITS_PER_SECOND = 48_000, 64_000
CODECS = (  # the first one that this PyAV can write: of pictures, of sound, and the container
    ("libx264", "aac", "mp4"),
    ("libvpx", "libopus", "webm"),
)
OPTIONS = {
    "libx264": {"preset": "veryfast", "crf": "30", "profile": "main"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "crf": "34", "b": "300k"},
}


@dataclass(frozen=True)
class Preview:
    """A small file; of a clip without pictures, its sound alone."""

    data: bytes
    suffix: str  # "mp4", "webm"
    has_picture: bool
    seconds: float  # of the clip that it holds
    is_whole: bool


def make_preview(media: FileMedia | BytesMedia) -> Preview:
    """Encode a clip's first seconds, small."""
    picture_codec, sound_codec, container_format = pick_codecs()
    file = io.BytesIO()
    deadline = time.monotonic() + MOST_WORK_SECONDS
    with av.open(file, "w", format=container_format) as output:
        frames = Frames(media, deadline)
        pictures, sounds = frames.list_pictures(), frames.list_sounds()
        first_picture, first_sound = next(pictures, None), next(sounds, None)
        if first_picture is None and first_sound is None:
            raise MediaError(f"{media.name}: it has neither pictures nor sound.")
        video: Any = None
        if first_picture is not None:
            video = output.add_stream(picture_codec, rate=RATE_FPS, options=OPTIONS[picture_codec])
            video.width, video.height = first_picture.width, first_picture.height
            video.pix_fmt = "yuv420p"
            video.codec_context.thread_count = 1
        audio: Any = None
        if first_sound is not None:
            audio = output.add_stream(sound_codec, rate=SOUND_RATE_HZ, layout="mono")
            audio.bit_rate = SOUND_BITS_PER_SECOND
        if video is not None:
            for frame in chain_first(first_picture, pictures):
                output.mux(video.encode(frame))
        if audio is not None:
            for frame in chain_first(first_sound, sounds):
                output.mux(audio.encode(frame))
        for stream in filter(None, (video, audio)):
            output.mux(stream.encode(None))
    return Preview(file.getvalue(), container_format, video is not None, frames.seconds, not frames.is_cut)


def pick_codecs() -> tuple[str, str, str]:
    for codecs in CODECS:
        try:
            for name in codecs[:2]:
                av.Codec(name, "w")
        except ValueError:
            continue
        return codecs
    raise MediaError("PyAV has no encoder for previews: neither H.264 nor VP8.")


def chain_first(first: Any, others: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from others


class Frames:
    """The frames of a clip in a preview's size and rates."""

    def __init__(self, media: FileMedia | BytesMedia, deadline: float) -> None:
        self.media, self.deadline = media, deadline
        self.seconds, self.is_cut = 0.0, False

    def list_pictures(self) -> Iterator[Any]:
        """Pictures at an even rate; none where the clip has none."""
        try:
            with open_pictures(self.media, MOST_WORK_SECONDS) as pictures:
                shown = -1
                first: float | None = None
                for frame in pictures.frames():
                    at = 0.0 if frame.pts is None else float(frame.pts * frame.time_base)
                    first = at if first is None else first
                    place = int((at - first) * RATE_FPS)
                    if self.has_ended(at - first):
                        return
                    if place > shown:
                        shown = place
                        yield self.scale(frame, place)
        except MediaError:
            return

    def scale(self, frame: Any, place: int) -> Any:
        scale = min(1, MOST_SIDE / max(frame.width, frame.height))
        width, height = (max(2, round(side * scale / 2) * 2) for side in (frame.width, frame.height))
        small = frame.reformat(width, height, format="yuv420p")
        small.pts, small.time_base = place, Fraction(1, RATE_FPS)
        return small

    def list_sounds(self) -> Iterator[Any]:
        """Sound at the preview's rate; none where the clip has none."""
        resampler = av.audio.resampler.AudioResampler("fltp", "mono", SOUND_RATE_HZ)
        written = 0
        try:
            with (
                opened_source(self.media) as source,
                open_container(source, self.media.name) as container,
            ):
                if not container.streams.audio:
                    return
                for packet in container.demux(container.streams.audio[0]):
                    for frame in decode(packet):
                        for part in resampler.resample(frame):
                            if self.has_ended(written / SOUND_RATE_HZ):
                                return
                            part.pts, part.time_base = written, Fraction(1, SOUND_RATE_HZ)
                            written += part.samples
                            yield part
        except (MediaError, av.FFmpegError):
            return

    def has_ended(self, seconds: float) -> bool:
        """True where the preview holds enough, or took too long."""
        if seconds >= LONGEST_SECONDS or time.monotonic() > self.deadline:
            self.is_cut = True
            return True
        self.seconds = max(self.seconds, seconds)
        return False


def decode(packet: Any) -> list[Any]:
    """The frames of a packet; none of a damaged one."""
    try:
        return list(packet.decode())
    except av.FFmpegError:
        return []
