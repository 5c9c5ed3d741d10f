"""PyAV: FFmpeg in a wheel, with early stop, sample-exact seeking and bounded memory."""

import sys
from collections.abc import Iterator
from itertools import chain, groupby, islice
from typing import Any

import av.container
import av.error
import numpy as np
from av.stream import Discard

from ...errors import MediaError
from ..container import Source, find_audio_codec, is_remote_file
from ..failures import describe_error, find_exhausted_resource
from ..remote_spans import RemoteSpans
from ..sound import Sound, check_sample_rate, concatenate, no_sound, to_mono

SEEK_BACK_SECONDS = 0.5  # codecs need a run-up (opus 80 ms, mp3 its bit reservoir) to decode correctly
# Samples times channels in one block, 3 s of stereo. For larger blocks the allocator requests new memory each
# time, which costs more than decoding.
BLOCK_VALUES = 1 << 18
FORMATS_WITHOUT_SEEK = ("ogg",)  # Ogg timestamps after a seek can be off by a page
SAMPLE_TYPES = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}


def import_library() -> None:
    """PyAV is always installed: it also opens the containers."""


def open_sound(container: av.container.InputContainer, source: Source, name: str, channels: str) -> Sound:
    find_audio_codec(container, name)
    remote = RemoteSpans(container, source) if is_remote_file(source) else None
    return PyavSound(container, name, channels, remote)


