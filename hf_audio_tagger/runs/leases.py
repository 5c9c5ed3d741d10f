"""The lock of DEST in a store: an object that says who uses DEST, renewed while he does.

A store has no locks that end with a process. So the holder renews its object, and one that was not renewed
for `LEASE_SECONDS` may be taken over; that of a process of this host that is gone, at once. Where a store can
put an object only if there is none, two that begin together never both hold it; elsewhere each looks after a
moment whether its object is still there.
"""

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass

from ..checks import read_as
from ..errors import RunError
from ..stores import StoreError, StorePath

LEASE_SECONDS = 120.0
RENEW_SECONDS = 20.0
SETTLE_SECONDS = 1.0  # until a second writer's object would be seen
END_SECONDS = 5.0  # for a renewal that is under way
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Holder:
    """The content of the object."""

    token: str
    process: int
    host: str

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}"


class HeldError(Exception):
    """Another one holds the object; the message says who, and for how long."""


def find_holder(path: StorePath) -> tuple[Holder, float] | None:
    """Who holds an object, and the seconds until it is free if it is not renewed; None if nobody holds it."""
    try:
        holder = read_as(Holder, path.read_bytes())
        renewed_ns = path.stat().st_mtime_ns
    except FileNotFoundError:
        return None
    except ValueError:
        return None
    if is_gone(holder):
        return None
    left = LEASE_SECONDS - (read_clock(path.parent) - renewed_ns) / 1e9
    return (holder, left) if left > 0 else None


def is_gone(holder: Holder) -> bool:
    """Whether the holder was a process of this host that has ended."""
    if holder.host != socket.gethostname() or os.name == "nt" or holder.process == os.getpid():
        return False
    try:
        os.kill(holder.process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def read_clock(folder: StorePath) -> int:
    """The store's own time in nanoseconds: those of hosts may differ."""
    probe = folder / f"clock-{secrets.token_hex(4)}"
    probe.write_bytes(b"")
    try:
        return probe.stat().st_mtime_ns
    finally:
        probe.unlink(missing_ok=True)


class Lease:
    """An object that this process holds and a thread renews."""

    def __init__(self, path: StorePath) -> None:
        self.path = path
        self.holder = Holder(secrets.token_hex(8), os.getpid(), socket.gethostname())
        self.ending, self.lost = threading.Event(), ""
        self.renewed_seconds = time.monotonic()
        self.take()
        self.thread = threading.Thread(target=self.renew_until_ended, name="lease", daemon=True)
        self.thread.start()

    def take(self) -> None:
        if not self.path.create(self.encode()):
            if found := find_holder(self.path):
                holder, left = found
                raise HeldError(f"{holder}; if it has ended, DEST is free in {max(1, round(left))} s")
            self.path.write_bytes(self.encode())  # nobody renews it
        time.sleep(SETTLE_SECONDS)
        if not self.is_ours():
            raise HeldError("another process that began at the same moment")

    def encode(self) -> bytes:
        return json.dumps(asdict(self.holder)).encode()

    def is_ours(self) -> bool:
        try:
            return read_as(Holder, self.path.read_bytes()).token == self.holder.token
        except (FileNotFoundError, ValueError):
            return False

    def renew_until_ended(self) -> None:
        while not self.ending.wait(RENEW_SECONDS):
            try:
                self.renew()
            except StoreError as error:  # tried again, while the lease lasts
                if time.monotonic() - self.renewed_seconds > LEASE_SECONDS - RENEW_SECONDS:
                    self.lost = f"it could not be renewed for {LEASE_SECONDS:g} s ({error.strerror})"

    def renew(self) -> None:
        started = time.monotonic()
        if not self.is_ours():
            self.lost = "another run has taken it over"
            return
        self.path.write_bytes(self.encode())
        self.renewed_seconds = started

    def check(self) -> None:
        """Raise an error if another one may hold the object now."""
        if self.lost:
            raise RunError(
                f"{self.path}: this run has lost its hold of DEST: {self.lost}. What is done is kept."
            )

    def release(self) -> None:
        self.ending.set()
        self.thread.join(END_SECONDS)
        with suppress(StoreError):  # it ends by itself
            if not self.lost and self.is_ours():
                self.path.unlink(missing_ok=True)


@contextmanager
def leased(path: StorePath, wait_seconds: float = 0.0) -> Iterator[Lease]:
    """Hold an object, as soon as it is free; a HeldError after some seconds."""
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            lease = Lease(path)
            break
        except HeldError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(POLL_SECONDS)
    try:
        yield lease
    finally:
        lease.release()
