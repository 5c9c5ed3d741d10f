"""File names for ids of any kind: valid on every file system, and no two alike."""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence

MOST_CHARACTERS = 100  # of an id that stay in its name; file systems allow 255 bytes
PLAIN = re.compile(r"[A-Za-z0-9_-]([A-Za-z0-9 ._-]*[A-Za-z0-9_-])?")
OTHERS = re.compile(r"[^A-Za-z0-9_-]+")
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # devices on Windows
DIGEST_BYTES = 8
WITH_DIGEST = re.compile(rf".*-[0-9a-f]{{{2 * DIGEST_BYTES}}}")


def make_file_names(ids: Sequence[str]) -> list[str]:
    """A file name without extension for each of some ids that differ.

    A plain id stays as it is. Any other gets its digest appended, and so do ids that differ in case alone,
    as many file systems ignore it.

    >>> make_file_names(["clip 1", "a/b.mp4", "x", "X"])
    ['clip 1', 'a_b_mp4-570b3fbb80aee2d3', 'x-4adf4367f96e584f', 'X-ff914fd1c552e395']
    """
    in_lower_case = Counter(id.lower() for id in ids)
    return [id if is_plain(id) and in_lower_case[id.lower()] == 1 else append_digest(id) for id in ids]


def is_plain(id: str) -> bool:
    """Valid everywhere, and not to be confused with a name that has a digest."""
    return (
        len(id) <= MOST_CHARACTERS
        and PLAIN.fullmatch(id) is not None
        and RESERVED.fullmatch(id) is None
        and WITH_DIGEST.fullmatch(id.lower()) is None
    )


def append_digest(id: str) -> str:
    digest = hashlib.blake2b(id.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).hexdigest()
    return f"{OTHERS.sub('_', id)[:MOST_CHARACTERS]}-{digest}"
