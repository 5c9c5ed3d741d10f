"""What each process remembers: results of clips, for rows with the same content, and outputs of windows.

All of it is bounded.
"""

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from ..cells import Media
from ..scores import ClipResult
from .contents import Contents, find_file_id
from .windows import WindowMemory

KEPT_RESULTS = 1024
KEPT_BYTES = 32 << 20  # of all results together, approximately
LONGEST_KEPT = 256  # segments: results of hours of sound are not cached
RESULT_BYTES, SEGMENT_BYTES, LABEL_BYTES = 500, 250, 120  # approximate sizes of these in Python

_results: OrderedDict[Hashable, ClipResult] = OrderedDict()  # by content, and a tagger's identity
_kept_bytes = 0
_contents = Contents()
_window_memories: dict[int, WindowMemory] = {}  # by the id of their models
_lock = threading.Lock()
_is_disabled: ContextVar[bool] = ContextVar("is_disabled", default=False)


def identify_contents(media: Sequence[Media]) -> list[Hashable | None]:
    """For each clip a value that all clips with its content have; None if nothing identifies it.

    Where the cache is disabled, the contents of these clips are compared with each other only.
    """
    contents = Contents() if _is_disabled.get() else _contents
    return [contents.identify(one) for one in media]


def share_results(
    media: Sequence[Media],
    identity: Hashable,
    classify: Callable[[list[Media]], list[ClipResult]],
    expect: Callable[[int], object],
) -> list[ClipResult]:
    """One result per clip, in order. Each content is classified once, or not at all where its result is kept.

    `expect` is told how many clips are classified. An error names the file that was read, so other files of
    its content are read for their own. So are those of a file that was written to before it was read.
    """
    file_ids = [find_file_id(one) for one in media]
    contents = identify_contents(media)
    keys: list[Hashable] = [
        index if content is None else (identity, content) for index, content in enumerate(contents)
    ]
    results = {key: result for key in keys if (result := get(key)) is not None}
    new: dict[Hashable, int] = {}  # the first clip of each content that is not known
    for index, key in enumerate(keys):
        if key not in results:
            new.setdefault(key, index)
    expect(len(new))
    of_one_file = set()  # results that hold for no other file
    classified = classify([media[index] for index in new.values()]) if new else []
    for (key, index), result in zip(new.items(), classified, strict=True):
        results[key] = result
        if result.error is not None or find_file_id(media[index]) != file_ids[index]:
            of_one_file.add(key)
        elif not isinstance(key, int):  # a clip that nothing identifies has its index
            put(key, result)
    found = [results[key] for key in keys]
    others = [
        index
        for index, (key, one) in enumerate(zip(keys, media, strict=True))
        if key in of_one_file and one.name != media[new[key]].name
    ]
    again = classify([media[index] for index in others]) if others else []
    for index, result in zip(others, again, strict=True):
        found[index] = result
    return found


def get_window_memory(model: object) -> WindowMemory:
    """The memory of a loaded model's outputs, which lives as long as the model; where disabled, a new one."""
    if _is_disabled.get():
        return WindowMemory()
    with _lock:
        if id(model) not in _window_memories:
            _window_memories[id(model)] = WindowMemory()
            weakref.finalize(model, _window_memories.pop, id(model), None).atexit = False
        return _window_memories[id(model)]


def get(key: Hashable) -> ClipResult | None:
    with _lock:
        if key not in _results or _is_disabled.get():
            return None
        _results.move_to_end(key)
        return _results[key]


def put(key: Hashable, result: ClipResult) -> None:
    """Store a result. Errors are not stored: the next attempt may succeed."""
    global _kept_bytes
    is_long = len(result.segments or ()) > LONGEST_KEPT
    if result.error is not None or is_long or _is_disabled.get():
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
    """Disable the caches for this thread: a row's result then depends on its own batch only."""
    token = _is_disabled.set(True)
    try:
        yield
    finally:
        _is_disabled.reset(token)


def clear() -> None:
    """Forget everything, for tests and benchmarks."""
    global _kept_bytes
    with _lock:
        _results.clear()
        _kept_bytes = 0
        _contents.clear()
        for memory in list(_window_memories.values()):
            memory.clear()


def _after_fork() -> None:
    """Replace the lock: if another thread of the parent held it, it would never be released."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
