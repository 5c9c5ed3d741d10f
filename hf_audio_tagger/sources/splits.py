"""Datasets with splits: folders written by `save_to_disk`, and datasets on the Hub. One split is read."""

from collections.abc import Sequence
from pathlib import Path

import datasets.config
from datasets import DatasetDict, load_dataset, load_from_disk
from huggingface_hub import HfApi
from huggingface_hub.errors import (
    HfHubHTTPError,
    HTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from ..compat.datasets_internals import get_fingerprint
from ..digests import digest_values
from ..media_paths import MEDIA_SUFFIXES, get_suffix
from ..provenance import read_hub_provenance, read_provenance
from ..settings import HUB_ID
from ..text import one_line
from .data_files import BUILDERS
from .source import Source, SourceError, SourceRequest, check_utf8_names
from .streams import ensure_features

HUB_PREFIX = "hf://datasets/"
NOT_HERE = "there is no such file or folder"
CONNECT_SECONDS = 5


def open_saved(request: SourceRequest) -> Source | None:
    """A saved Dataset, or one split of a saved DatasetDict."""
    name, folder = request.name, request.path
    is_dict = (folder / "dataset_dict.json").is_file()
    if not is_dict and not ((folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()):
        return None
    request.check_options("a saved dataset", "split")
    check_utf8_names(folder)
    saved = load_from_disk(str(folder))
    if isinstance(saved, DatasetDict):
        split = pick_split(name, list(saved), request.split)
        saved, folder = saved[split], folder / split
    elif request.split is not None:
        raise SourceError(f"{name}: it is one dataset without splits; leave split={request.split!r} out.")
    base_folders = ((0, str(folder.absolute())),)
    return Source(name, saved, get_fingerprint(saved), base_folders, provenance=read_provenance(saved))


def open_hub(request: SourceRequest) -> Source | None:
    """One split of a dataset on the Hub. Relative paths in text columns start at its root."""
    name = request.name.removeprefix(HUB_PREFIX).strip("/")
    is_file_name = get_suffix(name) in {*BUILDERS, ".txt", *MEDIA_SUFFIXES}
    is_named = request.name.startswith(HUB_PREFIX) or "/" in name  # a name alone is a file that is not there
    if is_file_name or not is_named or not HUB_ID.fullmatch(name):
        return None
    request.check_options("a dataset on the Hub", "config", "split", "streaming")
    from datasets import get_dataset_split_names

    config, split, token = request.config, request.split, request.token
    commit = find_commit(name, token)
    try:
        if split is None:
            split = pick_split(name, get_dataset_split_names(name, config, token=token), None)
        dataset = load_dataset(name, config, split=split, streaming=request.streaming, token=token)
        if request.streaming:
            dataset = ensure_features(dataset)
            # With the commit, a resumed run can check that the rows are the same.
            fingerprint = digest_values(commit, config, split)
        else:
            fingerprint = get_fingerprint(dataset)
    except SourceError:
        raise
    except Exception as error:  # of datasets, huggingface_hub, fsspec and their HTTP clients
        reason = one_line(error)
        raise SourceError(f"{name}: {NOT_HERE}, and reading it from the Hub failed ({reason}).") from error
    base_folders = ((0, f"hf://datasets/{name}"),)
    provenance = read_hub_provenance(name, config, split, token)
    return Source(name, dataset, fingerprint, base_folders, provenance=provenance)


def find_commit(name: str, token: str | bool | None) -> str | None:
    """The newest commit of a dataset; None if the Hub cannot be reached, but there is a copy in the cache.

    `datasets` tries for half a minute before it says that there is no such dataset, or no connection.
    """
    try:
        return HfApi(token=token).dataset_info(name, timeout=CONNECT_SECONDS).sha
    except RepositoryNotFoundError as error:
        raise SourceError(
            f"{name}: {NOT_HERE}, nor a dataset on the Hub of this name that you may read. For a private or "
            "gated one, log in with `hf auth login` or pass token=."
        ) from error
    except (HTTPError, OSError) as error:
        if is_cached(name):
            return None
        if isinstance(error, OfflineModeIsEnabled):
            reason = "the Hub is not asked: HF_HUB_OFFLINE is set"
        elif isinstance(error, HfHubHTTPError):
            reason = f"reading a dataset of this name from the Hub failed ({one_line(error)})"
        else:
            reason = f"the Hub cannot be reached for a dataset of this name ({one_line(error)})"
        raise SourceError(f"{name}: {NOT_HERE}, and {reason}.") from error


def is_cached(name: str) -> bool:
    """True if `datasets` has loaded the dataset before."""
    folder = Path(datasets.config.HF_DATASETS_CACHE) / name.replace("/", "___")
    return folder.is_dir()


def pick_split(name: str, splits: Sequence[str], wanted: str | None) -> str:
    """The wanted split, or the only one."""
    if wanted is None and len(splits) == 1:
        return splits[0]
    if wanted is None or wanted not in splits:
        problem = "name one" if wanted is None else f"{wanted!r} is none of them"
        known = ", ".join(map(repr, splits))
        raise SourceError(f"{name} has the splits {known}: {problem} with split=.")
    return wanted
