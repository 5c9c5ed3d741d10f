"""The download of one file, with limits on time and size that hold whatever the server does."""

import os
import tempfile
import threading
import time
import urllib.request
from concurrent.futures import Future, wait
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO

TIMEOUT_SECONDS = 60.0  # without a byte from the server
PATIENCE_SECONDS = 60.0  # a download that takes longer has to keep up LEAST_BYTES_A_SECOND
LEAST_BYTES_A_SECOND = 20_000
LARGEST_BYTES = 1 << 30  # VGGish, the largest, has 289 MB


def download(url: str, path: Path) -> None:
    """Write `path` whole or not at all: other processes may read it at any time. Failures are OSErrors."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open_url(url) as response:
            handle, part = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
            try:
                with open(handle, "wb") as file:
                    size = copy_body(response, file)
                    file.flush()
                    os.fsync(file.fileno())
                length = response.headers.get("Content-Length")
                if length is not None and int(length) != size:  # urllib takes a lost connection for the end
                    raise OSError(f"{size} bytes came of {length}")
                os.replace(part, path)
            finally:
                Path(part).unlink(missing_ok=True)
    except (ValueError, HTTPException) as error:
        raise OSError(str(error)) from error


def open_url(url: str) -> HTTPResponse:
    """The response, once its headers have come. urllib's timeout starts again with each byte of them."""
    response: Future[HTTPResponse] = Future()

    def request() -> None:
        try:
            response.set_result(urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS))
        except BaseException as error:
            response.set_exception(error)

    threading.Thread(target=request, name="weights", daemon=True).start()
    seconds = TIMEOUT_SECONDS + PATIENCE_SECONDS
    if not wait([response], seconds).done:
        raise OSError(f"the server did not send the beginning of its answer in {seconds:g} s")
    return response.result()


def copy_body(response: HTTPResponse, file: BinaryIO) -> int:
    """How many bytes were copied. A server that is too slow, or does not stop, is given up."""
    started = time.monotonic()
    size = 0
    while block := response.read1(1 << 16):  # `read` would wait for all of them
        size += file.write(block)
        seconds = time.monotonic() - started
        if size > LARGEST_BYTES:
            raise OSError(f"it has more than {LARGEST_BYTES} bytes, and no weights are as large")
        if seconds > PATIENCE_SECONDS and size < seconds * LEAST_BYTES_A_SECOND:
            raise OSError(
                f"only {size / seconds:.0f} bytes a second came; {LEAST_BYTES_A_SECOND} are the least"
            )
    return size
