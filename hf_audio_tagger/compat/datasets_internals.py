"""Private names of `datasets`: fingerprints, lazy rows of `map`, steps of a stream."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from datasets import Dataset, DownloadConfig, Features, IterableDataset
from datasets.features import features as feature_module
from datasets.formatting.formatting import LazyBatch, LazyDict, LazyRow
from datasets.iterable_dataset import _BaseExamplesIterable
from datasets.utils.file_utils import _prepare_path_and_storage_options


def get_fingerprint(dataset: Dataset) -> str:
    """The fingerprint in the names of a dataset's cache files."""
    return str(dataset._fingerprint)


def is_lazy_row(rows: object) -> bool:
    """True for a row that `map` passes from an unformatted `Dataset`."""
    return isinstance(rows, LazyRow)


def is_lazy_batch(rows: object) -> bool:
    """True for a batch that `map` passes from an unformatted `Dataset`."""
    return isinstance(rows, LazyBatch)


def stored_column(rows: Mapping[str, Any], name: str) -> pa.ChunkedArray | None:
    """A column of a lazy row or batch, not decoded; None once a function has replaced its values."""
    assert isinstance(rows, LazyDict)
    return rows.pa_table[name] if name in rows.keys_to_format else None


def stored_features(rows: Mapping[str, Any]) -> Features:
    """The features of a lazy row's or batch's stored columns, without those that a function has replaced."""
    assert isinstance(rows, LazyDict)
    features = rows.formatter.features or Features.from_arrow_schema(rows.pa_table.schema)
    return Features({name: one for name, one in features.items() if name in rows.keys_to_format})


def is_decodable(feature: Any) -> bool:
    """True for `Video()`, `Audio()`, `Image()` and the like, in lists and with `decode=False` too."""
    return bool(feature_module.require_decoding(feature, ignore_decode_attribute=True))


def infer_features(stream: IterableDataset) -> IterableDataset:
    """The same stream with its columns inferred from its first rows."""
    return stream._resolve_features()


def get_steps(stream: IterableDataset) -> Any:
    """The last step of a stream, which holds the steps before it."""
    return stream._ex_iterable


def is_step(value: object) -> bool:
    """True for a step of a stream: its files or generator, or a map, filter, shuffle, ... behind them."""
    return isinstance(value, _BaseExamplesIterable)


def get_node_share(stream: IterableDataset) -> tuple[int, int] | None:
    """Rank and world size of a stream from `split_dataset_by_node`."""
    share = stream._distributed
    return None if share is None else (share.rank, share.world_size)


def prepare_url(
    url: str, storage_options: dict[str, Any], token: str | bool | None = None
) -> tuple[str, dict[str, Any]]:
    """URL and fsspec options of each hop, with the Hub's token and headers, as `datasets` opens files.

    The public functions for opening a URL retry 20 times, 5 s apart, if a server fails.
    """
    config = DownloadConfig(storage_options=storage_options, token=token)
    return _prepare_path_and_storage_options(url, config)
