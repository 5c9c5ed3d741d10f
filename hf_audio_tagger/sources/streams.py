"""Streams of `datasets`: in which epoch they stand, and by what a run sees that it goes on with the same one.

`datasets` gives an `IterableDataset` no fingerprint. Its parts have one: the files or the generator that the
rows come from, with their arguments, and each step behind them. Where a part cannot be hashed, such as a
step that holds an open connection, the first rows tell.
"""

import inspect
from itertools import islice
from typing import Any

from datasets import Dataset, DatasetBuilder, IterableDataset
from datasets.fingerprint import Hasher

from ..compat.datasets_internals import get_fingerprint, get_node_share, get_steps, is_step, resolve_features

FIRST_ROWS = 8


def with_features(stream: IterableDataset) -> IterableDataset:
    """A stream that knows its columns; where its files don't tell, the first rows are looked at."""
    if stream.features is not None:
        return stream
    return at_epoch(stream.epoch, resolve_features(stream))


def at_epoch(epoch: int, stream: IterableDataset) -> IterableDataset:
    """A stream that was made of another, in its epoch, which `datasets` lets go: the order depends on it."""
    stream.set_epoch(epoch)
    return stream


def identity_of(stream: IterableDataset) -> object:
    """What differs between two streams whose rows differ; the same in every process.

    As in the cache of `datasets`, a function of a module that is imported counts by its name, one of the
    script itself by its code.
    """
    columns = repr(stream.features)
    try:
        return parts_of(get_steps(stream)), str(stream.split), stream.epoch, get_node_share(stream), columns
    except Exception:  # whatever the pickling of a stranger's object raises
        return first_rows(stream), columns


def parts_of(value: Any) -> object:
    """A step of a stream and those before it, without where they stand."""
    if is_step(value):
        kept = {name: part for name, part in sorted(vars(value).items()) if not name.startswith("_")}
        return type(value).__name__, parts_of(kept)
    if isinstance(value, Dataset):
        return get_fingerprint(value)
    if inspect.ismethod(value) and isinstance(value.__self__, DatasetBuilder):
        builder = value.__self__
        return value.__name__, type(builder).__name__, builder.config_id, builder.hash
    if isinstance(value, dict):
        return [(name, parts_of(part)) for name, part in value.items()]
    if isinstance(value, list) and any(isinstance(part, Dataset) or is_step(part) for part in value):
        return [parts_of(part) for part in value]
    return Hasher.hash(value)


def first_rows(stream: IterableDataset) -> object:
    return [Hasher.hash(row) for row in islice(stream.decode(False), FIRST_ROWS)]
