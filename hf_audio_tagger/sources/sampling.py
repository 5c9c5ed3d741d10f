"""A sample of a source: rows drawn from all over, the same ones each time."""

from dataclasses import replace

import numpy as np
from datasets import Dataset

from ..digests import digest_values
from ..errors import SettingsError
from .source import Source, SourceError

SEED = 0


def shuffle_rows(source: Source) -> Source:
    """The source with its rows in an order drawn at random, always the same.

    Its first N rows are a sample of N rows, and part of every larger sample.

    >>> shuffle_rows(open_source("clips/")).rows(0, 100)  # doctest: +SKIP
    """
    if not isinstance(source.dataset, Dataset):
        raise SourceError(
            f"{source.name}: a stream cannot be sampled, since its rows are read in sequence. Leave out "
            "streaming=, or take the first rows with limit=."
        )
    order = np.random.default_rng(SEED).permutation(len(source.dataset))
    return replace(
        source,
        dataset=source.dataset.select(order),
        fingerprint=digest_values(source.fingerprint, "shuffled", SEED),
        order=order.tolist(),
    )


def take_sample(source: Source, count: int) -> Source:
    """So many rows of the source, drawn from all over, in their order."""
    shuffled = shuffle_rows(source)
    assert isinstance(source.dataset, Dataset)
    order = sorted((shuffled.order or ())[:count])
    return replace(shuffled, dataset=source.dataset.select(order), order=order)


def limit_rows(source: Source, limit: int | None, sample: int | None) -> tuple[Source, int | None]:
    """The source, shuffled where a sample is wanted, and how many of its rows are."""
    if sample is None:
        return source, limit
    if limit is not None:
        raise SettingsError("limit= takes the first rows and sample= rows from all over; pass one of them.")
    return shuffle_rows(source), sample
