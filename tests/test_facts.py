"""Facts of a column of tags agree with what plain Python counts."""

import random
from collections import Counter

import pyarrow as pa
import pytest
from datasets import Dataset

from hf_audio_tagger.results.facts import TagFacts, count_table, count_tags

TEXTS = pa.list_(pa.string())


def kind_of_row(tags: list[str | None] | None, errors: list[str | None] | None) -> str:
    if any(error is not None for error in errors or []):
        return "failed"
    if not tags:
        return "without videos"
    return "empty" if all(tag == "EMPTY" for tag in tags) else "tagged"


@pytest.mark.parametrize("seed", range(10))
def test_kinds_of_rows_agree_with_plain_python(seed: int) -> None:
    rng = random.Random(seed)
    tags = [
        None if rng.random() < 0.1 else rng.choices(["Dog", "EMPTY", None], k=rng.randrange(4))
        for _ in range(rng.randrange(60))
    ]
    errors = [
        row and ["no file" if tag is None and rng.random() < 0.7 else None for tag in row] for row in tags
    ]
    table = pa.table({"x_tags": pa.array(tags, TEXTS), "x_error": pa.array(errors, TEXTS)})
    halves = [table.slice(0, len(tags) // 2), table.slice(len(tags) // 2)]
    facts = count_table(pa.concat_tables(halves), "x_tags")
    kinds = Counter(map(kind_of_row, tags, errors))
    assert facts.rows == len(tags)
    assert facts.failed_rows == kinds["failed"]
    assert facts.rows_without_videos == kinds["without videos"]
    assert facts.empty_rows == kinds["empty"]
    assert facts.tagged_rows == kinds["tagged"]
    assert facts.failed_videos == sum(error is not None for row in errors for error in row or [])
    assert facts.tags == Counter(tag for row in tags for tag in row or [])
    assert sum((count_table(half, "x_tags") for half in halves), TagFacts()) == facts


def test_counts_agree_with_plain_python() -> None:
    tags = [["Dog", "EMPTY"], [], ["Dog", None], ["Cat"], None] * 7
    counts = count_tags(Dataset.from_dict({"t": tags}).select(range(3, 33)), "t")
    flat = [tag for row in tags[3:33] for tag in row or []]
    assert counts.tags == Counter(flat)
    assert (counts.rows, counts.videos) == (30, len(flat))
    assert counts.tagged_videos == sum(tag not in (None, "EMPTY") for tag in flat)
    assert counts.most_frequent(1) == [("Dog", flat.count("Dog"))]


def test_failed_are_those_with_an_error_where_errors_are_recorded() -> None:
    tags, errors = [["Dog", None], [None], ["EMPTY"]], [[None, "no file"], [None], [None]]
    with_errors = Dataset.from_dict({"video_audio_tags": tags, "video_audio_error": errors})
    assert count_tags(with_errors, "video_audio_tags").failed_videos == 1
    assert count_tags(with_errors.remove_columns("video_audio_error"), "video_audio_tags").failed_videos == 2


def test_column_of_nulls_has_no_tags() -> None:
    assert count_tags(Dataset.from_dict({"t": [None, None]}), "t").videos == 0
