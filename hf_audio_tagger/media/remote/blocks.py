"""A remote file in memory, a few blocks at a time: each is one request, and none is requested twice in a row.

A request costs a round trip, so few large ones are best; but nobody needs what follows a window. So a block
is as long as what is known to be read (an index, a window whose place the container states). Where only an
estimate is known, most of it is requested first, then half as much as has been read in one go: what is
requested in excess is at most half of what is read, where the estimate is not twice too high.
"""

from typing import Any, Protocol

from ...errors import MediaError
from ..mp4_boxes import find_index_span
from .seekable import Reading, SeekableFile
from .web import NoRangesError

FIRST_BLOCK_BYTES = 64 << 10  # at each new place: headers are shorter
DOUBLED_BLOCK_BYTES = 256 << 10  # up to here the next block is as long as all before it in one go, then half
LARGEST_BLOCK_BYTES = 4 << 20
MOST_HELD_BYTES = 2 * LARGEST_BLOCK_BYTES  # of one file


class Ranges(Protocol):
    """A remote file whose parts can be fetched."""

    size: int | None  # None: not known yet

    def fetch(self, start: int, stop: int) -> bytes:
        """The bytes from `start` up to `stop` or the end of the file, in one request."""

    def open_stream(self) -> Any:
        """The whole file, front to back, for servers without ranges."""


class BlockFile(SeekableFile):
    """A seekable file of ranges. The blocks used last are kept.

    Where a server turns out to know no ranges, the file is read front to back instead.
    """

    whole: SeekableFile | None = None

    def __init__(self, ranges: Ranges, reading: Reading) -> None:
        self.ranges, self.reading = ranges, reading
        self.blocks: list[tuple[int, bytes]] = []  # start and bytes, the one used last at the end
        self.expected = range(0)  # of bytes that will be read
        self.estimated_bytes = 0  # that will be read in one go
        self.run_bytes = 0  # that were read in one go
        self.run_stop = 0  # where these end

    def expect_span(self, start: int, stop: int) -> None:
        self.expected = range(start, stop)

    def expect_bytes(self, count: int) -> None:
        self.estimated_bytes = count
        self.run_bytes = min(self.run_bytes, FIRST_BLOCK_BYTES)  # what was read before says nothing of it

    def find_held(self, position: int, size: int) -> bytes | None:
        for place, (start, data) in enumerate(self.blocks):
            if start <= position < start + len(data):
                self.blocks.append(self.blocks.pop(place))
                return data[position - start : position - start + size]
        return None

    def read_at(self, position: int, size: int) -> bytes:
        parts: list[bytes] = []
        while size > 0 and self.whole is None:
            part = self.find_held(position, size) or self.fetch(position, size)
            if not part:
                break  # the end of the file
            parts.append(part)
            position, size = position + len(part), size - len(part)
        if size > 0 and self.whole is not None:
            parts.append(self.whole.read_at(position, size))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def length(self) -> int:
        if self.ranges.size is None and self.whole is None:
            self.fetch(0, 1)
        if self.ranges.size is None and self.whole is None:
            self.read_whole()
        size = self.ranges.size if self.whole is None else self.whole.length()
        assert size is not None
        return size

    def read_whole(self) -> None:
        self.whole = self.reading.spool(stream := self.ranges.open_stream(), getattr(stream, "size", None))

    def fetch(self, position: int, size: int) -> bytes | None:
        """Fetch the block that begins at a position; returns at most `size` bytes of it."""
        try:
            self.fetch_block(position, size)
        except NoRangesError:
            self.read_whole()
            return None
        return self.find_held(position, size)

    def fetch_block(self, position: int, size: int) -> None:
        file_size = self.ranges.size
        if file_size is not None and position >= file_size:
            return
        stop = position + self.choose_length(position, size)
        stop = min([stop, *(start for start, _ in self.blocks if start > position)])
        data = self.ranges.fetch(position, stop)
        if not data and file_size is not None:
            raise MediaError(f"the server sent nothing of bytes {position:,} to {stop:,}")
        self.run_bytes = len(data) + (self.run_bytes if self.is_in_sequence(position) else 0)
        self.run_stop = position + len(data)
        while self.blocks and sum(len(held) for _, held in self.blocks) + len(data) > MOST_HELD_BYTES:
            self.blocks.pop(0)
        if data:
            self.blocks.append((position, data))
        if position == 0 and (span := find_index_span(data, self.ranges.size)):
            self.expected = span

    def choose_length(self, position: int, size: int) -> int:
        """How many bytes to request from a position on, of which `size` are needed now."""
        if position in self.expected:
            length = self.expected.stop - position
        elif self.is_in_sequence(position):
            growth = self.run_bytes if self.run_bytes < DOUBLED_BLOCK_BYTES else self.run_bytes // 2
            length = max(growth, self.estimated_bytes * 3 // 4 - self.run_bytes)
        else:
            length = FIRST_BLOCK_BYTES
        return min(max(length, size, FIRST_BLOCK_BYTES), LARGEST_BLOCK_BYTES)

    def is_in_sequence(self, position: int) -> bool:
        """Whether a place follows what was read last; demuxers skip packets that are not needed."""
        return self.run_bytes > 0 and 0 <= position - self.run_stop <= LARGEST_BLOCK_BYTES
