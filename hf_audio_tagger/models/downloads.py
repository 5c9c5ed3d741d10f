"""Downloads of weights: once for all processes, whole or not at all, within limits of time and size."""

import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import Future, wait
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from threading import Thread
from typing import Any, BinaryIO, TypeVar
from urllib.parse import urlsplit

from ..atomic_files import open_atomic
from ..errors import ModelError
from ..file_locks import hold_lock

TIMEOUT_SECONDS = 60.0  # without data from the server
PATIENCE_SECONDS = 60.0  # longer downloads must average LEAST_BYTES_A_SECOND
LEAST_BYTES_A_SECOND = 20_000
LARGEST_BYTES = 1 << 30  # VGGish, the largest, has 289 MB
LOCK_SECONDS = 3_600.0  # for another process that downloads the same file

Result = TypeVar("Result")


def without_secrets(url: str) -> str:
    """A URL without user, password and query, which may be shown and stored.

    >>> without_secrets("https://user:word@example.org/yamnet.h5?signature=abc")
    'https://example.org/yamnet.h5'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def fetch(url: str, path: Path, check: Callable[[Path], object]) -> None:
    """Download a file that `check` accepts to `path`, if no other process has done so meanwhile.

    Raises `ModelError`, also that of `check`, with the URL in place of the temporary file's name.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with hold_lock(path.with_name(f".{path.name}.lock"), LOCK_SECONDS):
            if not path.is_file():
                download(url, path, check)
    except (OSError, ValueError, HTTPException) as error:
        raise ModelError(f"cannot download {without_secrets(url)} to {path.parent}: {error}") from error


def download(url: str, path: Path, check: Callable[[Path], object]) -> None:
    """Download to `path` atomically; the caller holds its lock."""
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):
        leftover.unlink(missing_ok=True)  # of a process that was killed
    seconds = TIMEOUT_SECONDS + PATIENCE_SECONDS  # urllib's timeout restarts with each byte of the headers
    with (
        call_with_deadline(lambda: urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS), seconds) as response,
        open_atomic(path) as file,
    ):
        length = response.headers.get("Content-Length")
        with show_bar(path.name, None if length is None else int(length)) as bar:
            size = copy_body(response, file, bar.update)
        if length is not None and int(length) != size:  # urllib ignores a lost connection
            raise OSError(f"received only {size} bytes of {length}")
        file.flush()
        try:
            check(Path(file.name))
        except ModelError as error:
            raise ModelError(str(error).replace(file.name, without_secrets(url))) from error


def show_bar(name: str, total: int | None) -> Any:
    """A bar on a terminal, unless HF_HUB_DISABLE_PROGRESS_BARS hides it, as it does those of the Hub."""
    from huggingface_hub.utils import tqdm

    return tqdm(total=total, unit="B", unit_scale=True, desc=name, disable=None)


def call_with_deadline(function: Callable[[], Result], seconds: float) -> Result:
    """Call the function in a thread, with a time limit: a request's own timeout does not cover everything."""
    result: Future[Result] = Future()

    def run() -> None:
        try:
            result.set_result(function())
        except BaseException as error:
            result.set_exception(error)

    Thread(target=run, daemon=True).start()
    if not wait([result], seconds).done:
        raise TimeoutError(f"no answer within {seconds:g} s")
    return result.result()


def copy_body(response: HTTPResponse, file: BinaryIO, advance: Callable[[int], object]) -> int:
    """Copy a download and return its size. Raises if it is too slow or too large."""
    started = time.monotonic()
    size = 0
    while block := response.read1(1 << 16):  # `read` would wait for the full size
        size += file.write(block)
        advance(len(block))
        seconds = time.monotonic() - started
        if size > LARGEST_BYTES:
            raise OSError(f"it has more than {LARGEST_BYTES} bytes, and weights are smaller")
        if seconds > PATIENCE_SECONDS and size < seconds * LEAST_BYTES_A_SECOND:
            raise OSError(f"only {size / seconds:.0f} bytes a second, fewer than {LEAST_BYTES_A_SECOND}")
    return size


def ask_size(url: str, seconds: float) -> int | None:
    """The size of a file as its server tells it. Downloads nothing; raises OSError without an answer."""
    request = urllib.request.Request(url, method="HEAD")
    with call_with_deadline(lambda: urllib.request.urlopen(request, timeout=seconds), seconds) as response:
        length = response.headers.get("Content-Length")
        return None if length is None else int(length)
