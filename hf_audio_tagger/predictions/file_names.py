"""Ids of any kind as file names that every file system takes, and no two alike."""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence

MOST_CHARACTERS = 100  # of an id that stay in its name; file systems allow 255 bytes
PLAIN = re.compile(r"[A-Za-z0-9_-]([A-Za-z0-9 ._-]*[A-Za-z0-9_-])?")
OTHERS = re.compile(r"[^A-Za-z0-9_-]+")
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # devices on Windows
DIGEST_BYTES = 8
DIGESTED = re.compile(rf".*-[0-9a-f]{{{2 * DIGEST_BYTES}}}")


def safe_names(ids: Sequence[str]) -> list[str]:
    """A file name without extension for each of some ids that differ.

    An id that is a safe name stays as it is. Any other gets its digest behind what is safe of it; so do
    those that differ in case alone, which many file systems take for one.

    >>> safe_names(["clip 1", "a/b.mp4", "x", "X"])
    ['clip 1', 'a_b_mp4-570b3fbb80aee2d3', 'x-4adf4367f96e584f', 'X-ff914fd1c552e395']
    """
    in_lower_case = Counter(id.lower() for id in ids)
    return [id if is_plain(id) and in_lower_case[id.lower()] == 1 else digested(id) for id in ids]


def is_plain(id: str) -> bool:
    """Safe as it is, and not to be taken for a name with a digest."""
    return (
        len(id) <= MOST_CHARACTERS
        and PLAIN.fullmatch(id) is not None
        and RESERVED.fullmatch(id) is None
        and DIGESTED.fullmatch(id.lower()) is None
    )


def digested(id: str) -> str:
    digest = hashlib.blake2b(id.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).hexdigest()
    return f"{OTHERS.sub('_', id)[:MOST_CHARACTERS]}-{digest}"
