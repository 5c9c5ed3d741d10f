"""A folder that `save_to_disk` wrote."""

from collections.abc import Sequence

from datasets import DatasetDict, load_from_disk

from ..compat.datasets_internals import get_fingerprint
from ..provenance import read_provenance
from .source import BaseFolder, Source, SourceError, SourceRequest, check_utf8_names


def open_saved(request: SourceRequest) -> Source | None:
    """A saved Dataset, or one split of a saved DatasetDict."""
    folder = request.path
    is_dict = (folder / "dataset_dict.json").is_file()
    if not is_dict and not ((folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()):
        return None
    request.check_options("a saved dataset", "split")
    check_utf8_names(folder)
    saved = load_from_disk(str(folder))
    if isinstance(saved, DatasetDict):
        split = pick_split(request.name, list(saved), request.split)
        saved, folder = saved[split], folder / split
    elif request.split is not None:
        raise SourceError(
            f"{request.name}: it is one dataset without splits; leave split={request.split!r} out."
        )
    base_folders = (BaseFolder(0, str(folder.absolute())),)
    return Source(
        request.name, saved, get_fingerprint(saved), base_folders, provenance=read_provenance(saved)
    )


def pick_split(name: str, splits: Sequence[str], wanted: str | None) -> str:
    """The wanted split, or the only one."""
    if wanted is None and len(splits) == 1:
        return splits[0]
    if wanted is None or wanted not in splits:
        problem = "name one" if wanted is None else f"{wanted!r} is none of them"
        raise SourceError(
            f"{name} has the splits {', '.join(map(repr, splits))}: {problem} with --split (split=)."
        )
    return wanted
