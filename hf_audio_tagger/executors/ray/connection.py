"""The connection of this process to a Ray cluster."""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray

from ...compat.other_libraries import find_ray_address, without_ray_messages
from ...errors import ProcessError
from ...text import one_line

CONNECT_SECONDS = 10.0
# Ray's own lines would break the bar: of its C++ part each start of a worker is an error, since its settings
# are in the object store of this machine, which has to last as long as the run in any case.
QUIET = {"RAY_BACKEND_LOG_LEVEL": "fatal", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Connect to a cluster, unless this program is connected to one already."""
    if ray.is_initialized():
        yield
        return
    named = find_ray_address() if address == "auto" else address
    if ":" in named and "://" not in named:
        check_port(named)
    on_sigterm = signal.getsignal(signal.SIGTERM)
    before = {name: os.environ.get(name) for name in QUIET}
    os.environ.update({name: value for name, value in QUIET.items() if before[name] is None})
    options: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    try:
        with silenced():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise ProcessError(
            f"No Ray cluster can be reached at {address!r} ({one_line(error, 200)}). Start one with "
            "`ray start --head`, give its address, or take address='local' for this machine alone."
        ) from error
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray would end the process at once
    try:
        with without_ray_messages():
            yield
    finally:
        ray.shutdown()


@contextmanager
def silenced() -> Iterator[None]:
    """Ray's C++ part tells on standard error that it is told to be quiet; its errors are exceptions."""
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def check_port(address: str) -> None:
    """Raise an error if nothing listens there: Ray itself would try for a minute."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        raise ProcessError(
            f"No Ray cluster answers at {address} ({error}). Check the address, and RAY_ADDRESS; `ray stop` "
            "forgets a cluster of this machine that has ended."
        ) from error
