"""Where the packets of a part of a remote clip are, told to its file before they are read.

An mp4 states it to the byte. Elsewhere it is estimated from the length and the size, or from what is known of
the first fragment.
"""

from collections.abc import Iterator
from typing import Any

import av
import av.container

BEFORE_SECONDS = 0.6  # read before a part: the codec's run-up
AFTER_SECONDS = 0.3  # and after it: frames end later than their packets begin, the resampler needs a margin
BUFFER_BYTES = 64 << 10  # of FFmpeg's input and more, which it fills even if it needs less
END_PTS = 1 << 40  # behind every fragment


class RemoteSpans:
    """A container of which parts are read, and the remote file behind it."""

    def __init__(self, container: av.container.InputContainer, source: Any) -> None:
        self.container, self.source = container, source
        self.stream = container.streams.audio[0]
        self.tick_seconds = float(self.stream.time_base or 0)
        # As `open_container` found it. Without a complete index, FFmpeg takes the first fragment's length.
        self.is_index_ignored = "fflags" in container.options
        self.has_fragment_table = "use_mfra_for" in container.options
        self.duration_seconds: float | None = None
        self.has_whole_index = False

    def find_duration(self, stated_seconds: float | None) -> tuple[float | None, bool]:
        """The sound's length, and whether it had to be read at the end of the file."""
        if self.is_index_ignored:
            stated_seconds = None
        elif self.has_fragment_table:
            stated_seconds = self.read_end()
        elif stated_seconds and (entries := self.stream.index_entries):
            # Looked at once: in other containers, entries are added as packets are read.
            reach_ticks = entries[-1].timestamp - entries[0].timestamp
            self.has_whole_index = reach_ticks * self.tick_seconds + 1 > stated_seconds
        self.duration_seconds = stated_seconds
        return stated_seconds, self.has_fragment_table

    def read_end(self) -> float | None:
        """The end of the last packet."""
        self.container.seek(END_PTS, stream=self.stream)
        ends = [
            packet.dts + (packet.duration or 0)
            for packet in self.container.demux(self.stream)
            if packet.dts is not None
        ]
        return max(ends) * self.tick_seconds if ends else None

    def expect(self, start_seconds: float, stop_seconds: float | None) -> None:
        """Tell the file what will be read of a part, from the stream's own zero; None: up to the end."""
        size = self.source.length()
        if stop_seconds is None:
            self.source.expect_bytes(size)
            return
        start, stop = max(0.0, start_seconds - BEFORE_SECONDS), stop_seconds + AFTER_SECONDS
        span = self.find_span(start, stop)
        if span is not None:
            self.source.expect_span(span.start, min(size, span.stop))
        else:
            self.source.expect_bytes(min(size, self.estimate_bytes(stop - start, size)))

    def find_span(self, start_seconds: float, stop_seconds: float) -> range | None:
        """The bytes of a part, if the container's index has all packets."""
        if not self.has_whole_index:
            return None
        entries = self.stream.index_entries
        zero = entries[0].timestamp
        first = entries.search_timestamp(zero + int(start_seconds / self.tick_seconds))
        last = entries.search_timestamp(zero + int(stop_seconds / self.tick_seconds), backward=False)
        begin, end = entries[max(0, first)], entries[last if last >= 0 else -1]
        stop = end.pos + end.size + BUFFER_BYTES
        return range(begin.pos, stop) if begin.pos <= end.pos else None

    def estimate_bytes(self, seconds: float, size: int) -> int:
        """About how many bytes a part of this length has; 0 where nothing says so."""
        if self.duration_seconds:
            return int(size * seconds / self.duration_seconds)
        read, known_seconds = 0, 0.0
        for stream in self.container.streams:
            entries = stream.index_entries
            if len(entries) > 1 and stream.time_base:
                read = max(read, entries[-1].pos + entries[-1].size)
                span = (entries[-1].timestamp - entries[0].timestamp) * float(stream.time_base)
                known_seconds = max(known_seconds, span)
        return int(read * seconds / known_seconds) if known_seconds > 0 else 0

    def seek(self, pts: int) -> Iterator[Any]:
        """Packets of the sound from the last one at `pts` or before.

        Matroska's index has the pictures alone. By the sound, FFmpeg would read all that is before.
        """
        pictures = self.container.streams.video
        if "matroska" not in self.container.format.name or not pictures or not pictures[0].time_base:
            self.container.seek(pts, stream=self.stream)
            return self.container.demux(self.stream)
        self.container.seek(int(pts * self.tick_seconds / float(pictures[0].time_base)), stream=pictures[0])
        return skip_packets(self.container.demux(self.stream), pts)


def skip_packets(packets: Iterator[Any], pts: int) -> Iterator[Any]:
    """The packets from the last one at `pts` or before."""
    held: list[Any] = []
    for packet in packets:
        if packet.pts is None or packet.pts > pts:
            yield from held
            yield packet
            break
        held = [packet]
    else:
        yield from held
    yield from packets
