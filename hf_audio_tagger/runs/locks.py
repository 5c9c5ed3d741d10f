"""The lock of DEST: one run, or several commands that each do a share of it, at a time.

A run locks `lock`, a share `lock-2-of-8`, and looks whether any other is locked that excludes it. Two that
begin at the same moment may both refuse to run; they never both run. On a disk a lock ends with its process;
in a store it is an object that is renewed.
"""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ..errors import SettingsError
from ..file_locks import hold_lock, try_lock
from ..stores import Place, StorePath
from .leases import HeldError, find_holder, leased
from .run_folder import RunFolder, check_places
from .share import Share, read_suffix

LOCK_WAIT_SECONDS = 3.0  # workers of a killed run may take a moment to exit
PREPARE_SECONDS = 60.0  # for others that begin at the same time
FINISH_WAIT_SECONDS = 3.0  # longer than the finishing command's last look takes
POLL_SECONDS = 0.1
PREPARE, FINISH = "prepare.lock", "finish.lock"

Check = Callable[[], None]  # raises an error if the lock was lost


@contextmanager
def locked(folder: RunFolder) -> Iterator[Check]:
    """Lock DEST; gives a function that raises an error if the lock is lost meanwhile."""
    hold = hold_in_store if isinstance(folder.state, StorePath) else hold_on_disk
    with hold(folder) as check:
        deadline = time.monotonic() + LOCK_WAIT_SECONDS
        while others := [item for item in find_held(folder).items() if excludes(folder.share, item[0])]:
            if time.monotonic() > deadline:
                raise used_by_another(folder, *others[0])
            time.sleep(POLL_SECONDS)
        if isinstance(folder.lock, Path) and folder.share is None:
            write_holder(folder.lock)
        yield check


@contextmanager
def hold_on_disk(folder: RunFolder) -> Iterator[Check]:
    """The lock is released when all processes that hold it have ended."""
    assert isinstance(folder.lock, Path)
    check_places(folder)
    folder.state.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    handle = os.open(folder.lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        while not try_lock(handle):
            if time.monotonic() > deadline:
                raise used_by_another(folder, folder.lock.name, read_holder(folder.lock))
            time.sleep(POLL_SECONDS)
        os.ftruncate(handle, 1)  # Windows locks the first byte
        yield lambda: None
    finally:
        os.close(handle)  # not unlocked: forked workers share the lock and keep it until they end


@contextmanager
def hold_in_store(folder: RunFolder) -> Iterator[Check]:
    assert isinstance(folder.lock, StorePath)
    folder.state.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):  # a run without a log is better than none
        folder.log.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        try:
            lease = held.enter_context(leased(folder.lock))
        except HeldError as error:
            raise used_by_another(folder, folder.lock.name, str(error)) from error
        yield lease.check


def find_held(folder: RunFolder) -> dict[str, str]:
    """The names of the locks of DEST that other commands hold, and who; "" while one is being taken."""
    held = {}
    found: Iterator[Place] = folder.state.glob("lock*")
    for path in sorted(found, key=str):
        if path.name == folder.lock.name:
            continue
        if isinstance(path, StorePath):
            if lease := find_holder(path):
                held[path.name] = str(lease[0])
        elif is_locked(path):
            held[path.name] = read_holder(path)
    return held


def is_locked(path: Path) -> bool:
    handle = os.open(path, os.O_RDWR)
    try:
        return not try_lock(handle)
    finally:
        os.close(handle)


def excludes(share: Share | None, lock: str) -> bool:
    """Whether the holder of a lock must not run beside a share, or beside a whole run."""
    other = read_suffix(lock)
    return share is None or other is None or other.count != share.count


def used_by_another(folder: RunFolder, lock: str, holder: str) -> SettingsError:
    other = read_suffix(lock)
    what = "another run" if other is None else f"a run of shard={str(other)!r}"
    who = holder or "another process"
    return SettingsError(f"{folder.dest}: {what} is using it ({who}). Wait for it, or choose another DEST.")


def read_holder(lock: Path) -> str:
    """Who holds a lock; "" while it is being taken."""
    return lock.read_bytes()[1:200].decode(errors="replace")


def write_holder(lock: Path) -> None:
    with open(lock, "r+b") as file:
        file.seek(1)
        file.write(f"process {os.getpid()} on {socket.gethostname()}".encode())


@contextmanager
def preparing(folder: RunFolder) -> Iterator[bool]:
    """Prepare DEST; tells whether no other share has done so and runs now.

    On a disk one share does so at a time. In a store the first one to put the run's record has prepared it.
    """
    if folder.share is None:
        yield True
    elif isinstance(folder.lock, StorePath) or isinstance(folder.state, StorePath):
        yield not find_held(folder)
    else:
        with hold_lock(folder.state / PREPARE, PREPARE_SECONDS):
            yield not any(find_held(folder).values())
            write_holder(folder.lock)


@contextmanager
def finishing(folder: RunFolder) -> Iterator[bool]:
    """Whether this command is the one that finishes the run now."""
    with ExitStack() as held:
        try:
            if isinstance(folder.state, StorePath):
                held.enter_context(leased(folder.state / FINISH, FINISH_WAIT_SECONDS))
            else:
                held.enter_context(hold_lock(folder.state / FINISH, FINISH_WAIT_SECONDS))
        except (TimeoutError, HeldError):
            yield False
            return
        yield True
