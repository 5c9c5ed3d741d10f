"""What the first bytes of an mp4 file say about where its index is, and whether it is fragmented.

An mp4 is a list of boxes: a size of 32 bits and a type of 4 letters, or a size of 1 and behind the type the
size in 64 bits. ``moov`` has the index, ``mdat`` the packets. A fragmented file (``mvex`` in ``moov``) has a
small ``moof`` before the packets of each fragment instead, and perhaps a table of all fragments at its end.
"""

from collections.abc import Iterator

BOX_BYTES = 8  # size and type
FRAGMENT_MARKS = (b"mvex", b"moof")
FRAGMENT_INDEX_END = b"mfro"  # the last box of a table of fragments, and of the file
FRAGMENT_INDEX_END_BYTES = 16


def iterate_boxes(head: bytes) -> Iterator[tuple[str, int, int]]:
    """Type, start and size of the top-level boxes that begin in a file's first bytes; 0: to the end."""
    start = 0
    while len(head) >= start + BOX_BYTES:
        size = int.from_bytes(head[start : start + 4], "big")
        kind = head[start + 4 : start + BOX_BYTES].decode("latin-1")
        if size == 1 and len(head) >= start + 2 * BOX_BYTES:
            size = int.from_bytes(head[start + BOX_BYTES : start + 2 * BOX_BYTES], "big")
        yield kind, start, size
        if size < BOX_BYTES:
            return
        start += size


def is_mp4(head: bytes) -> bool:
    return head[4:8] == b"ftyp"


def is_fragmented(head: bytes) -> bool:
    """Whether an mp4 file's first bytes are those of a fragmented one."""
    return is_mp4(head) and any(mark in head for mark in FRAGMENT_MARKS)


def find_index_span(head: bytes, file_size: int | None) -> range | None:
    """Where an mp4 file has its index: the ``moov`` box, or what follows the packets.

    >>> head = (16).to_bytes(4, "big") + b"ftypisom" + bytes(4) + (900).to_bytes(4, "big") + b"moov"
    >>> find_index_span(head, 5_000)
    range(16, 916)
    """
    if not is_mp4(head) or file_size is None:
        return None
    for kind, start, size in iterate_boxes(head):
        if kind == "moov" and size >= BOX_BYTES:
            return range(start, min(start + size, file_size))
        if kind == "mdat" and size >= BOX_BYTES:
            return range(start + size, file_size) if start + size < file_size else None
    return None
