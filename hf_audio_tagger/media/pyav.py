"""PyAV: FFmpeg in a wheel. It stops early, seeks to the sample, and streams in bounded memory."""

import re
import threading
from collections.abc import Iterator
from itertools import chain, groupby, islice
from typing import Any

import av.container
import av.error
import av.logging
import numpy as np
from av.stream import Discard

from ..errors import MediaError
from .container import one_line
from .failures import what_ran_out
from .sound import checked_rate, joined, no_sound, to_mono

SEEK_BACK_SECONDS = 0.5  # codecs need a run-up (opus 80 ms, mp3 its bit reservoir) to sound right
# Samples times channels joined at a time, 3 s of stereo. Larger blocks take new memory for each, and the
# system's handing it out cost more than the decoding.
BLOCK_VALUES = 1 << 18
UNSOUGHT_FORMATS = ("ogg",)  # after a seek, times in Ogg can be wrong by a page: it is walked through
CODEC = re.compile(r"Audio: (\w+)(?: \([^(/]*\))?(?: \((.+) / 0x\w+\))?")  # name, profile, tag
SAMPLE_TYPES = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}

_log_lock = threading.Lock()


class PyavSound:
    """An opened container's first audio stream. Damaged packets are passed over."""

    def __init__(self, container: av.container.InputContainer, name: str, channels: str) -> None:
        self.container, self.name, self.channels = container, name, channels
        self.stream = container.streams.audio[0]
        for other in container.streams:
            if other.index != self.stream.index:
                other.discard = Discard.all  # its packets are not even read where the container allows it
        frames = self.frames()  # from the beginning, without a seek: some containers have no index
        first = next(frames, None)
        if first is None:
            raise no_sound(name)
        # The frame knows the true rate; headers of HE-AAC tell half of it.
        self.rate_hz = checked_rate(first.sample_rate, name)
        self.zero_seconds: float = first.time or 0.0
        self.tick_seconds = float(self.stream.time_base or 1 / self.rate_hz)
        self.first_samples: int = first.samples
        # The frame that was read last, with the source sample that it begins at, and those behind it.
        self.cursor: tuple[int, Iterator[Any]] = 0, chain([first], frames)
        self.duration_seconds = self.duration()

    def duration(self) -> float | None:
        stream = self.stream
        if stream.duration:
            return stream.duration * self.tick_seconds
        if self.container.duration:
            return self.container.duration / av.time_base
        return None

    def frames(self) -> Iterator[Any]:
        """What can be decoded from the container's position on."""
        try:
            for packet in self.container.demux(self.stream):
                try:
                    yield from packet.decode()
                except av.error.FFmpegError as error:
                    if what_ran_out(error):
                        raise
        except av.error.InvalidDataError:
            return  # the container breaks off here; what came before it counts
        except Exception as error:  # FFmpeg's own, and whatever a remote file object raises
            raise MediaError(f"{self.name}: reading stopped ({one_line(error)}).") from error

    def placed_frames(self, start: int) -> Iterator[tuple[int, Any]]:
        """Frames with the source sample that each begins at, the first at or before `start`."""
        position, frames = self.cursor
        is_near = start - position <= SEEK_BACK_SECONDS * self.rate_hz
        if position > start or not (is_near or self.container.format.name in UNSOUGHT_FORMATS):
            position, frames = self.sought(start)
        for frame in frames:
            self.cursor = position, chain([frame], frames)
            yield position, frame
            position += frame.samples

    def sought(self, start: int) -> tuple[int, Iterator[Any]]:
        """Frames from a little before `start`, or from the beginning where the index leads astray."""
        aims = [
            -SEEK_BACK_SECONDS,
            0.0,
        ]  # some first packets lie before zero; some containers refuse to go there
        if self.container.format.name not in UNSOUGHT_FORMATS:
            aims.insert(0, start / self.rate_hz - SEEK_BACK_SECONDS)
        for aim_seconds in aims:
            try:
                pts = int((self.zero_seconds + aim_seconds) / self.tick_seconds)
                self.container.seek(pts, stream=self.stream)
            except Exception as error:
                if what_ran_out(error):
                    raise
                continue
            frames = self.frames()
            head = list(islice(frames, 2))
            position = self.position_of(head)
            if position is not None and position <= start:
                return position, chain(head, frames)
        raise MediaError(f"{self.name}: it cannot be sought in.")

    def position_of(self, head: list[Any]) -> int | None:
        """The source sample at which consecutive frames begin; None where the container does not tell.

        A clock that ticks slower than the samples (Matroska: milliseconds) leaves a doubt of some samples.
        Most codecs' frames are all as long as the second; then the one place on their grid is meant.
        """
        if not head or head[0].time is None or head[-1].time is None:
            return None
        last = head[-1]
        position = round((last.time - self.zero_seconds) * self.rate_hz)
        doubt = 2 * self.tick_seconds * self.rate_hz
        off_grid = (position - self.first_samples) % last.samples
        if off_grid > last.samples // 2:
            off_grid -= last.samples
        if doubt > 1 and abs(off_grid) <= doubt:
            position -= off_grid
        return position - sum(frame.samples for frame in head[:-1])

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        held: list[Any] = []
        held_start = held_values = 0
        for position, frame in self.placed_frames(start):
            end = position + frame.samples
            if end <= start:
                continue  # the run-up
            if frame.sample_rate != self.rate_hz:
                raise MediaError(
                    f"{self.name}: its sample rate changes from {self.rate_hz} to {frame.sample_rate} Hz."
                )
            if not held:
                held_start, held_values = position, 0
            held.append(frame)
            held_values += frame.samples * frame.layout.nb_channels
            is_last = stop is not None and end >= stop
            if is_last or held_values >= BLOCK_VALUES:
                yield self.cut(held, held_start, start, stop)
                held = []
            if is_last:
                return
        if held:
            yield self.cut(held, held_start, start, stop)

    def cut(self, frames: list[Any], position: int, start: int, stop: int | None) -> np.ndarray:
        """Consecutive frames, the first at `position`, as mono between `start` and `stop`."""
        mono = mono_of_frames(frames, self.channels)
        return mono[max(0, start - position) : None if stop is None else max(0, stop - position)]


