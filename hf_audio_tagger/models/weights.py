"""Weights that come as one file: where it lies, what it holds, and into the network with it."""

import hashlib
import os
import shutil
import tempfile
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import torch
from torch import Tensor, nn

from ..errors import ModelError

CACHE_VARIABLE = "HF_AUDIO_TAGGER_CACHE"
TIMEOUT_SECONDS = 60.0  # without a byte from the server
KEYS_SHOWN = 5  # of each kind that does not fit


@dataclass(frozen=True)
class Release:
    """How a model's weights are called, and where their authors publish them."""

    model: str  # what build_tagger calls it
    files: tuple[str, ...]  # looked for in the cache folder, in this order
    sources: tuple[str, ...]  # for people to read; nothing is fetched that they did not name


def cache_folder() -> Path:
    """`$HF_AUDIO_TAGGER_CACHE`, or `~/.cache/hf_audio_tagger`."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named) if named else Path.home() / ".cache" / "hf_audio_tagger"


def find_weights(weights: str | Path | None, release: Release) -> Path:
    """The file that the user names by path or URL, or the one in the cache folder."""
    if weights is None:
        return _cached(release)
    scheme, separator, _ = str(weights).partition("://")
    if separator and scheme in ("http", "https"):
        return _download(str(weights), release)
    if separator and scheme != "file":
        raise ModelError(f"weights come from a path, http, https or file, not {scheme}://")
    path = Path(url2pathname(urlsplit(str(weights)).path) if separator else weights).expanduser()
    if not path.is_file():
        raise ModelError(f"no weights at {path}")
    return path


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
    """`url` in the cache folder, fetched once. Under a name of its own: it is no default."""
    digest = hashlib.sha256(url.encode()).hexdigest()[:16]
    path = cache_folder() / f"{release.model}-{digest}{Path(urlsplit(url).path).suffix}"
    if path.is_file():
        return path
    shown = url.partition("?")[0]  # what follows may be a secret
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _fetch(url, path)
    except (OSError, ValueError, HTTPException) as error:  # URLError, timeouts: OSErrors
        raise ModelError(f"cannot download {shown} to {path.parent}: {error}") from error
    return path


def _fetch(url: str, path: Path) -> None:
    """Whole or not at all: other processes may read `path` at any time."""
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:
        handle, part = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
        try:
            with open(handle, "wb") as file:
                shutil.copyfileobj(response, file)
                size = file.tell()
            told = response.headers.get("Content-Length")
            if told is not None and int(told) != size:  # urllib takes a lost connection for the end
                raise OSError(f"{size} bytes came of {told}")
            os.replace(part, path)
        finally:
            Path(part).unlink(missing_ok=True)


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a file that `torch.save` wrote. A pickle that holds more is refused."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file ends in any of a dozen kinds
        raise ModelError(
            f"{path} is refused: it is damaged or holds more than tensors, and no code is run to read weights"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ModelError(f"{path} is no state dict: tensors by name")
    return state


def loaded(build: Callable[[], nn.Module], state: Mapping[str, Tensor], path: Path) -> nn.Module:
    """What `build` makes, with the tensors of `state` in it, ready to run in float32."""
    with torch.device("meta"):  # no time spent on random numbers
        network = build()
    counters = ".num_batches_tracked"  # of training alone; not every file has them
    wanted = {k: v for k, v in network.state_dict().items() if not k.endswith(counters)}
    given = {k: v for k, v in state.items() if not k.endswith(counters)}
    _compare(wanted, given, path)
    network.load_state_dict({k: v.float() for k, v in given.items()}, strict=False, assign=True)
    return network.eval().requires_grad_(False)


def _compare(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], path: Path) -> None:
    complaints = {
        "missing": [k for k in wanted if k not in given],
        "unexpected": [k for k in given if k not in wanted],
        "of the wrong shape": [
            f"{k} {tuple(given[k].shape)}, not {tuple(v.shape)}"
            for k, v in wanted.items()
            if k in given and given[k].shape != v.shape
        ],
    }
    told = [
        f"{len(keys)} {what}: {', '.join(keys[:KEYS_SHOWN])}{', ...' * (len(keys) > KEYS_SHOWN)}"
        for what, keys in complaints.items()
        if keys
    ]
    if told:
        raise ModelError(f"{path} does not fit the network: " + "; ".join(told))
