"""SOURCE → rows: what a person names, opened as one dataset whose media are not decoded here.

source = open_source("clips/")  # or rows.jsonl, "parts/*.parquet", a save_to_disk folder, "user/name"
source.rows(0, 100)             # an Arrow table, cells as they are stored

A kind of source is a file with a function that opens it, or returns None for other kinds, and a line in
`OPENERS`.
"""

import os

from datasets import Dataset, IterableDataset

from ..compat.datasets_internals import get_fingerprint
from ..provenance import read_provenance
from .data_files import KINDS, open_data_files
from .media_folder import open_media_folder
from .source import Source, SourceError, SourceRequest
from .splits import open_hub, open_saved
from .streams import ensure_features, fingerprint_stream

__all__ = ["Source", "SourceError", "open_source"]

OPENERS = (open_saved, open_media_folder, open_data_files, open_hub)  # tried in this order


def open_source(
    source: str | os.PathLike[str] | Dataset | IterableDataset,
    *,
    config: str | None = None,
    split: str | None = None,
    streaming: bool = False,
    token: str | bool | None = None,
    follow_links: bool = False,
) -> Source:
    """Open a folder, data files, a `save_to_disk` folder, a Hub id, or a dataset of `datasets`.

    Args:
        source: a path, a glob in a string, "user/name", or a dataset.
        config: of a Hub dataset, its config (subset).
        split: of a Hub dataset or a saved DatasetDict; needed where there are several.
        streaming: of a Hub dataset or data files: read rows as they come, with no copy on this disk.
        token: for private or gated datasets.
        follow_links: of a folder of media, also read links to files and folders outside of it. Without, such
            files are rows that fail, and such folders are skipped: a folder from elsewhere could have any
            file of this machine pushed.

    >>> open_source("clips/").row_count  # doctest: +SKIP
    1234
    """
    if isinstance(source, Dataset):
        return Source("<dataset>", source, get_fingerprint(source), provenance=read_provenance(source))
    if isinstance(source, IterableDataset):
        stream = ensure_features(source)
        return Source("<stream>", stream, fingerprint_stream(stream), provenance=read_provenance(source))
    request = SourceRequest(os.fspath(source), config, split, streaming, token, follow_links)
    for open_kind in OPENERS:
        opened = open_kind(request)
        if opened is not None:
            return opened
    raise SourceError(f"{request.name}: there is nothing to read here. A source is {KINDS}.")
