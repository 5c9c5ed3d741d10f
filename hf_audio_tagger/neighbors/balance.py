"""`at_most_per_class`: rows of which no class has more than so many."""

import numpy as np
from datasets import Dataset

from ..audioset.labels import read_labels
from ..checks import check_counts


def at_most_per_class(ds: Dataset, n: int, column: str = "labels") -> Dataset:
    """Rows of a dataset such that no label is in more than `n` of them.

    Classes are filled in turn, the rarest first, with rows in their order; a row is taken if none of its
    labels is in `n` rows already. Rows without labels are all kept. The order of the rows stays.

    >>> ds = Dataset.from_dict({"labels": [["Speech", "Dog"], ["Speech"], ["Speech", "Dog"], ["Speech"]]})
    >>> at_most_per_class(ds, 2)["labels"][:]
    [['Speech', 'Dog'], ['Speech', 'Dog']]
    """
    check_counts(n=n)
    labels = read_labels(ds, column)
    ends = np.searchsorted(labels.rows, np.arange(labels.row_count), "right").tolist()
    starts, indices = [0, *ends[:-1]], labels.indices.tolist()
    order = np.argsort(labels.indices, kind="stable")
    counts = labels.count_rows()
    firsts = np.cumsum(counts) - counts
    filled = [0] * len(counts)
    is_taken = ~labels.has_labels()
    for label in np.argsort(counts, kind="stable").tolist():
        for row in labels.rows[order[firsts[label] : firsts[label] + counts[label]]].tolist():
            if filled[label] >= n:
                break
            own = indices[starts[row] : ends[row]]
            if not is_taken[row] and all(filled[one] < n for one in own):
                is_taken[row] = True
                for one in own:
                    filled[one] += 1
    return ds.select(np.flatnonzero(is_taken))
