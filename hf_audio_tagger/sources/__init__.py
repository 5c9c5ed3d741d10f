"""Sources of rows: `open_source` opens paths, Hub ids and datasets without decoding their media.

source = open_source("clips/")  # or rows.jsonl, "parts/*.parquet", a save_to_disk folder, "user/name"
source.rows(0, 100)             # an Arrow table, cells as they are stored

A kind of source is a file with an opener, which returns None for other kinds, and an entry in `OPENERS`.
"""

import os

from datasets import Dataset, IterableDataset

from ..compat.datasets_internals import get_fingerprint
from ..provenance import read_provenance
from .data_files import KINDS, open_data_files
from .index import open_index
from .media_folder import open_media_folder
from .source import Source, SourceError, SourceRequest
from .splits import open_hub, open_saved
from .streams import ensure_features, fingerprint_stream

__all__ = ["Source", "SourceError", "open_source"]

OPENERS = (open_saved, open_media_folder, open_index, open_data_files, open_hub)  # tried in this order


def open_source(
    source: str | os.PathLike[str] | Dataset | IterableDataset,
    *,
    config: str | None = None,
    split: str | None = None,
    streaming: bool = False,
    token: str | bool | None = None,
    follow_links: bool = False,
    root: str | os.PathLike[str] | None = None,
    files: str | None = None,
) -> Source:
    """Open a folder, data files, a `save_to_disk` folder, a Hub id, or a dataset of `datasets`.

    Args:
        source: a path, a glob in a string, "user/name", or a dataset.
        config: of a Hub dataset, its config (subset).
        split: of a Hub dataset or a saved DatasetDict; needed where there are several.
        streaming: of a Hub dataset or data files: read rows as they come, with no copy on this disk.
        token: for private or gated datasets.
        follow_links: also follow links out of a media folder. Otherwise such files are recorded as failed and
            such folders are skipped: links in an untrusted folder could publish any file of this machine.
        root: of an index of AudioSet's clips, the folder of the clips.
        files: of an index, how its clips are called below `root`, as in `read_index`.

    >>> open_source("clips/").row_count  # doctest: +SKIP
    1234
    """
    if isinstance(source, Dataset):
        return Source("<dataset>", source, get_fingerprint(source), provenance=read_provenance(source))
    if isinstance(source, IterableDataset):
        stream = ensure_features(source)
        return Source("<stream>", stream, fingerprint_stream(stream), provenance=read_provenance(source))
    top = None if root is None else os.fspath(root)
    request = SourceRequest(os.fspath(source), config, split, streaming, token, follow_links, top, files)
    for open_kind in OPENERS:
        opened = open_kind(request)
        if opened is not None:
            return opened
    raise SourceError(f"{request.name}: there is nothing to read here. A source is {KINDS}.")
