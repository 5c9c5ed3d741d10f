"""Sources of rows: `open_source` opens paths, Hub ids and datasets without decoding their media.

source = open_source("clips/")  # or rows.jsonl, "parts/*.parquet", a save_to_disk folder, "user/name"
source = open_source("clip.mp4")  # or ["a.mp4", "clips/", "https://example.org/b.mp4"]
source = open_source("shards/{000..099}.tar")  # WebDataset's tars, read in sequence
source.rows(0, 100)             # an Arrow table, cells as they are stored

A kind of source is a file with an opener, which returns None for other kinds, and an entry in `OPENERS`.
"""

import os
from collections.abc import Sequence

from datasets import Dataset, IterableDataset

from ..compat.datasets_internals import get_fingerprint
from ..provenance import read_provenance
from ..text import as_utf8, hide_secrets
from .data_files import KINDS, open_data_files
from .index import open_index
from .media_files import open_many, open_media_files
from .media_folder import open_media_folder
from .source import Source, SourceError, SourceRequest
from .splits import NOT_HERE, open_hub, open_saved
from .streams import ensure_features, fingerprint_stream
from .tar_shards import open_tar_list, open_tars
from .tars.names import is_tar
from .urls import open_url

__all__ = ["Source", "SourceError", "open_source"]

OPENERS = (  # tried in this order
    open_saved,
    open_media_folder,
    open_tars,
    open_index,
    open_url,
    open_media_files,
    open_data_files,
    open_hub,
)


def open_source(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Dataset | IterableDataset,
    *,
    config: str | None = None,
    split: str | None = None,
    streaming: bool = False,
    token: str | bool | None = None,
    follow_links: bool = False,
    root: str | os.PathLike[str] | None = None,
    files: str | None = None,
) -> Source:
    """Open clips, a folder, data files, tars, a `save_to_disk` folder, a Hub id, or a dataset of `datasets`.

    Args:
        source: a path, a glob in a string, "user/name", a dataset, a list of clips and folders of clips, or
            one of tars. A clip, a table, a folder of clips or a glob may be a URL (s3://, hf://, https://).
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
    folder = None if root is None else os.fspath(root)
    options = (config, split, streaming, token, follow_links, folder, files)
    if isinstance(source, str | os.PathLike):
        return open_named(SourceRequest(os.fspath(source), *options))
    if not source:
        raise SourceError("The list of clips is empty.")
    more = f" and {len(source) - 1:,} more" if len(source) > 1 else ""
    name = as_utf8(os.fspath(source[0])) + more
    if all(is_tar(os.fspath(one)) for one in source):
        return open_tar_list(source, SourceRequest(name, *options))
    return open_many(source, SourceRequest(name, *options))


def open_named(request: SourceRequest) -> Source:
    """Open what a path, URL or id names."""
    for open_kind in OPENERS:
        opened = open_kind(request)
        if opened is not None:
            return opened
    found = "there is nothing to read here" if request.path.exists() else NOT_HERE
    raise SourceError(f"{hide_secrets(request.name)}: {found}. A source is {KINDS}.")
