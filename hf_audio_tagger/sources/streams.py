"""Streams of `datasets`: their columns, their epoch, and a fingerprint that resumed runs compare.

`datasets` gives an `IterableDataset` no fingerprint, but its parts can be hashed: the files or the generator
of the rows, with their arguments, and each following step. Where a part cannot be hashed, such
as a step that holds an open connection, the first rows are hashed instead.
"""

import inspect
from itertools import islice
from typing import Any

from datasets import Dataset, DatasetBuilder, IterableDataset
from datasets.fingerprint import Hasher

from ..compat.datasets_internals import get_fingerprint, get_node_share, get_steps, infer_features, is_step
from ..digests import digest_values

FIRST_ROWS = 8


def ensure_features(stream: IterableDataset) -> IterableDataset:
    """The stream with known columns, inferred from the first rows if needed."""
    return stream if stream.features is not None else set_epoch(infer_features(stream), stream.epoch)


def set_epoch(stream: IterableDataset, epoch: int) -> IterableDataset:
    """Copy the epoch to a derived stream: `datasets` drops it, and the row order depends on it."""
    stream.set_epoch(epoch)
    return stream


def fingerprint_stream(stream: IterableDataset) -> str:
    """A fingerprint that differs if the rows differ, and is the same in every process.

    As in the cache of `datasets`, imported functions are hashed by name, functions of the script by code.
    """
    columns = repr(stream.features)
    identity: object
    try:
        steps = hash_step(get_steps(stream))
        identity = steps, str(stream.split), stream.epoch, get_node_share(stream), columns
    except Exception:  # pickling an object of any library may raise anything
        rows = islice(stream.decode(False), FIRST_ROWS)
        identity = [Hasher.hash(row) for row in rows], columns
    return digest_values("stream", identity)


def hash_step(value: Any) -> object:
    """A step of a stream and those before it, without the state of an iteration."""
    if is_step(value):
        attributes = {name: part for name, part in sorted(vars(value).items()) if not name.startswith("_")}
        return type(value).__name__, hash_step(attributes)
    if isinstance(value, Dataset):
        return get_fingerprint(value)
    if inspect.ismethod(value) and isinstance(value.__self__, DatasetBuilder):
        builder = value.__self__
        return value.__name__, type(builder).__name__, builder.config_id, builder.hash
    if isinstance(value, dict):
        return [(name, hash_step(part)) for name, part in value.items()]
    if isinstance(value, list) and any(isinstance(part, Dataset) or is_step(part) for part in value):
        return [hash_step(part) for part in value]
    return Hasher.hash(value)
