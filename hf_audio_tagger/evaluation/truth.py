"""The labels of rows, compared with the classes of a model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from datasets import Dataset

from ..audioset.labels import Labels, read_labels
from ..audioset.ontology import ontology
from ..audioset.tag_cells import normalize_label


@dataclass(frozen=True, eq=False)
class Truth:
    """The labels of each row, and how they meet a model's classes.

    A label is the class of the same text, else the one that is equal as labels are compared everywhere: a
    category of AudioSet by its mid or its name, anything else by its words, in any case.
    """

    labels: Labels
    is_known: np.ndarray  # (rows,): not null; an empty list is known to have no label
    places: np.ndarray  # of each class of the labels: the model's class, or -1

    @property
    def unknown(self) -> tuple[str, ...]:
        """Labels that are none of the model's classes."""
        return tuple(name for name, place in zip(self.labels.classes, self.places, strict=True) if place < 0)

    def as_array(self, classes: int) -> np.ndarray:
        """Which row has which of the model's classes: bool (rows, classes)."""
        truths = np.zeros((self.labels.row_count, classes), bool)
        places = self.places[self.labels.indices]
        truths[self.labels.rows[places >= 0], places[places >= 0]] = True
        return truths


def read_truth(ds: Dataset, column: str, classes: Sequence[str], numbered: Sequence[str] | None) -> Truth:
    """The labels in a column. `numbered` are the names of whole numbers."""
    labels = read_labels(ds, column, classes=numbered)
    cells = ds.select_columns([column]).with_format("arrow")[:][column] if len(ds) else None
    is_known = np.zeros(0, bool) if cells is None else cells.is_valid().to_numpy()
    by_key: dict[str, int] = {}
    for place, name in enumerate(classes):
        by_key.setdefault(normalize_label(name), place)
    by_text = {name: place for place, name in enumerate(classes)}
    places = [by_text.get(name, by_key.get(normalize_label(name), -1)) for name in labels.classes]
    return Truth(labels, is_known, np.array(places, dtype=np.int64))


def find_agreement(truth: Truth, tags: np.ndarray, classes: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """For each row whether its tag is one of its labels, and whether it is one, or above or below one.

    Args:
        tags: of each row, an index into `classes`; -1 where it has none.
    """
    is_audioset = all(name in ontology for name in classes)
    keys = np.array([normalize_label(name) for name in truth.labels.classes], dtype=object)
    is_same = np.zeros((len(classes) + 1, len(keys)), bool)  # the last row is of no tag
    is_related = is_same.copy()
    is_same[truth.places[truth.places >= 0], truth.places >= 0] = True
    for row, name in enumerate(classes if is_audioset else ()):
        lines = (*ontology[name].ancestors(), *ontology[name].descendants())
        is_related[row] = np.isin(keys, [one.name for one in lines])
    rows, indices = truth.labels.rows, truth.labels.indices
    found = [
        np.bincount(rows[matrix[tags[rows], indices]], minlength=truth.labels.row_count) > 0
        for matrix in (is_same, is_same | is_related)
    ]
    return found[0], found[1]
