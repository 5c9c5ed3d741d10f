"""Locks between processes, as files. The system releases a lock when the processes that hold it end."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

POLL_SECONDS = 0.1


def try_lock(handle: int) -> bool:
    """Lock an open file; False if another process or another handle of this one has locked it."""
    try:
        if os.name == "nt":
            import msvcrt

            os.lseek(handle, 0, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


@contextmanager
def hold_lock(path: Path, seconds: float) -> Iterator[None]:
    """Hold a lock file, which is removed afterwards. Raises TimeoutError if others hold it for `seconds`."""
    handle = wait_for_lock(path, time.monotonic() + seconds)
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes no open file
            path.unlink()
        os.close(handle)


def wait_for_lock(path: Path, deadline: float) -> int:
    """An open and locked file at `path`."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            while not try_lock(handle):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"another process has held {path} for too long")
                time.sleep(POLL_SECONDS)
            if is_at(handle, path):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # its last holder has removed the file: others lock a new one


def is_at(handle: int, path: Path) -> bool:
    """Whether an open file is still the one at `path`."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