def no_decoder(container: av.container.InputContainer, name: str) -> MediaError:
    """The error for a clip whose first audio stream no decoder reads."""
    streams = container.streams.audio
    others = f" Of its {len(streams)} audio streams, the first is heard." if len(streams) > 1 else ""
    codec = codec_name(container, streams[0].index)
    return MediaError(f"{name}: FFmpeg has no decoder for the codec of its sound ({codec}).{others}")


def codec_name(container: av.container.InputContainer, index: int) -> str:
    """A stream's codec as FFmpeg describes it. PyAV tells nothing of a codec without a decoder."""
    with _log_lock:
        level = av.logging.get_level()
        av.logging.set_level(av.logging.INFO)  # FFmpeg gives the description as a message of its log
        try:
            description = container.dumps_format()  # type: ignore[attr-defined]  # not in its stubs
        finally:
            av.logging.set_level(level)
    found = CODEC.search(description.partition(f"Stream #0:{index}")[2].partition("\n")[0])
    names = [] if found is None else [name for name in found.groups() if name and name != "none"]
    return ", ".join(dict.fromkeys(names)) or "unknown"


def mono_of_frames(frames: list[Any], channels: str) -> np.ndarray:
    """Frames joined, then mixed at once: an array operation for each frame would double a clip's cost."""
    parts = []
    for (format_name, count), alike in groupby(frames, lambda one: (one.format.name, one.layout.nb_channels)):
        dtype = np.dtype(SAMPLE_TYPES[format_name.removesuffix("p")])
        is_planar = format_name.endswith("p")
        values = 1 if is_planar else count  # of one moment in one plane
        wanted = 1 if channels == "first" else count
        planes: list[list[np.ndarray]] = [[] for _ in range(wanted if is_planar else 1)]
        for frame in alike:
            for plane, pieces in zip(frame.planes, planes, strict=False):
                pieces.append(np.frombuffer(plane, dtype, frame.samples * values))
        flat = np.concatenate([piece for pieces in planes for piece in pieces])
        samples = flat.reshape(len(planes), -1) if is_planar else flat.reshape(-1, count).T
        parts.append(to_mono(samples, channels))
    return joined(parts)
