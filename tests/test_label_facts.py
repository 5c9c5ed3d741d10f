"""Counts of labels agree with what plain Python counts."""

import random
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from hf_audio_tagger.errors import ColumnError
from hf_audio_tagger.results.labels import build_tables, count_labels

SCORED = pa.list_(pa.list_(pa.struct([("label", pa.string()), ("score", pa.float32())])))
NAMES = "abcdef"


def draw_rows(rng: random.Random) -> list[Any]:
    """Rows of videos with scored labels, of which some are null at each depth."""

    def draw_video() -> Any:
        if rng.random() < 0.1:
            return None
        return [{"label": one, "score": rng.random()} for one in rng.sample(NAMES, rng.randrange(4))]

    return [
        None if rng.random() < 0.1 else [draw_video() for _ in range(rng.randrange(4))]
        for _ in range(rng.randrange(50))
    ]


@pytest.mark.parametrize("seed", range(10))
def test_counts_agree_with_plain_python(seed: int) -> None:
    rng = random.Random(seed)
    rows = draw_rows(rng)
    table = pa.table({"top": pa.array(rows, SCORED)})
    half = len(rows) // 2
    facts = count_labels([table.slice(0, half), table.slice(half)], "top", thresholds=0.4)
    videos = [video for row in rows for video in row or []]
    least = np.float32(0.4)
    labels = [{one["label"] for one in video or [] if np.float32(one["score"]) >= least} for video in videos]
    counts = Counter(label for one in labels for label in one)
    assert facts.counts == counts
    assert list(facts.counts) == sorted(counts, key=lambda name: (-counts[name], name))
    assert facts.failed_videos == videos.count(None)
    assert facts.bare_videos == sum(
        video is not None and not one for video, one in zip(videos, labels, strict=True)
    )
    assert facts.empty_videos == 0
    shown = list(facts.counts)[:2]
    assert facts.count_with_others(shown) == sum(bool(one - set(shown)) for one in labels)


def test_each_label_has_its_threshold() -> None:
    rows = [[[{"label": one, "score": 0.7} for one in NAMES]], [[{"label": "b", "score": 0.1}]]]
    facts = count_labels([pa.table({"x": pa.array(rows, SCORED)})], "x", thresholds=(("a", 0.7), ("b", 0.8)))
    assert facts.counts.get("a") == 1
    assert sum(facts.counts.values()) == 1
    assert facts.bare_videos == 1


def test_a_label_counts_once_in_a_video() -> None:
    facts = count_labels(build_tables([[["Dog", "Dog", "Cat"], ["Dog"]], None], "x"), "x")
    assert facts.counts == {"Dog": 2, "Cat": 1}


@pytest.mark.parametrize("rows", [[], [None], [[]], [[[]]], [[None]]])
def test_columns_without_a_label(rows: Any) -> None:
    facts = count_labels(build_tables(rows, "x"), "x")
    assert facts.counts == {}
    assert facts.failed_videos == sum(row == [None] for row in rows)
    assert facts.bare_videos == sum(row == [[]] for row in rows)
    assert facts.count_with_others([]) == 0


def test_a_column_of_something_else() -> None:
    with pytest.raises(ColumnError, match="'x' must hold a list of text"):
        count_labels(build_tables([[1]], "x"), "x")
