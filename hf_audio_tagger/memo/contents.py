"""Which clips have the same content, whatever their names.

Files are told apart by their size, those of one size by both ends, and those of the same ends by all of their
bytes. So a file is read only where another one is like it, and two links to one file are not read at all.
"""

import os
import stat
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath

from xxhash import xxh3_128_digest

from ..cells import BytesMedia, FileMedia, Media, is_url
from .windows import SEED

END_BYTES = 64 << 10  # read at each end
MOST_READ_BYTES = 64 << 20  # a larger file is not read whole: a model's memory of windows finds its sound
KEPT_CONTENTS = 4096
DEPTHS = 3  # size, ends, all bytes

# Containers that say at their beginning what they are. For others FFmpeg's guess depends on the file's name.
NAMED_INSIDE = (b"\x1aE\xdf\xa3", b"RIFF", b"OggS", b"fLaC")  # Matroska, AVI and WAV, Ogg, FLAC

Digest = tuple[str, bytes]


def digest(data: bytes) -> bytes:
    return xxh3_128_digest(data, SEED)


def start_of_end(size: int) -> int:
    """Where the second end begins, after the first."""
    return max(END_BYTES, size - END_BYTES)


def digest_ends(head: bytes, tail: bytes, suffix: str) -> Digest:
    """A digest of both ends, with the suffix where the content may be guessed from it."""
    is_named = head.startswith(NAMED_INSIDE) or head[4:8] == b"ftyp"
    return "" if is_named else suffix, digest(head + tail)


@dataclass(frozen=True)
class BytesContent:
    """Bytes in memory, of which only digests are kept."""

    size: int
    ends: Digest
    whole: bytes

    @property
    def id(self) -> Hashable:
        return self.size, self.whole


@dataclass(frozen=True)
class FileContent:
    """A regular file, identified by its inode: under all its names, until it changes. Read on demand."""

    path: str
    id: tuple[Hashable, ...]
    size: int
    suffix: str

    @cached_property
    def ends(self) -> Digest | None:
        read = self.read([(0, END_BYTES), (start_of_end(self.size), END_BYTES)])
        return None if read is None else digest_ends(read[0], read[1], self.suffix)

    @cached_property
    def whole(self) -> bytes | None:
        read = self.read([(0, self.size)]) if self.size <= MOST_READ_BYTES else None
        return None if read is None else digest(read[0])

    def read(self, parts: Sequence[tuple[int, int]]) -> list[bytes] | None:
        """The bytes at these places; None if the file cannot be read, or is no longer the same."""
        try:
            with open(self.path, "rb") as file:
                found = [file.read(count) for start, count in parts if file.seek(start) >= 0]
                return found if identify_file(self.path, os.fstat(file.fileno())) == self.id else None
        except OSError:
            return None


Content = BytesContent | FileContent


def identify_file(path: str, info: os.stat_result) -> tuple[Hashable, ...]:
    """The change time tells a file from a later one with its inode, size and copied modification time."""
    place = (info.st_dev, info.st_ino) if info.st_ino else os.path.abspath(path)
    return get_suffix(path), place, info.st_size, info.st_mtime_ns, info.st_ctime_ns


def get_suffix(path: str) -> str:
    return PurePath(path).suffix.lower()


def find_content(media: Media) -> Content | None:
    """The content of a clip; None if nothing identifies it."""
    if isinstance(media, BytesMedia):
        data = media.data
        ends = digest_ends(data[:END_BYTES], data[start_of_end(len(data)) :], "")
        return BytesContent(len(data), ends, digest(data))
    if not isinstance(media, FileMedia) or is_url(media.path):
        return None
    try:
        info = os.stat(media.path)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(info.st_mode):  # reading a pipe or a device might never end
        return None
    path = os.path.abspath(media.path)
    return FileContent(path, identify_file(path, info), info.st_size, get_suffix(path))


def find_file_id(media: Media) -> Hashable | None:
    """What a file's changes change; None for bytes, which have none."""
    return None if isinstance(media, BytesMedia) or (content := find_content(media)) is None else content.id


def describe(content: Content, depth: int) -> tuple[Hashable, ...] | None:
    """What is compared first, next and last; None if the content cannot be read so far."""
    size, ends = content.size, content.ends if depth else None
    whole = content.whole if depth > 1 else None
    parts = (size, ends, whole)[: depth + 1]
    return None if None in parts else parts


class Contents:
    """The contents that were seen last. Threads may share it: what one of them misses is read again."""

    def __init__(self) -> None:
        # By size, by size and ends, by all three: the only content of this kind; None: there are several.
        self.seen: OrderedDict[tuple[Hashable, ...], Content | None] = OrderedDict()
        self.first_ids: OrderedDict[Hashable, Hashable] = OrderedDict()  # of the same content, seen before

    def identify(self, media: Media) -> Hashable | None:
        """The same value for all clips with this one's content; None if nothing identifies it."""
        content = find_content(media)
        if content is None:
            return None
        first = self.first_ids.get(content.id)
        if first is None:
            first = self.first_ids[content.id] = self.find_first(content).id
        for table in (self.seen, self.first_ids):
            while len(table) > KEPT_CONTENTS:
                table.popitem(last=False)
        return first

    def find_first(self, content: Content) -> Content:
        """The first content with the same bytes, which may be this one."""
        for depth in range(DEPTHS):
            key = describe(content, depth)
            if key is None:
                return content
            if key not in self.seen:
                self.seen[key] = content
                return content
            other = self.seen[key]
            if other is not None and depth == DEPTHS - 1:
                return other
            if other is not None:  # no longer the only one of its kind: the next key tells them apart
                self.seen[key] = None
                if (next_key := describe(other, depth + 1)) is not None:
                    self.seen[next_key] = other
        return content

    def clear(self) -> None:
        self.seen.clear()
        self.first_ids.clear()
