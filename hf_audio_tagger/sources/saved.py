"""A folder that `save_to_disk` wrote."""

from collections.abc import Sequence
from pathlib import Path

from datasets import DatasetDict, load_from_disk

from ..compat.datasets_internals import get_fingerprint
from ..provenance import read_provenance
from .source import Base, Source, SourceError


def is_saved(path: Path) -> bool:
    return (path / "dataset_dict.json").is_file() or (
        (path / "state.json").is_file() and (path / "dataset_info.json").is_file()
    )


def open_saved(name: str, path: Path, split: str | None) -> Source:
    """A saved Dataset, or one split of a saved DatasetDict."""
    saved = load_from_disk(str(path))
    folder = path
    if isinstance(saved, DatasetDict):
        split = one_split(name, list(saved), split)
        saved, folder = saved[split], path / split
    elif split is not None:
        raise SourceError(f"{name}: it is one dataset without splits; leave split={split!r} out.")
    bases = (Base(0, str(folder.absolute())),)
    return Source(name, saved, get_fingerprint(saved), bases, provenance=read_provenance(saved))


def one_split(name: str, there: Sequence[str], asked: str | None) -> str:
    """The split that is asked for, or the only one."""
    if asked is None and len(there) == 1:
        return there[0]
    if asked in there:
        return str(asked)
    wanted = "name one" if asked is None else f"{asked!r} is none of them"
    raise SourceError(f"{name} has the splits {', '.join(map(repr, there))}: {wanted} with --split (split=).")
