"""No work twice: what was said of a clip is kept for the next row that names the same clip.

A small bounded memory of one process. A clip is known by what identifies its content: a file by path,
size and time of change, bytes by their digest. A changed file is another clip.
"""

import hashlib
import os
from collections import OrderedDict
from collections.abc import Hashable

from .cells import BytesMedia, FileMedia, Media, is_url
from .tags import Verdict

KEPT_VERDICTS = 1024  # some kilobytes each at most
LONGEST_KEPT = 256  # segments: hours of sound are not kept

_verdicts: OrderedDict[Hashable, Verdict] = OrderedDict()


def key_of(media: Media, identity: Hashable) -> Hashable | None:
    """What makes this clip, heard this way, the same as another; None where nothing tells."""
    if isinstance(media, BytesMedia):
        return identity, hashlib.blake2b(media.data, digest_size=16).digest()
    if isinstance(media, FileMedia) and not is_url(media.path):
        try:
            info = os.stat(media.path)
        except (OSError, ValueError):
            return None
        return identity, os.path.abspath(media.path), info.st_size, info.st_mtime_ns, info.st_ino
    return None


def recall(key: Hashable | None) -> Verdict | None:
    if key is None or key not in _verdicts:
        return None
    _verdicts.move_to_end(key)
    return _verdicts[key]


def keep(key: Hashable | None, verdict: Verdict) -> None:
    """Remember a verdict. Failures are not kept: the next row may have better luck."""
    if key is None or verdict.error is not None or len(verdict.segments or ()) > LONGEST_KEPT:
        return
    _verdicts[key] = verdict
    while len(_verdicts) > KEPT_VERDICTS:
        _verdicts.popitem(last=False)


def forget() -> None:
    """Empty the memory, as tests and benchmarks need."""
    _verdicts.clear()
