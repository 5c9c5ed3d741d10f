"""Errors while a clip is read: a fault of the clip, or an exhausted resource of this machine.

A damaged clip can raise any exception and must not stop the run. But when file handles, memory or disk space
run out, intact clips fail too and would be recorded as broken, so the run stops.
"""

import errno
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import MediaError, ResourceError, TaggerError, iterate_causes
from ..text import one_line

LESS = "use a smaller batch_size or fewer processes."
OPEN_FILES = f"too many files are open. Allow more (ulimit -n 4096), or {LESS}"
DISK = "the disk (or the share of it that you may use) is full. Free some space."
REMEDIES = {
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), OPEN_FILES),
    errno.ENOMEM: f"this machine's memory has run out: {LESS}",
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), DISK),
}
MEMORY_TEXTS = ("bad_alloc", "can't allocate memory", os.strerror(errno.ENOMEM).lower())
SPARE_BYTES = 256 << 20  # if so much is available, the clip requested too much


@contextmanager
def convert_clip_errors(name: str) -> Iterator[None]:
    """Convert any exception to a `ResourceError` or a `MediaError` that names the clip."""
    try:
        yield
    except Exception as error:
        if isinstance(error, ResourceError):
            raise
        if remedy := find_exhausted_resource(error):
            raise ResourceError(f"{name} could not be read: {remedy}") from error
        if isinstance(error, TaggerError):
            raise
        text = f"{type(error).__name__}: {describe_error(error)}"
        raise MediaError(f"{name}: decoding it failed ({text}).") from error


def describe_error(error: BaseException) -> str:
    """What went wrong in one line, without FFmpeg's errno prefix and path (which may be a digest)."""
    from av.error import FFmpegError  # imported here: this module is also used where no clip is opened

    if isinstance(error, FFmpegError) and error.strerror:
        return str(error.strerror)
    return one_line(error)


def find_exhausted_resource(error: BaseException) -> str | None:
    """Which resource is exhausted, and the remedy; None if the error has another cause."""
    for cause in iterate_causes(error):
        number = find_errno(cause)
        if number == errno.ENOMEM and not is_memory_short():
            continue  # a corrupt header led to an allocation of gigabytes
        if number in REMEDIES:
            return REMEDIES[number]
    return None


def find_errno(error: BaseException) -> int | None:
    """The system's error number: the error's own, or found in the text of a library that drops it."""
    if isinstance(error, MemoryError):
        return errno.ENOMEM
    if isinstance(number := getattr(error, "errno", None), int):
        return number
    if isinstance(error, TaggerError):
        return None  # its text may contain a file name; its cause is examined next
    text = str(error).lower()
    if any(part in text for part in MEMORY_TEXTS):
        return errno.ENOMEM
    lines = [line.rstrip(" .'\"") for line in text.splitlines()]
    words = {number: os.strerror(number).lower() for number in REMEDIES}
    return next((number for number in REMEDIES if any(line.endswith(words[number]) for line in lines)), None)


def is_memory_short() -> bool:
    """True where this process cannot reserve a moderate amount of memory. The pages are never touched."""
    try:
        mmap.mmap(-1, SPARE_BYTES).close()
    except (OSError, MemoryError):
        return True
    return False
