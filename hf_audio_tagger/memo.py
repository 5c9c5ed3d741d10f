"""No work twice: what was said of a clip is kept for the next row that names the same clip.

A small bounded memory of one process. A clip is known by what identifies its content: a file by path,
size and time of change, bytes by their digest. A changed file is another clip.
"""

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from .cells import BytesMedia, FileMedia, Media, is_url
from .scores import ClipResult

KEPT_RESULTS = 1024
KEPT_BYTES = 32 << 20  # of all results together, about
LONGEST_KEPT = 256  # segments: hours of sound are not kept
RESULT_BYTES, SEGMENT_BYTES, LABEL_BYTES = 500, 250, 120  # what these take in Python, about

_results: OrderedDict[Hashable, ClipResult] = OrderedDict()
_kept_bytes = 0
_lock = threading.Lock()
_is_set_aside: ContextVar[bool] = ContextVar("is_set_aside", default=False)


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


def recall(key: Hashable | None) -> ClipResult | None:
    """What was said of a clip, if it is kept."""
    with _lock:
        if key is None or key not in _results or _is_set_aside.get():
            return None
        _results.move_to_end(key)
        return _results[key]


def keep(key: Hashable | None, result: ClipResult) -> None:
    """Remember a result. Failures are not kept: the next row may have better luck."""
    global _kept_bytes
    if key is None or result.error is not None or len(result.segments or ()) > LONGEST_KEPT:
        return
    if _is_set_aside.get():
        return
    with _lock:
        if key in _results:
            _kept_bytes -= bytes_of(_results.pop(key))
        _results[key] = result
        _kept_bytes += bytes_of(result)
        while len(_results) > KEPT_RESULTS or _kept_bytes > KEPT_BYTES:
            _kept_bytes -= bytes_of(_results.popitem(last=False)[1])


def bytes_of(result: ClipResult) -> int:
    """What a result takes, about."""
    embedding_bytes = 0 if result.embedding is None else result.embedding.nbytes
    lists_bytes = len(result.segments or ()) * SEGMENT_BYTES + len(result.top or ()) * LABEL_BYTES
    return RESULT_BYTES + embedding_bytes + lists_bytes


@contextmanager
def set_aside() -> Iterator[None]:
    """Within, this thread neither recalls nor keeps: a row then gets what its own batch gives it."""
    token = _is_set_aside.set(True)
    try:
        yield
    finally:
        _is_set_aside.reset(token)


def forget() -> None:
    """Empty the memory, as tests and benchmarks need."""
    global _kept_bytes
    with _lock:
        _results.clear()
        _kept_bytes = 0


def _after_fork() -> None:
    """A lock that another thread of the parent held would stay shut for ever."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
