"""`Media` → pictures: the frames of a guarded container's first video stream, within limits of size and time.

FFmpeg allocates a frame as large as a header says: a file of kilobytes may declare gigabytes, or thousands
of large frames without content. So the size of a frame is limited before its decoder is opened, and the time
that one video may take is limited as a whole.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import av.container
import av.error
import numpy as np
from av.stream import Discard
from av.video.stream import VideoStream

from ..cells import BytesMedia, FileMedia, Media, UnreadableMedia
from ..errors import MediaError
from .audio import opened_source
from .container import MOST_PIXELS, Source, open_container, rewind
from .failures import describe_error, find_exhausted_resource

LONGEST_SECONDS = 3600.0  # for all that is read of one video
MOST_SIDE = 1 << 15  # of a frame, in pixels: OpenCV's own limit for what it remaps
VP8_IS_SHOWN = 0x10  # in a packet's first byte: frames that others refer to may be hidden


class Pictures:
    """An opened clip's first video stream. Damaged packets are skipped."""

    def __init__(self, source: Source, name: str, longest_seconds: float) -> None:
        self.source, self.name = source, name
        self.longest_seconds, self.began = longest_seconds, time.monotonic()
        self.open()
        self.rate = float(self.stream.average_rate or self.stream.guessed_rate or 0)
        self.start: int = self.stream.start_time or 0  # in ticks
        self.tick_seconds = float(self.stream.time_base or 0)

    def open(self) -> None:
        self.container = open_container(rewind(self.source), self.name, "video")
        try:
            self.stream = find_video_stream(self.container, self.name)
        except MediaError:
            self.container.close()
            raise
        for other in self.container.streams:
            if other.index != self.stream.index:
                other.discard = Discard.all  # the demuxer may skip their packets
        context = self.stream.codec_context
        context.options = {"max_pixels": str(MOST_PIXELS)}  # of every frame: a stream may change its size
        self.is_at_beginning = True

    @property
    def frame_count(self) -> int:
        """How many frames the container states, or else what its duration and rate say; 0: unknown."""
        seconds = (self.container.duration or 0) / av.time_base
        return self.stream.frames or int(seconds * self.rate + 0.5)

    def read_packets(self) -> "Packets":
        """The times of all packets, from the beginning. Nothing is decoded."""
        self.rewind()
        is_vp8 = self.stream.codec_context.name == "vp8"
        stamps: list[tuple[int, int, bool]] = []
        for packet in self.demux():
            dts = packet.pts if packet.dts is None else packet.dts
            if dts is None or not packet.size or (is_vp8 and not bytes(packet)[0] & VP8_IS_SHOWN):
                continue
            stamps.append((dts, dts if packet.pts is None else packet.pts, packet.is_keyframe))
        return Packets(np.array(stamps, np.int64).reshape(-1, 3))

    def frames(self) -> Iterator[Any]:
        """The frames from the container's position on, in the order of presentation.

        An error where none can be decoded from the beginning on.
        """
        size: tuple[int, int] | None = None
        is_whole, reason = self.is_at_beginning, "it has none"
        for packet in self.demux():
            try:
                decoded = packet.decode()
            except av.error.FFmpegError as error:
                if find_exhausted_resource(error):
                    raise
                reason = describe_error(error)
                continue
            for frame in decoded:
                if size not in (None, (frame.width, frame.height)):
                    raise MediaError(f"{self.name}: its frames change their size.")
                size = check_size(frame.width, frame.height, self.name)
                yield frame
        if is_whole and size is None:
            limit = f"more than {MOST_PIXELS:,} pixels are too many"
            raise MediaError(f"{self.name}: no frame of it can be decoded ({reason}; {limit}).")

    def frames_at(self, places: Iterable[int]) -> Iterator[Any]:
        """The frames with these numbers, counted from 0, in this order. Ends where the stream does.

        Rising numbers are decoded in one pass; a smaller one than before begins another.
        """
        self.rewind()
        position, frames, frame = -1, self.frames(), None
        for place in places:
            self.check_time()
            if place < position:
                self.rewind()
                position, frames = -1, self.frames()
            while position < place:
                frame = next(frames, None)
                if frame is None:
                    return
                position += 1
            yield frame

    def rewind(self) -> None:
        """Go back to the beginning of the stream."""
        self.seek(None)

    def seek(self, pts: int | None) -> None:
        """Go to the last key frame at a time or before; to the beginning with None, or without an index."""
        if pts is None and self.is_at_beginning:
            return
        try:
            self.container.seek(min(0, self.start) if pts is None else pts, stream=self.stream)
            self.is_at_beginning = False
        except av.error.FFmpegError as error:  # a bare stream without a container has no index
            if find_exhausted_resource(error):
                raise
            self.container.close()
            self.open()

    def demux(self) -> Iterator[Any]:
        """The packets from the container's position on."""
        self.is_at_beginning = False
        try:
            for packet in self.container.demux(self.stream):
                self.check_time()
                yield packet
        except av.error.InvalidDataError:
            return  # the container is truncated here; earlier frames are kept
        except MediaError:
            raise
        except Exception as error:  # FFmpeg's own, and whatever a remote file object raises
            if find_exhausted_resource(error):
                raise
            raise MediaError(f"{self.name}: reading stopped ({describe_error(error)}).") from error

    def check_time(self) -> None:
        """Raise an error where the time for this video is over."""
        if time.monotonic() - self.began > self.longest_seconds:
            raise MediaError(
                f"{self.name}: its pictures take longer than {self.longest_seconds:g} s, "
                "the limit for one video."
            )


