"""Whose fault a failure is: the clip's, or this machine's, which has run out of something.

A decoder may raise anything over a damaged clip, and one clip must not end a run of a million. But where
files, memory or disk space run out, every clip that comes next fails: good clips would be recorded as broken.
"""

import errno
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import MediaError, ResourceError, TaggerError
from .container import one_line

OPEN_FILES = (
    "too many files are open. Allow more (ulimit -n 4096), or use a smaller batch_size or fewer processes."
)
MEMORY = "this machine's memory has run out. Use a smaller batch_size or fewer processes."
DISK = "the disk (or the share of it that you may use) is full. Free some space."
REMEDIES = {
    errno.EMFILE: OPEN_FILES,
    errno.ENFILE: OPEN_FILES,
    errno.ENOMEM: MEMORY,
    errno.ENOSPC: DISK,
    errno.EDQUOT: DISK,
}
MEMORY_TEXTS = ("bad_alloc", "can't allocate memory", os.strerror(errno.ENOMEM).lower())
SPARE_BYTES = 256 << 20  # where a process can still get so much, a clip that got none asked for too much
MOST_CAUSES = 16  # errors behind an error that are looked at


@contextmanager
def clip_failures(name: str) -> Iterator[None]:
    """Whatever goes wrong with a clip becomes an error of ours that names it.

    A `ResourceError` where something ran out, however the decoder worded it; errors of ours as they are; all
    else a `MediaError`.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, ResourceError):
            raise
        if remedy := what_ran_out(error):
            raise ResourceError(f"{name} could not be read: {remedy}") from error
        if isinstance(error, TaggerError):
            raise
        kind = type(error).__name__
        raise MediaError(f"{name}: decoding it failed ({kind}: {one_line(error)}).") from error


def what_ran_out(error: BaseException) -> str | None:
    """What this machine has run out of, with the remedy; None where the error has another reason."""
    for cause in causes_of(error):
        number = errno_of(cause)
        if number == errno.ENOMEM and not is_memory_short():
            continue  # a wild header asks for gigabytes, and is refused them
        if number in REMEDIES:
            return REMEDIES[number]
    return None


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """The error, and those that it was raised from."""
    cause: BaseException | None = error
    for _ in range(MOST_CAUSES):
        if cause is None:
            return
        yield cause
        hidden = getattr(cause, "os_error", None)  # where aiohttp keeps what the system said
        cause = cause.__cause__ or hidden or (None if cause.__suppress_context__ else cause.__context__)


def errno_of(error: BaseException) -> int | None:
    """The system's number of an error: its own, or by the words of a library that does not keep it."""
    if isinstance(error, MemoryError):
        return errno.ENOMEM
    if isinstance(number := getattr(error, "errno", None), int):
        return number
    if isinstance(error, TaggerError):
        return None  # what it was raised from tells; its words may be a file's name
    text = str(error).lower()
    if any(words in text for words in MEMORY_TEXTS):
        return errno.ENOMEM
    ends = [line.rstrip(" .'\"") for line in text.splitlines()]
    words = {number: os.strerror(number).lower() for number in REMEDIES}
    return next((number for number in REMEDIES if any(end.endswith(words[number]) for end in ends)), None)


def is_memory_short() -> bool:
    """True where this process cannot get some memory more. It is asked for, never touched."""
    try:
        mmap.mmap(-1, SPARE_BYTES).close()
    except (OSError, MemoryError):
        return True
    return False
