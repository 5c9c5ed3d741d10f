"""A set grown by neighbours, and a cap on its classes: the published recipe's worked figures."""

from collections import Counter

import numpy as np
import pytest
from datasets import Dataset, concatenate_datasets

from hf_audio_tagger import at_most_per_class
from hf_audio_tagger.errors import ColumnError, SettingsError

LABELS = {
    "s1": ["Dog", "Speech"],
    "s2": ["Siren"],
    "a": ["Dog"],
    "b": ["Speech", "Music"],
    "c": ["Music"],
    "d": ["Siren", "Car"],
}
NEAR = {"s1": ["a", "c", "b"], "s2": ["c", "d", "a"]}


@pytest.mark.parametrize(
    ("k", "recalls", "ids"),
    [
        (1, [0.5, 0.0], {"s1", "s2", "a", "c"}),
        (2, [0.5, 1.0], {"s1", "s2", "a", "c", "d"}),
        (3, [1.0, 1.0], {"s1", "s2", "a", "b", "c", "d"}),
    ],
)
def test_a_set_grows_in_three_lines(k: int, recalls: list[float], ids: set[str]) -> None:
    """The lines of docs/audioset.md. A seed's recall is the share of its labels among its neighbours'."""
    rows = Dataset.from_dict({"id": list(LABELS), "labels": list(LABELS.values())})
    balanced, rest = rows.select(range(2)), rows.select(range(2, 6))
    neighbors = [[{"id": id, "score": 1.0} for id in some[:k]] for some in NEAR.values()]
    near = Dataset.from_dict({"id": list(NEAR), "neighbors": neighbors})
    wanted = {one["id"] for row in near for one in row["neighbors"]}
    more = rest.filter(lambda id: id in wanted, input_columns="id")
    grown = concatenate_datasets([balanced, more])
    assert set(grown["id"]) == ids
    found = [
        len(set(LABELS[row["id"]]) & {label for one in row["neighbors"] for label in LABELS[one["id"]]})
        / len(LABELS[row["id"]])
        for row in near
    ]
    assert found == recalls


def test_no_class_passes_the_cap_and_no_row_is_left_out_needlessly() -> None:
    rng = np.random.default_rng(2)
    names = np.array(["Speech", "Music", "Dog", "Siren", "Car"])
    labels = [names[rng.random(5) < [0.5, 0.4, 0.1, 0.05, 0.02]].tolist() for _ in range(500)]
    ds = Dataset.from_dict({"row": range(500), "labels": labels})
    kept = at_most_per_class(ds, 20)
    counts = Counter(label for row in kept["labels"] for label in row)
    assert max(counts.values()) == 20
    rows = list(kept["row"])
    assert rows == sorted(set(rows))
    without = [row for row, some in enumerate(labels) if not some]
    assert set(without) <= set(rows)
    for row in set(range(500)) - set(rows):
        assert any(counts[label] == 20 for label in labels[row])
    everything = at_most_per_class(ds, 500)
    assert everything["row"][:] == list(range(500))


def test_the_rarest_classes_come_first_and_rows_in_order() -> None:
    labels = [["Music"], ["Music"], ["Music", "Dog"], ["Music"]]
    kept = at_most_per_class(Dataset.from_dict({"labels": labels, "row": range(4)}), 2)
    assert kept["row"][:] == [0, 2]
    mids = Dataset.from_dict({"video_audio_tags": [["Dog"], ["EMPTY"], ["Dog"]]})
    assert len(at_most_per_class(mids, 1, column="video_audio_tags")) == 2
    with pytest.raises(SettingsError, match="n must be a whole number of at least 1"):
        at_most_per_class(mids, 0)
    with pytest.raises(ColumnError, match="no column 'labels'"):
        at_most_per_class(mids, 1)
