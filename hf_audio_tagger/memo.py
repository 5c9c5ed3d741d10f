"""A bounded cache of results in each process, shared by rows with the same clip.

The key of a clip identifies its content: path, size and modification time of a file, the digest of bytes.
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
KEPT_BYTES = 32 << 20  # of all results together, approximately
LONGEST_KEPT = 256  # segments: results of hours of sound are not cached
RESULT_BYTES, SEGMENT_BYTES, LABEL_BYTES = 500, 250, 120  # approximate sizes of these in Python

_results: OrderedDict[Hashable, ClipResult] = OrderedDict()
_kept_bytes = 0
_lock = threading.Lock()
_is_disabled: ContextVar[bool] = ContextVar("is_disabled", default=False)


def make_key(media: Media, identity: Hashable) -> Hashable | None:
    """The key of a clip for a tagger's identity; None if its content cannot be identified."""
    if isinstance(media, BytesMedia):
        return identity, hashlib.blake2b(media.data, digest_size=16).digest()
    if isinstance(media, FileMedia) and not is_url(media.path):
        try:
            info = os.stat(media.path)
        except (OSError, ValueError):
            return None
        return identity, os.path.abspath(media.path), info.st_size, info.st_mtime_ns, info.st_ino
    return None


def get(key: Hashable | None) -> ClipResult | None:
    with _lock:
        if key is None or key not in _results or _is_disabled.get():
            return None
        _results.move_to_end(key)
        return _results[key]


def put(key: Hashable | None, result: ClipResult) -> None:
    """Store a result. Errors are not stored: the next attempt may succeed."""
    global _kept_bytes
    is_long = len(result.segments or ()) > LONGEST_KEPT
    if key is None or result.error is not None or is_long or _is_disabled.get():
        return
    with _lock:
        if key in _results:
            _kept_bytes -= estimate_bytes(_results.pop(key))
        _results[key] = result
        _kept_bytes += estimate_bytes(result)
        while len(_results) > KEPT_RESULTS or _kept_bytes > KEPT_BYTES:
            _kept_bytes -= estimate_bytes(_results.popitem(last=False)[1])


def estimate_bytes(result: ClipResult) -> int:
    embedding_bytes = 0 if result.embedding is None else result.embedding.nbytes
    lists_bytes = len(result.segments or ()) * SEGMENT_BYTES + len(result.top or ()) * LABEL_BYTES
    return RESULT_BYTES + embedding_bytes + lists_bytes


@contextmanager
def disabled() -> Iterator[None]:
    """Disable the cache for this thread: a row's result then depends on its own batch only."""
    token = _is_disabled.set(True)
    try:
        yield
    finally:
        _is_disabled.reset(token)


def clear() -> None:
    """Empty the cache, for tests and benchmarks."""
    global _kept_bytes
    with _lock:
        _results.clear()
        _kept_bytes = 0


def _after_fork() -> None:
    """Replace the lock: if another thread of the parent held it, it would never be released."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
