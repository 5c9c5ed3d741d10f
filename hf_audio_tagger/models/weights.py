"""Weights in a single file: packaged, in the cache folder, or named by path or URL. Does not import torch."""

import hashlib
import os
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from ..cells import is_url
from ..errors import ModelError, SettingsError
from .downloads import fetch, without_secrets

URL_SCHEMES = ("http", "https", "file")


@dataclass(frozen=True)
class Release:
    """A model's weight files, and where they are published.

    A file in the cache folder comes first, then the packaged one. A model that has none is downloaded from
    the first URL into the cache folder, under the first name.
    """

    model: str  # its name in build_tagger
    files: tuple[str, ...]  # looked for in the cache folder, in this order
    urls: tuple[str, ...]
    packaged: Path | None = None


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


def find_weights(weights: str | None, release: Release, check: Callable[[Path], object]) -> Path:
    """The file given by path or URL, else the model's own. What is not on disk is downloaded.

    A URL is downloaded once, to a separate file in the cache folder, if `check` raises no `ModelError` for
    what it holds. Remove that file to download again.
    """
    if weights is None:
        return find_own_weights(release) or fetch_own_weights(release, check)
    path = locate_weights(weights, release)
    if path.is_file():
        return path
    if not is_remote(weights):
        raise ModelError(f"no weights at {path}")
    fetch(weights, path, check)
    return path


def find_own_weights(release: Release) -> Path | None:
    """A model's own weights, if they are on disk."""
    paths = (cache_folder() / name for name in release.files)
    return next((path for path in paths if path.is_file()), release.packaged)


def fetch_own_weights(release: Release, check: Callable[[Path], object]) -> Path:
    url, path = release.urls[0], cache_folder() / release.files[0]
    try:
        refuse_offline(url)
        fetch(url, path, check)
    except ModelError as error:
        raise ModelError(
            f"no weights for {release.model!r}: {path.parent} holds no {' or '.join(release.files)}, and "
            f"{error}. {advise(release)}"
        ) from error
    return path


def refuse_offline(url: str) -> None:
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise ModelError(f"HF_HUB_OFFLINE=1 forbids the network, where {url} is")


def advise(release: Release) -> str:
    """What to do where weights are not on disk and cannot be downloaded."""
    name = release.files[0]
    return (
        f"Download {' or '.join(release.urls)} where there is a network and put it into {cache_folder()} "
        f'here, or name a path or URL: build_tagger("{release.model}", weights="{name}"). '
        'build_tagger("yamnet") is packaged and needs no network.'
    )


def is_here(weights: str | None, release: Release) -> bool:
    """Whether weights are on disk, or will be read from a path; False where they need a download."""
    if weights is None:
        return find_own_weights(release) is not None
    return not is_remote(weights) or locate_weights(weights, release).is_file()


def is_remote(weights: str) -> bool:
    return weights.lower().startswith(("http://", "https://"))


def locate_weights(weights: str, release: Release) -> Path:
    """The file of a path or URL, which may have to be downloaded."""
    url = urlsplit(weights)
    if is_remote(weights):
        digest = hashlib.sha256(weights.encode()).hexdigest()[:16]
        is_own = release.packaged is None and weights == release.urls[0]
        name = release.files[0] if is_own else f"{release.model}-{digest}{Path(url.path).suffix}"
        return cache_folder() / name
    return Path(urllib.request.url2pathname(url.path) if url.scheme == "file" else weights).expanduser()


def digest_file(path: str) -> str:
    """The digest of a file's content, cached by size and modification time."""
    info = os.stat(path)
    return _digest_content(path, info.st_size, info.st_mtime_ns, info.st_ino)


@lru_cache(maxsize=64)
def _digest_content(path: str, size: int, mtime_ns: int, inode: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
