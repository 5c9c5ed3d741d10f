"""Converted networks, kept in the cache folder: the next process maps one into memory and compiles it.

What is kept is the converted network with its weights, not what OpenVINO compiles from it: compiling
takes a second, and depends on the processor.
"""

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ...atomic_files import temporary_path
from ...digests import digest_values
from ...file_locks import hold_lock
from ..weights import cache_folder
from .conversion import LARGE_BYTES, NetworkSource, convert, convert_apart, save

# The code that makes a network of weights: where it changes, kept networks are made again.
MAKERS = ("networks/*.py", "ast_checkpoint.py", "engines/conversion.py")
CODE = tuple(path for name in MAKERS for path in sorted(Path(__file__).parents[1].glob(name)))
LIBRARIES = ("openvino", "torch", "transformers")  # whose versions a converted network depends on
MODEL, WEIGHTS, DIGESTS = "network.xml", "network.bin", "digests.json"
KEPT_NETWORKS = 8  # most recently used; AST-base takes 346 MB, in int8 90 MB
WAIT_SECONDS = 900.0  # for another process that converts the same network


def open_network(source: NetworkSource, is_int8: bool) -> Any:
    """The converted network, from the cache folder if it is there, else put there for the next process."""
    if source.identity is None:
        return convert(source, is_int8)
    entry = cache_folder() / "openvino" / name_entry(source, is_int8)
    model = read_entry(entry)
    if model is not None:
        return model
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with hold_lock(entry.with_name(f".{entry.name}.lock"), WAIT_SECONDS):
            model = read_entry(entry)  # another process may have made it meanwhile
            if model is None:
                make_entry(source, is_int8, entry)
                model = read_entry(entry)
    except OSError as error:
        warnings.warn(
            f"The network that OpenVINO computes is not kept for the next start: {error}. Free some space, "
            "or set HF_AUDIO_TAGGER_CACHE to a folder that can be written.",
            stacklevel=2,
        )
    return convert(source, is_int8) if model is None else model


def name_entry(source: NetworkSource, is_int8: bool) -> str:
    versions = [(library, version(library)) for library in LIBRARIES]
    code = [path.read_bytes() for path in CODE]
    return digest_values(code, source.identity, source.row_shape, is_int8, versions)


def read_entry(entry: Path) -> Any:
    """A kept network; None where there is none, or one that is damaged."""
    import openvino

    try:
        if digest_entry(entry) != json.loads((entry / DIGESTS).read_bytes()):
            return None
        model = openvino.Core().read_model(entry / MODEL)
    except (OSError, ValueError, RuntimeError):
        return None
    with suppress(OSError):  # of a folder that can only be read
        os.utime(entry)
    return model


def digest_entry(entry: Path) -> dict[str, str]:
    digests = {}
    for name in (MODEL, WEIGHTS):
        with open(entry / name, "rb") as file:
            digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def make_entry(source: NetworkSource, is_int8: bool, entry: Path) -> None:
    """Convert a network and put it into place in one step. Its lock is held, so leftovers are nobody's."""
    remove(*entry.parent.glob(f".{entry.name}.*.tmp"))
    part = temporary_path(entry)
    part.mkdir()
    try:
        if source.weights_bytes < LARGE_BYTES:
            save(convert(source, is_int8), part / MODEL)
        else:
            convert_apart(source, is_int8, part / MODEL)
        (part / DIGESTS).write_text(json.dumps(digest_entry(part)))
        remove(entry)  # a damaged one
        os.replace(part, entry)
    finally:
        remove(part)
    with suppress(OSError):  # where another process removes the same ones
        remove(*list_oldest(entry.parent))


def list_oldest(folder: Path) -> Iterator[Path]:
    """All entries but those most recently used."""
    entries = [path for path in folder.iterdir() if not path.name.startswith(".") and path.is_dir()]
    yield from sorted(entries, key=lambda path: path.stat().st_mtime)[:-KEPT_NETWORKS]


def remove(*folders: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
