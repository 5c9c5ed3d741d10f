"""The lock of DEST: one run, or several commands that each do a share of it, at a time.

A run locks `lock`, a share `lock-2-of-8`, and looks whether any other is locked that excludes it. Two that
begin at the same moment may both refuse to run; they never both run.
"""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import SettingsError
from ..file_locks import hold_lock, try_lock
from .run_folder import RunFolder, check_places
from .share import Share, read_suffix

LOCK_WAIT_SECONDS = 3.0  # workers of a killed run may take a moment to exit
PREPARE_SECONDS = 60.0  # for others that begin at the same time
POLL_SECONDS = 0.1


@contextmanager
def locked(folder: RunFolder) -> Iterator[None]:
    """Lock DEST. The lock is released when all processes that hold it have ended."""
    check_places(folder)
    folder.state.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    handle = os.open(folder.lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        while not try_lock(handle):
            if time.monotonic() > deadline:
                raise used_by_another(folder, folder.lock)
            time.sleep(POLL_SECONDS)
        os.ftruncate(handle, 1)  # Windows locks the first byte
        while others := [path for path in find_held(folder) if excludes(folder.share, path)]:
            if time.monotonic() > deadline:
                raise used_by_another(folder, others[0])
            time.sleep(POLL_SECONDS)
        if folder.share is None:
            write_holder(folder.lock)
        yield
    finally:
        os.close(handle)  # not unlocked: forked workers share the lock and keep it until they end


def find_held(folder: RunFolder) -> list[Path]:
    """The locks of DEST that other commands hold."""
    held = []
    for path in sorted(folder.state.glob("lock*")):
        if path != folder.lock:
            handle = os.open(path, os.O_RDWR)
            try:
                if not try_lock(handle):
                    held.append(path)
            finally:
                os.close(handle)
    return held


def excludes(share: Share | None, path: Path) -> bool:
    """Whether the holder of a lock must not run beside a share, or beside a whole run."""
    other = read_suffix(path.name)
    return share is None or other is None or other.count != share.count


def used_by_another(folder: RunFolder, lock: Path) -> SettingsError:
    other = read_suffix(lock.name)
    what = "another run" if other is None else f"a run of shard={str(other)!r}"
    holder = read_holder(lock) or "another process"
    return SettingsError(
        f"{folder.dest}: {what} is using it ({holder}). Wait for it, or choose another DEST."
    )


def read_holder(lock: Path) -> str:
    """Who holds a lock; "" while it is being taken."""
    return lock.read_bytes()[1:200].decode(errors="replace")


def write_holder(lock: Path) -> None:
    with open(lock, "r+b") as file:
        file.seek(1)
        file.write(f"process {os.getpid()} on {socket.gethostname()}".encode())


@contextmanager
def preparing(folder: RunFolder) -> Iterator[bool]:
    """Prepare DEST while no other share does; tells whether no other share has done so and runs now."""
    if folder.share is None:
        yield True
        return
    with hold_lock(folder.state / "prepare.lock", PREPARE_SECONDS):
        yield not any(map(read_holder, find_held(folder)))
        write_holder(folder.lock)
