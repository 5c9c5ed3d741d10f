"""Weights that come as one file: where it lies, and the download of a URL. Imports no torch."""

import hashlib
import os
import tempfile
import threading
import time
import urllib.request
from concurrent.futures import Future, wait
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ..errors import ModelError

CACHE_VARIABLE = "HF_AUDIO_TAGGER_CACHE"
URL_SCHEMES = ("http", "https", "file")
TIMEOUT_SECONDS = 60.0  # without a byte from the server
PATIENCE_SECONDS = 60.0  # a download that takes longer has to keep up LEAST_BYTES_A_SECOND
LEAST_BYTES_A_SECOND = 20_000
LARGEST_BYTES = 1 << 30  # VGGish, the largest, has 289 MB


@dataclass(frozen=True)
class Release:
    """How a model's weights are called, and where their authors publish them."""

    model: str  # what build_tagger calls it
    files: tuple[str, ...]  # looked for in the cache folder, in this order
    sources: tuple[str, ...]  # for people to read; nothing is fetched that they did not name


YAMNET = Release(
    model="yamnet",
    files=("yamnet.pth", "yamnet.h5"),
    sources=(
        "https://github.com/w-hc/torch_audioset/releases/download/v0.1/yamnet.pth (PyTorch)",
        "https://storage.googleapis.com/audioset/yamnet.h5 (Keras)",
    ),
)
VGGISH = Release(
    model="vggish",
    files=("vggish_with_classifier.pth", "vggish_orig.pth"),
    sources=(
        "https://github.com/w-hc/vggish/releases/download/v0.1/vggish_with_classifier.pth",
        "https://github.com/w-hc/vggish/releases/download/v0.1/vggish_orig.pth (no tags)",
    ),
)
RELEASES = {release.model: release for release in (YAMNET, VGGISH)}


def cache_folder() -> Path:
    """`$HF_AUDIO_TAGGER_CACHE`, or `~/.cache/hf_audio_tagger`."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named) if named else Path.home() / ".cache" / "hf_audio_tagger"


def find_weights(weights: str | Path | None, release: Release) -> Path:
    """The file that the user names by path or URL, or the one in the cache folder."""
    if weights is None:
        return _cached(release)
    scheme, separator, _ = str(weights).partition("://")
    scheme = scheme.lower()
    if separator and scheme not in URL_SCHEMES:
        raise ModelError(f"weights come from a path, http, https or file, not {scheme}://")
    if separator and scheme != "file":
        return _download(str(weights), release)
    path = Path(url2pathname(urlsplit(str(weights)).path) if separator else weights).expanduser()
    if not path.is_file():
        raise ModelError(f"no weights at {path}")
    return path


def is_here(weights: str, release: Release) -> bool:
    """True for weights that are read without a download: a path, or a URL whose file is there already."""
    scheme, separator, _ = weights.partition("://")
    return not separator or scheme.lower() == "file" or _downloaded(weights, release).is_file()


def without_secrets(url: str) -> str:
    """A URL as it may be shown and stored: no user, no password, no query.

    >>> without_secrets("https://user:word@example.org/yamnet.h5?signature=abc")
    'https://example.org/yamnet.h5'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _cached(release: Release) -> Path:
    folder = cache_folder()
    for name in release.files:
        if (folder / name).is_file():
            return folder / name
    raise ModelError(
        f"no weights for {release.model!r}: {folder} holds no {' or '.join(release.files)}. "
        f"They are published at {' and '.join(release.sources)}. Put one there, or name a path or "
        f'URL: build_tagger("{release.model}", weights="{release.files[0]}")'
    )


def _download(url: str, release: Release) -> Path:
    """`url` in the cache folder, fetched once. Under a name of its own: it is no default.

    The server is not asked again while the file is there. Remove it to download the URL anew.
    """
    path = _downloaded(url, release)
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _fetch(url, path)
    except (OSError, ValueError, HTTPException) as error:  # URLError, timeouts: OSErrors
        raise ModelError(f"cannot download {without_secrets(url)} to {path.parent}: {error}") from error
    return path


def _downloaded(url: str, release: Release) -> Path:
    """Where the file of `url` lies once it is downloaded."""
    digest = hashlib.sha256(url.encode()).hexdigest()[:16]
    return cache_folder() / f"{release.model}-{digest}{Path(urlsplit(url).path).suffix}"


def _fetch(url: str, path: Path) -> None:
    """Whole or not at all: other processes may read `path` at any time."""
    with _open(url) as response:
        handle, part = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
        try:
            with open(handle, "wb") as file:
                size = _copy(response, file)
                file.flush()
                os.fsync(file.fileno())
            told = response.headers.get("Content-Length")
            if told is not None and int(told) != size:  # urllib takes a lost connection for the end
                raise OSError(f"{size} bytes came of {told}")
            os.replace(part, path)
        finally:
            Path(part).unlink(missing_ok=True)


def _open(url: str) -> HTTPResponse:
    """The answer, once its headers are there: urllib's own timeout begins again with each byte of them."""
    answer: Future[HTTPResponse] = Future()

    def ask() -> None:
        try:
            answer.set_result(urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS))
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=ask, name="weights", daemon=True).start()
    seconds = TIMEOUT_SECONDS + PATIENCE_SECONDS
    if not wait([answer], seconds).done:
        raise OSError(f"the server did not send the beginning of its answer in {seconds:g} s")
    return answer.result()


def _copy(response: HTTPResponse, file: BinaryIO) -> int:
    """How many bytes came. A server that is too slow, or does not stop, is given up."""
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
