"""One split of a dataset on the Hub."""

from pathlib import Path

from datasets import load_dataset

from ..compat.datasets_internals import get_fingerprint
from ..digests import digest_values
from ..provenance import read_hub_provenance
from ..settings import HUB_ID
from ..text import one_line
from .data_files import BUILDERS
from .saved import pick_split
from .source import BaseFolder, Source, SourceError, SourceRequest
from .streams import ensure_features


def open_hub(request: SourceRequest) -> Source | None:
    """One split of a dataset on the Hub. Relative paths in text columns start at its root."""
    name = request.name.removeprefix("hf://datasets/").strip("/")
    is_file_name = Path(name).suffix.lower() in {*BUILDERS, ".txt"}
    if is_file_name or not HUB_ID.fullmatch(name):
        return None
    request.check_options("a dataset on the Hub", "config", "split", "streaming")
    from datasets import get_dataset_split_names

    config, split, token = request.config, request.split, request.token
    try:
        if split is None:
            split = pick_split(name, get_dataset_split_names(name, config, token=token), None)
        dataset = load_dataset(name, config, split=split, streaming=request.streaming, token=token)
        if request.streaming:
            dataset = ensure_features(dataset)
            fingerprint = digest_values(find_commit(name, token), config, split)
        else:
            fingerprint = get_fingerprint(dataset)
    except SourceError:
        raise
    except Exception as error:  # of datasets, huggingface_hub, fsspec and their HTTP clients
        raise SourceError(
            f"{name}: it is no file here, and reading it from the Hub failed ({one_line(error)})."
        ) from error
    base_folders = (BaseFolder(0, f"hf://datasets/{name}"),)
    provenance = read_hub_provenance(name, config, split, token)
    return Source(name, dataset, fingerprint, base_folders, provenance=provenance)


def find_commit(name: str, token: str | bool | None) -> str | None:
    """The dataset's commit, by which a resumed run sees that the rows are the same."""
    from huggingface_hub import HfApi

    return HfApi(token=token).dataset_info(name).sha
