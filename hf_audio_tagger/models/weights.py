"""Weights that come as one file: where it is, or the URL that it is downloaded from. Imports no torch."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ..cells import is_url
from ..errors import ModelError, SettingsError
from .download import download

CACHE_VARIABLE = "HF_AUDIO_TAGGER_CACHE"
URL_SCHEMES = ("http", "https", "file")


@dataclass(frozen=True)
class Release:
    """The names of a model's files of weights, and where their authors publish them."""

    model: str  # its name in build_tagger
    files: tuple[str, ...]  # looked for in the cache folder, in this order
    sources: tuple[str, ...]  # for people to read; nothing is downloaded from them


def cache_folder() -> Path:
    """`$HF_AUDIO_TAGGER_CACHE`, or `~/.cache/hf_audio_tagger`."""
    folder = os.environ.get(CACHE_VARIABLE)
    return Path(folder) if folder else Path.home() / ".cache" / "hf_audio_tagger"


def check_weights(weights: str) -> None:
    """Refuse a path without a file, and a URL that cannot be downloaded; its secrets are not shown."""
    if not is_url(weights):
        if not os.path.isfile(os.path.expanduser(weights)):
            raise SettingsError(f"weights={weights!r}: there is no such file.")
        return
    url = urlsplit(weights)
    if url.scheme not in URL_SCHEMES or "@" in url.netloc:
        raise SettingsError(
            f"weights={without_secrets(weights)!r} must be a path, or an http, https or file URL without a "
            "user's name and password."
        )


def find_weights(weights: str | Path | None, release: Release) -> Path:
    """The file that the user names by path or URL, or the one in the cache folder.

    A URL is downloaded once, to a file in the cache folder that is no default. Remove it to download again.
    """
    if weights is None:
        return find_cached(release)
    path = locate_weights(str(weights), release)
    if path.is_file():
        return path
    if not is_remote(str(weights)):
        raise ModelError(f"no weights at {path}")
    try:
        download(str(weights), path)
    except OSError as error:
        shown = without_secrets(str(weights))
        raise ModelError(f"cannot download {shown} to {path.parent}: {error}") from error
    return path


def is_here(weights: str, release: Release) -> bool:
    """True for weights that are read without a download: a path, or a URL that was downloaded before."""
    return not is_remote(weights) or locate_weights(weights, release).is_file()


def is_remote(weights: str) -> bool:
    return weights.lower().startswith(("http://", "https://"))


def locate_weights(weights: str, release: Release) -> Path:
    """The file of a path or URL, which may have to be downloaded."""
    if is_remote(weights):
        digest = hashlib.sha256(weights.encode()).hexdigest()[:16]
        return cache_folder() / f"{release.model}-{digest}{Path(urlsplit(weights).path).suffix}"
    scheme, separator, _ = weights.partition("://")
    if separator and scheme.lower() != "file":
        raise ModelError(f"weights must be a path or a URL of http, https or file; got {scheme.lower()}://")
    return Path(url2pathname(urlsplit(weights).path) if separator else weights).expanduser()


def find_cached(release: Release) -> Path:
    folder = cache_folder()
    for name in release.files:
        if (folder / name).is_file():
            return folder / name
    raise ModelError(
        f"no weights for {release.model!r}: {folder} holds no {' or '.join(release.files)}. "
        f"They are published at {' and '.join(release.sources)}. Put one there, or name a path or "
        f'URL: build_tagger("{release.model}", weights="{release.files[0]}")'
    )


def without_secrets(url: str) -> str:
    """A URL as it may be shown and stored: no user, no password, no query.

    >>> without_secrets("https://user:word@example.org/yamnet.h5?signature=abc")
    'https://example.org/yamnet.h5'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
