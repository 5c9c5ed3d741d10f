"""One run at a time for each DEST."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import SettingsError
from .run_folder import RunFolder

ADVICE = "Choose another DEST, or remove it."
LOCK_WAIT_SECONDS = 3.0  # workers of a run that was just killed may take a moment to end


@contextmanager
def locked(folder: RunFolder) -> Iterator[None]:
    """Keep other runs away from DEST. The lock ends with the processes that hold it, however they end."""
    check_places(folder)
    folder.state.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder.state / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        deadline = time.monotonic() + LOCK_WAIT_SECONDS
        while not try_lock(handle):
            if time.monotonic() > deadline:
                raise SettingsError(
                    f"{folder.dest}: another run is using it ({read_holder(handle)}). Wait for it, or choose "
                    "another DEST."
                )
            time.sleep(0.1)
        os.ftruncate(handle, 1)  # the first byte is what Windows locks
        os.lseek(handle, 1, os.SEEK_SET)
        os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
    finally:
        os.close(handle)  # not unlocked: forked workers share the lock and keep it until they end


def check_places(folder: RunFolder) -> None:
    """Refuse links and folders in the place of files, and broken links in the place of folders."""
    if folder.file is not None:
        check_file(folder.file, "DEST must be a file or not exist; remove it, or choose another DEST.")
    place = folder.state.parent if folder.file is None else folder.state
    for one in (place, folder.state):
        if one.is_symlink() and not one.exists():
            raise SettingsError(f"{one} is a link to {os.readlink(one)}, which does not exist. {ADVICE}")
        if one.exists() and not one.is_dir():
            raise SettingsError(f"{one} must be a folder. {ADVICE}")
    files = (folder.record, folder.ledger, folder.written, folder.failures, folder.log)
    for one in (folder.state / "lock", *files):
        check_file(one, "It must be a file or not exist; remove it.")


def check_file(path: Path, advice: str) -> None:
    if path.is_symlink():
        raise SettingsError(f"{path} is a link (to {os.readlink(path)}). {advice}")
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "not a regular file"
        raise SettingsError(f"{path} is {what}. {advice}")


def try_lock(handle: int) -> bool:
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


def read_holder(handle: int) -> str:
    os.lseek(handle, 1, os.SEEK_SET)
    return os.read(handle, 200).decode(errors="replace") or "another process"
