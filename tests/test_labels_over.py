"""labels_over: the labels of each video that score enough, alone and inside `datasets`."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, Features, List, Value, Video
from datasets.fingerprint import Hasher

from hf_audio_tagger import build_tagger, has_sound, labels_over, roll_up
from hf_audio_tagger.errors import ColumnError, SettingsError

TOP, LABELS = "video_audio_top", "video_audio_labels"
SCORES = pa.list_(pa.list_(pa.struct({"label": pa.string(), "score": pa.float32()})))
STRINGS = List(List(Value("string")))


def scored(**scores: float) -> list[dict[str, Any]]:
    return [{"label": label, "score": score} for label, score in scores.items()]


# a row's scores, and its labels of at least 0.3
ROWS: list[tuple[Any, Any]] = [
    ([[]], [[]]),  # EMPTY
    ([None], [None]),  # failed
    ([], []),
    (None, None),  # never tagged
    ([scored(Speech=0.8, Music=0.3, Dog=0.29)], [["Speech", "Music"]]),
    ([scored(Bark=0.2), None, scored(Dog=0.9)], [[], None, ["Dog"]]),
]
EXPECTED = [labels for _, labels in ROWS]


def write_rows(path: Path, rows: list[Any]) -> Dataset:
    file = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    video = pa.array([{"bytes": b"no video", "path": None}] * len(rows), file)
    pq.write_table(pa.table({"video": video, TOP: pa.array(rows, SCORES)}), path)
    return Dataset.from_parquet(str(path), cache_dir=str(path.parent / "cache")).cast_column("video", Video())


@pytest.fixture
def clips(tmp_path: Path) -> Dataset:
    """The rows above, from a file, beside videos that cannot be opened."""
    return write_rows(tmp_path / "clips.parquet", [top for top, _ in ROWS])


@pytest.mark.parametrize(("top", "labels"), ROWS)
def test_a_row_and_a_batch(top: Any, labels: Any) -> None:
    assert labels_over(0.3, batched=False)({TOP: top}) == {LABELS: labels}
    assert labels_over(0.3, batched=True)({TOP: [top, top]}) == {LABELS: [labels, labels]}
    if top:
        assert labels_over(0.3)(top if top != [None] else {TOP: top}) == {LABELS: labels}


def test_a_score_that_is_stored_as_float32_reaches_its_threshold() -> None:
    least = 0.7  # the float32 is 0.699999988
    stored = pa.array([[scored(Dog=least, Cat=0.6999999)]], SCORES).to_pylist()
    assert labels_over(least)(stored[0]) == {LABELS: [["Dog"]]}
    assert has_sound("Dog", min_score=least)(stored[0]) is True
    assert has_sound("Cat", min_score=least)(stored[0]) is False


def test_a_threshold_for_each_label() -> None:
    row = {TOP: [scored(Speech=0.5, Music=0.3, Dog=0.9), [], None]}
    assert labels_over({"Speech": 0.6, "Music": 0.25})(row) == {LABELS: [["Music"], [], None]}
    assert labels_over({"woof": 0})({TOP: [scored(woof=0.0)]}) == {LABELS: [["woof"]]}  # of any model


def test_columns_have_the_prefix_of_what_is_read() -> None:
    assert labels_over(0.3, column="sound_top")({"sound_top": [[]]}) == {"sound_labels": [[]]}
    assert labels_over(0.3, new_column="mine")({TOP: [[]]}) == {"mine": [[]]}


@pytest.mark.parametrize("options", [{}, {"batched": True, "batch_size": 2}, {"num_proc": 2}])
def test_map(clips: Dataset, options: dict[str, Any]) -> None:
    mapped = clips.map(labels_over(0.3), **options)
    assert mapped.features[LABELS] == STRINGS
    assert mapped.with_format("arrow")[LABELS][:].to_pylist() == EXPECTED
    if options:
        return
    assert labels_over(0.3)(clips, 4) == {LABELS: [["Speech", "Music"]]}
    assert labels_over(0.3)(clips.with_format("numpy"), -1) == {LABELS: [[], None, ["Dog"]]}
    assert clips.map(labels_over(0.3)).cache_files == mapped.cache_files


@pytest.mark.parametrize("options", [{}, {"batched": True, "batch_size": 2}])
def test_map_while_streaming_and_with_another_format(clips: Dataset, options: dict[str, Any]) -> None:
    """Such a batch may hold nothing but `[]` and null, which `batched` tells from a row."""
    without, query = clips.remove_columns("video"), labels_over(0.3, batched=options.get("batched", False))
    stream = without.to_iterable_dataset().map(query, **options)
    assert [row[LABELS] for row in stream] == EXPECTED
    for form in ("numpy", "torch"):
        mapped = without.with_format(form).map(query, **options)
        assert mapped.with_format("arrow")[LABELS][:].to_pylist() == EXPECTED


@pytest.mark.parametrize("quiet", [None, [], [None], [[]]])
def test_the_column_is_typed_from_the_first_row_on(tmp_path: Path, quiet: Any) -> None:
    ds = write_rows(tmp_path / "x.parquet", [*[quiet] * 1001, [scored(Dog=0.9)]]).remove_columns("video")
    for options in ({}, {"batched": True}):
        mapped = ds.map(labels_over(0.3), remove_columns=TOP, **options)
        assert mapped.features == Features({LABELS: STRINGS})
        assert mapped[-1] == {LABELS: [["Dog"]]}


def test_what_a_tagger_writes(tmp_path: Path) -> None:
    """All labels at 0, those of `has_sound` above, none of a file that cannot be read."""
    rate_hz = 16_000
    tone = {"array": np.sin(np.arange(rate_hz) / 5).astype(np.float32), "sampling_rate": rate_hz}
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    tagger = build_tagger("demo", top_k=18, on_error="record", batched=False)
    row = {"audio": [tone, str(tmp_path / "broken.wav")]}
    top = tagger(row)[TOP]
    [labels, failed] = labels_over(0)({TOP: top})[LABELS]
    assert sorted(labels) == sorted(tagger.labels)
    assert failed is None
    least = sorted(one["score"] for one in top[0])[9]
    assert labels_over(least)({TOP: top})[LABELS][0] == labels[:9]


@pytest.mark.parametrize(
    "wrong", [30, -0.1, True, "0.5", None, {}, {"Dog": 2}, {"Dog": "0.5"}, {3: 0.5}, float("nan")]
)
def test_a_wrong_score_raises_when_the_query_is_made(wrong: Any) -> None:
    with pytest.raises(SettingsError, match="min_score must be a score from 0 to 1, or one for each label"):
        labels_over(wrong)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [({"x": 1}, "no column"), ({TOP: "Dog"}, "a list in each row"), ({TOP: [["Dog"]]}, "has no scores")],
)
def test_a_column_of_something_else_is_an_error(rows: Any, reason: str) -> None:
    with pytest.raises(ColumnError, match=reason):
        labels_over(0.3)(rows)


def test_queries_pickle_and_hash_by_what_they_do() -> None:
    query = labels_over({"Dog": 0.5, "Cat": 0.25})
    assert pickle.loads(pickle.dumps(query)) == query
    same = labels_over({"Cat": 0.25, "Dog": 0.5})
    others = [labels_over(0.5), labels_over(0.25), labels_over({"Dog": 0.5}), roll_up()]
    assert Hasher.hash(query) == Hasher.hash(same)
    assert len({Hasher.hash(one) for one in (query, *others)}) == 5