class Packets:
    """The times of a stream's packets, in ticks."""

    def __init__(self, stamps: np.ndarray) -> None:
        self.dts: np.ndarray = np.sort(stamps[:, 0])
        self.pts: np.ndarray = np.sort(stamps[:, 1])  # in the order of presentation
        keys = stamps[stamps[:, 2] == 1]
        keys = keys[np.argsort(keys[:, 0], kind="stable")]
        self.key_dts, self.key_pts = keys[:, 0], keys[:, 1]

    def __len__(self) -> int:
        return len(self.pts)

    def find_place(self, pts: int) -> int:
        """The number of a frame, counted from 0 in the order of presentation."""
        return int(np.searchsorted(self.pts, pts, "left"))


@contextmanager
def open_pictures(media: Media, longest_seconds: float = LONGEST_SECONDS) -> Iterator[Pictures]:
    """Open the first video stream of a clip; a `MediaError` where it has none.

    >>> with open_pictures(FileMedia("a.mp4")) as pictures:  # doctest: +SKIP
    ...     first = next(pictures.frames()).to_ndarray(format="rgb24")
    """
    if isinstance(media, UnreadableMedia):
        raise media.error(f"{media.name}: {media.reason}")
    if not isinstance(media, FileMedia | BytesMedia):
        raise MediaError(f"{media.name}: it is sound without a file, and has no pictures.")
    with opened_source(media) as source:
        pictures = Pictures(source, media.name, longest_seconds)
        try:
            yield pictures
        finally:
            pictures.container.close()


def find_video_stream(container: av.container.InputContainer, name: str) -> VideoStream:
    """The first video stream, if FFmpeg decodes its codec and its frames have a size within the limits."""
    if not container.streams.video:
        raise MediaError(f"{name}: it has no video stream.")
    stream: VideoStream = container.streams.video[0]
    if stream.codec_context is None:
        raise MediaError(f"{name}: FFmpeg has no decoder for the codec of its pictures.")
    check_size(stream.codec_context.width, stream.codec_context.height, name)
    return stream


def check_size(width: int, height: int, name: str) -> tuple[int, int]:
    """The size of a frame. A size of 0 is not known before the first frame is decoded."""
    if width * height > MOST_PIXELS or max(width, height) >= MOST_SIDE:
        raise MediaError(
            f"{name}: its frames of {width}x{height} are too large; "
            f"{MOST_PIXELS:,} pixels and {MOST_SIDE - 1:,} to a side are the most."
        )
    return width, height
