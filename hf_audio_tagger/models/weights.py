"""Weights in a single file: location, download and digest. Does not import torch."""

import hashlib
import os
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import lru_cache
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import BinaryIO, TypeVar
from urllib.parse import urlsplit

from ..atomic_files import open_atomic
from ..cells import is_url
from ..errors import ModelError, SettingsError

URL_SCHEMES = ("http", "https", "file")
TIMEOUT_SECONDS = 60.0  # without data from the server
PATIENCE_SECONDS = 60.0  # longer downloads must average LEAST_BYTES_A_SECOND
LEAST_BYTES_A_SECOND = 20_000
LARGEST_BYTES = 1 << 30  # VGGish, the largest, has 289 MB

Result = TypeVar("Result")


@dataclass(frozen=True)
class Release:
    """A model's weight files, and where their authors publish them."""

    model: str  # its name in build_tagger
    files: tuple[str, ...]  # looked for in the cache folder, in this order
    sources: tuple[str, ...]  # shown in messages only; nothing is downloaded from them


def cache_folder() -> Path:
    """`$HF_AUDIO_TAGGER_CACHE`, or `~/.cache/hf_audio_tagger`."""
    folder = os.environ.get("HF_AUDIO_TAGGER_CACHE")
    return Path(folder) if folder else Path.home() / ".cache" / "hf_audio_tagger"


def check_weights(weights: str) -> None:
    """Refuse missing files and unsupported URLs, without showing a URL's secrets."""
    url = urlsplit(weights)
    if not is_url(weights):
        if not os.path.isfile(os.path.expanduser(weights)):
            raise SettingsError(f"weights={weights!r}: there is no such file.")
    elif url.scheme not in URL_SCHEMES or "@" in url.netloc:
        raise SettingsError(
            f"weights={without_secrets(weights)!r} must be a path, or an http, https or file URL without a "
            "user's name and password."
        )


def find_weights(weights: str | None, release: Release) -> Path:
    """The file given by path or URL, or the default one in the cache folder.

    A URL is downloaded once, to a separate file in the cache folder. Remove that file to download again.
    """
    if weights is None:
        folder = cache_folder()
        for path in (folder / name for name in release.files):
            if path.is_file():
                return path
        raise ModelError(
            f"no weights for {release.model!r}: {folder} holds no {' or '.join(release.files)}. "
            f"They are published at {' and '.join(release.sources)}. Put one there, or name a path or "
            f'URL: build_tagger("{release.model}", weights="{release.files[0]}")'
        )
    path = locate_weights(weights, release)
    if path.is_file():
        return path
    if not is_remote(weights):
        raise ModelError(f"no weights at {path}")
    try:
        download(weights, path)
    except (OSError, ValueError, HTTPException) as error:
        raise ModelError(f"cannot download {without_secrets(weights)} to {path.parent}: {error}") from error
    return path


def is_here(weights: str, release: Release) -> bool:
    """Whether weights are available without a download: a path, or a URL that was downloaded before."""
    return not is_remote(weights) or locate_weights(weights, release).is_file()


def is_remote(weights: str) -> bool:
    return weights.lower().startswith(("http://", "https://"))


def locate_weights(weights: str, release: Release) -> Path:
    """The file of a path or URL, which may have to be downloaded."""
    url = urlsplit(weights)
    if is_remote(weights):
        digest = hashlib.sha256(weights.encode()).hexdigest()[:16]
        return cache_folder() / f"{release.model}-{digest}{Path(url.path).suffix}"
    return Path(urllib.request.url2pathname(url.path) if url.scheme == "file" else weights).expanduser()


def without_secrets(url: str) -> str:
    """A URL without user, password and query, which may be shown and stored.

    >>> without_secrets("https://user:word@example.org/yamnet.h5?signature=abc")
    'https://example.org/yamnet.h5'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def download(url: str, path: Path) -> None:
    """Download to `path` atomically, with limits on time and size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seconds = TIMEOUT_SECONDS + PATIENCE_SECONDS  # urllib's timeout restarts with each byte of the headers
    with (
        call_with_deadline(lambda: urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS), seconds) as response,
        TemporaryDirectory(dir=path.parent) as folder,
        open_atomic(path, Path(folder)) as file,
    ):
        size = copy_body(response, file)
        length = response.headers.get("Content-Length")
        if length is not None and int(length) != size:  # urllib ignores a lost connection
            raise OSError(f"received only {size} bytes of {length}")


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


def copy_body(response: HTTPResponse, file: BinaryIO) -> int:
    """Copy a download and return its size. Raises if it is too slow or too large."""
    started = time.monotonic()
    size = 0
    while block := response.read1(1 << 16):  # `read` would wait for the full size
        size += file.write(block)
        seconds = time.monotonic() - started
        if size > LARGEST_BYTES:
            raise OSError(f"it has more than {LARGEST_BYTES} bytes, and weights are smaller")
        if seconds > PATIENCE_SECONDS and size < seconds * LEAST_BYTES_A_SECOND:
            raise OSError(f"only {size / seconds:.0f} bytes a second, fewer than {LEAST_BYTES_A_SECOND}")
    return size


def digest_file(path: str) -> str:
    """The digest of a file's content, cached by size and modification time."""
    info = os.stat(path)
    return _digest_content(path, info.st_size, info.st_mtime_ns, info.st_ino)


@lru_cache(maxsize=64)
def _digest_content(path: str, size: int, mtime_ns: int, inode: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