class PyavSound:
    """An opened container's first audio stream. Damaged packets are skipped."""

    def __init__(
        self,
        container: av.container.InputContainer,
        name: str,
        channels: str,
        remote: RemoteSpans | None = None,
    ) -> None:
        self.container, self.name, self.channels, self.remote = container, name, channels, remote
        self.stream = container.streams.audio[0]
        for other in container.streams:
            if other.index != self.stream.index:
                other.discard = Discard.all  # the demuxer may skip their packets
        frames = self.decode_frames()  # from the beginning, without a seek: some containers have no index
        first = next(frames, None)
        if first is None:
            raise no_sound(name)
        # The frame has the true rate; headers of HE-AAC state half of it.
        self.rate_hz = check_sample_rate(first.sample_rate, name)
        self.zero_seconds: float = first.time or 0.0
        self.tick_seconds = float(self.stream.time_base or 1 / self.rate_hz)
        self.first_samples: int = first.samples
        # The start of the latest frame, in source samples; an iterator of that frame and the following ones.
        self.cursor: tuple[int, Iterator[Any]] = 0, chain([first], frames)
        duration = container.duration
        self.duration_seconds: float | None = duration / av.time_base if duration else None
        if self.stream.duration:
            self.duration_seconds = self.stream.duration * self.tick_seconds
        if remote is not None:
            self.duration_seconds, has_moved = remote.find_duration(self.duration_seconds)
            if has_moved:
                self.cursor = sys.maxsize, iter(())  # the next read seeks

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        held: list[Any] = []
        held_start = held_values = 0
        if self.remote is not None:
            self.remote.expect(start / self.rate_hz, None if stop is None else stop / self.rate_hz)
        for position, frame in self.read_frames(start):
            end = position + frame.samples
            if end <= start:
                continue  # the run-up
            if frame.sample_rate != self.rate_hz:
                change = f"from {self.rate_hz} to {frame.sample_rate} Hz"
                raise MediaError(f"{self.name}: its sample rate changes {change}.")
            if not held:
                held_start, held_values = position, 0
            held.append(frame)
            held_values += frame.samples * frame.layout.nb_channels
            if stop is not None and end >= stop:
                break
            if held_values >= BLOCK_VALUES:
                yield self.cut(held, held_start, start, stop)
                held = []
        if held:
            yield self.cut(held, held_start, start, stop)

    def cut(self, frames: list[Any], position: int, start: int, stop: int | None) -> np.ndarray:
        """Consecutive frames, the first at `position`, as mono between `start` and `stop`."""
        mono = mix_frames(frames, self.channels)
        return mono[max(0, start - position) : None if stop is None else max(0, stop - position)]

    def read_frames(self, start: int) -> Iterator[tuple[int, Any]]:
        """Frames with the source sample at which each begins, the first at or before `start`."""
        position, frames = self.cursor
        is_near = start - position <= SEEK_BACK_SECONDS * self.rate_hz
        if position > start or not (is_near or self.container.format.name in FORMATS_WITHOUT_SEEK):
            position, frames = self.seek(start)
        for frame in frames:
            self.cursor = position, chain([frame], frames)
            yield position, frame
            position += frame.samples

    def decode_frames(self, packets: Iterator[Any] | None = None) -> Iterator[Any]:
        """The frames of these packets, by default of all from the container's position on."""
        try:
            for packet in self.container.demux(self.stream) if packets is None else packets:
                try:
                    yield from packet.decode()
                except av.error.FFmpegError as error:
                    if find_exhausted_resource(error):
                        raise
        except av.error.InvalidDataError:
            return  # the container is truncated here; earlier frames are kept
        except Exception as error:  # FFmpeg's own, and whatever a remote file object raises
            raise MediaError(f"{self.name}: reading stopped ({describe_error(error)}).") from error

    def seek(self, start: int) -> tuple[int, Iterator[Any]]:
        """Frames from shortly before `start`, or from the beginning if the index is wrong."""
        # Some streams begin before zero, and some containers refuse to seek there.
        aims_seconds = [-SEEK_BACK_SECONDS, 0.0]
        if self.container.format.name not in FORMATS_WITHOUT_SEEK:
            aims_seconds.insert(0, start / self.rate_hz - SEEK_BACK_SECONDS)
        for aim_seconds in aims_seconds:
            try:
                pts = int((self.zero_seconds + aim_seconds) / self.tick_seconds)
                if self.remote is None:
                    self.container.seek(pts, stream=self.stream)
                packets = None if self.remote is None else self.remote.seek(pts)
            except Exception as error:
                if find_exhausted_resource(error):
                    raise
                continue
            frames = self.decode_frames(packets)
            head = list(islice(frames, 2))
            position = self.find_position(head)
            if position is not None and position <= start:
                return position, chain(head, frames)
        raise MediaError(f"{self.name}: seeking in it failed.")

    def find_position(self, head: list[Any]) -> int | None:
        """The source sample at which consecutive frames begin; None where the container does not state it.

        Coarse timestamps (Matroska: milliseconds) are off by some samples. Most codecs have frames of one
        length, that of the second frame; then the position is rounded to a multiple of it.
        """
        if not head or head[0].time is None or head[-1].time is None:
            return None
        *before, last = head
        position = round((last.time - self.zero_seconds) * self.rate_hz)
        tolerance = 2 * self.tick_seconds * self.rate_hz
        offset = (position - self.first_samples) % last.samples
        if offset > last.samples // 2:
            offset -= last.samples
        if tolerance > 1 and abs(offset) <= tolerance:
            position -= offset
        return position - sum(frame.samples for frame in before)


def mix_frames(frames: list[Any], channels: str) -> np.ndarray:
    """Concatenate the frames, then mix them: an array operation per frame would double the cost."""
    parts = []
    for (format_name, count), group in groupby(frames, lambda one: (one.format.name, one.layout.nb_channels)):
        dtype = np.dtype(SAMPLE_TYPES[format_name.removesuffix("p")])
        is_planar = format_name.endswith("p")
        values = 1 if is_planar else count  # interleaved channels
        used_channels = 1 if channels == "first" else count
        planes: list[list[np.ndarray]] = [[] for _ in range(used_channels if is_planar else 1)]
        for frame in group:
            for plane, pieces in zip(frame.planes, planes, strict=False):
                pieces.append(np.frombuffer(plane, dtype, frame.samples * values))
        flat = np.concatenate([piece for pieces in planes for piece in pieces])
        samples = flat.reshape(len(planes), -1) if is_planar else flat.reshape(-1, count).T
        parts.append(to_mono(samples, channels))
    return concatenate(parts)
