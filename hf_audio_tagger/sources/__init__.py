"""SOURCE → rows: whatever a person names, opened as one dataset whose media are never decoded here.

source = open_source("clips/")  # or rows.jsonl, "parts/*.parquet", a save_to_disk folder, "user/name"
source.rows(0, 100)             # an Arrow table, cells as they are stored
"""

import os
from pathlib import Path

from datasets import Dataset, IterableDataset

from ..compat.datasets_internals import get_fingerprint
from ..digests import digest_values
from ..provenance import read_provenance
from .data_files import KINDS, data_files, open_files
from .hub import is_hub_id, open_hub
from .media_folder import open_media_folder
from .saved import is_saved, open_saved
from .source import Source, SourceError, refuse_odd_names
from .streams import identity_of, with_features

__all__ = ["Source", "SourceError", "open_source"]


def open_source(
    source: str | os.PathLike[str] | Dataset | IterableDataset,
    *,
    config: str | None = None,
    split: str | None = None,
    streaming: bool = False,
    token: str | bool | None = None,
    follow_links: bool = False,
) -> Source:
    """Open what a person names: a folder, data files, a `save_to_disk` folder, a Hub id, or a dataset.

    Args:
        source: a path, a glob in a string, "user/name", or a dataset of `datasets`.
        config: of a Hub dataset, its config (subset).
        split: of a Hub dataset or a saved DatasetDict; needed where there are several.
        streaming: of a Hub dataset or data files: read rows as they come, with no copy on this disk.
        token: for private or gated datasets.
        follow_links: of a folder of media, read also what its links name outside of it. Without, such
            files are rows that fail, and such folders are not entered: a folder from elsewhere could
            have any file of this machine pushed.

    >>> open_source("clips/").row_count  # doctest: +SKIP
    1234
    """
    if isinstance(source, Dataset):
        return Source("<dataset>", source, get_fingerprint(source), provenance=read_provenance(source))
    if isinstance(source, IterableDataset):
        stream = with_features(source)
        return Source(
            "<stream>",
            stream,
            digest_values("stream", identity_of(stream)),
            provenance=read_provenance(source),
        )
    name = os.fspath(source)
    path = Path(name).expanduser()
    if path.is_dir() and not is_saved(path):
        refuse(streaming=streaming, config=config, split=split)
        refuse_odd_names(path)
        return open_media_folder(name, path, follow_links)
    if follow_links:
        raise SourceError("follow_links= goes with a folder of media; nothing else has links to follow.")
    if is_saved(path):
        refuse(streaming=streaming, config=config)
        refuse_odd_names(path)
        return open_saved(name, path, split)
    if files := data_files(path):
        refuse(config=config, split=split)
        refuse_odd_names(*files)
        return open_files(name, files, streaming)
    hub_name = name.removeprefix("hf://datasets/").strip("/")
    if is_hub_id(hub_name):
        return open_hub(hub_name, config, split, streaming, token)
    raise SourceError(f"{name}: there is nothing to read here. A source is {KINDS}.")


def refuse(**options: object) -> None:
    """Options that this kind of source has no use for are told, and not passed over."""
    for name, value in options.items():
        if value:
            raise SourceError(f"{name}= ({value!r}) goes with a dataset on the Hub, not with files here.")
