"""What a video's header states: its duration and its size. Nothing is decoded."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import av
import pyarrow as pa

from ..cells import BytesMedia, FileMedia, Media
from ..checks import invalid, is_whole_number
from ..errors import MediaError
from ..media.audio import opened_source
from ..media.container import open_container
from .base import Measure

MICROSECOND_DECIMALS = 6  # as ffprobe prints durations


@dataclass(frozen=True, kw_only=True)
class VideoDuration(Measure):
    """What `video_duration` returns."""

    name: ClassVar[str] = "video_duration"
    value_type: ClassVar[pa.DataType] = pa.float64()

    decimals: int | None = MICROSECOND_DECIMALS

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.decimals is not None and not (is_whole_number(self.decimals) and 0 <= self.decimals <= 15):
            raise invalid("decimals", self.decimals, "None or a whole number from 0 to 15")

    def measure(self, media: Media) -> float:
        with open_video(media) as stream:
            seconds = read_seconds(stream, media.name)
        return float(seconds) if self.decimals is None else float(f"{float(seconds):.{self.decimals}f}")


@dataclass(frozen=True, kw_only=True)
class VideoResolution(Measure):
    """What `video_resolution` returns."""

    name: ClassVar[str] = "video_resolution"
    value_type: ClassVar[pa.DataType] = pa.struct([("width", pa.int64()), ("height", pa.int64())])

    def measure(self, media: Media) -> dict[str, int]:
        with open_video(media) as stream:
            return dict(zip(("width", "height"), read_size(stream, media.name), strict=True))


@dataclass(frozen=True, kw_only=True)
class VideoAspectRatio(Measure):
    """What `video_aspect_ratio` returns."""

    name: ClassVar[str] = "video_aspect_ratios"
    value_type: ClassVar[pa.DataType] = pa.float64()

    def measure(self, media: Media) -> float:
        with open_video(media) as stream:
            width, height = read_size(stream, media.name)
        return width / height


def video_duration(*, decimals: int | None = MICROSECOND_DECIMALS, **settings: Any) -> VideoDuration:
    """For `map`: adds `video_duration`, the seconds of each video's picture, as its header states them.

    It is the first video stream's duration, or the file's where the stream has none (mkv, webm). The
    number is rounded to `decimals`, as ffprobe prints it; None for all. `settings` are those of every
    measure: `column`, `output_column`, `on_error`, `batched`.

    >>> video_duration(column="clip", on_error="record").name
    'video_duration'
    >>> ds.map(video_duration(), num_proc=4)["video_duration"][0]  # doctest: +SKIP
    [11.72]
    """
    return VideoDuration(decimals=decimals, **settings)


def video_resolution(**settings: Any) -> VideoResolution:
    """For `map`: adds `video_resolution`, {"width", "height"} of each video in pixels, before any rotation.

    `settings` are those of every measure: `column`, `output_column`, `on_error`, `batched`.

    >>> ds.map(video_resolution())["video_resolution"][0]  # doctest: +SKIP
    [{'width': 640, 'height': 360}]
    """
    return VideoResolution(**settings)


def video_aspect_ratio(**settings: Any) -> VideoAspectRatio:
    """For `map`: adds `video_aspect_ratios`, the width of each video over its height, before any rotation.

    `settings` are those of every measure: `column`, `output_column`, `on_error`, `batched`.

    >>> video_aspect_ratio().compute("clip.mp4")  # doctest: +SKIP
    1.7777777777777777
    """
    return VideoAspectRatio(**settings)


@contextmanager
def open_video(media: Media) -> Iterator[Any]:
    """The first video stream of a file that is opened safely."""
    if not isinstance(media, FileMedia | BytesMedia):
        raise MediaError(f"{media.name}: it is decoded sound, without a picture.")
    with opened_source(media) as source, open_container(source, media.name, "video") as container:
        if not container.streams.video:
            raise MediaError(f"{media.name}: it has no video stream.")
        yield container.streams.video[0]


def read_seconds(stream: Any, name: str) -> Fraction:
    if stream.duration is not None and stream.time_base is not None:
        return Fraction(stream.duration * stream.time_base)
    if stream.container.duration is None:
        raise MediaError(f"{name}: its container states no duration.")
    return Fraction(stream.container.duration, av.time_base)


def read_size(stream: Any, name: str) -> tuple[int, int]:
    codec = stream.codec_context
    if codec is None:
        raise MediaError(f"{name}: FFmpeg has no decoder for its picture.")
    if codec.width < 1 or codec.height < 1:
        raise MediaError(f"{name}: its header states no size of the picture.")
    return codec.width, codec.height
