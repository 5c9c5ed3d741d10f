"""One split of a dataset on the Hub."""

from pathlib import Path

from datasets import load_dataset

from ..compat.datasets_internals import get_fingerprint
from ..digests import digest_values
from ..provenance import read_hub_provenance
from ..text import one_line
from .data_files import BUILDERS
from .saved import one_split
from .source import Base, Source, SourceError
from .streams import with_features


def is_hub_id(name: str) -> bool:
    """True for what can be "user/name", or "name" alone, and looks like no file."""
    parts = name.split("/")
    plain = all(part and part.replace("-", "").replace("_", "").replace(".", "").isalnum() for part in parts)
    return plain and len(parts) <= 2 and Path(name).suffix.lower() not in {*BUILDERS, ".txt"}


def open_hub(
    name: str, config: str | None, split: str | None, streaming: bool, token: str | bool | None
) -> Source:
    """One split of a dataset on the Hub. Relative paths in text columns begin at its root."""
    from datasets import get_dataset_split_names

    try:
        if split is None:
            split = one_split(name, get_dataset_split_names(name, config, token=token), None)
        dataset = load_dataset(name, config, split=split, streaming=streaming, token=token)
        fingerprint = (
            digest_values(hub_commit(name, token), config, split) if streaming else get_fingerprint(dataset)
        )
        dataset = with_features(dataset) if streaming else dataset
    except SourceError:
        raise
    except Exception as error:  # of datasets, huggingface_hub, fsspec and their HTTP clients
        raise SourceError(
            f"{name}: it is no file here, and reading it from the Hub failed ({one_line(error)})."
        ) from error
    bases = (Base(0, f"hf://datasets/{name}"),)
    provenance = read_hub_provenance(name, config, str(split), token)
    return Source(name, dataset, str(fingerprint), bases, provenance=provenance)


def hub_commit(name: str, token: str | bool | None) -> str | None:
    """The commit that a dataset stands at, by which a run that goes on sees that it is the same."""
    from huggingface_hub import HfApi

    return HfApi(token=token).dataset_info(name).sha
