"""What has_sound, lacks_sound and roll_up answer, alone and inside `datasets`."""

import doctest
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import dill
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, Features, List, Value, Video
from datasets.fingerprint import Hasher

import hf_audio_tagger.audioset.queries as module
from hf_audio_tagger import ontology
from hf_audio_tagger.audioset.grouping import roll_up
from hf_audio_tagger.audioset.ontology import UnknownCategoryError
from hf_audio_tagger.audioset.queries import has_sound, lacks_sound
from hf_audio_tagger.errors import ColumnError, SettingsError

TAGS = "video_audio_tags"
TOP = "video_audio_top"
LEVEL1 = "video_audio_tags_level1"


def scored(**scores: float) -> list[dict[str, Any]]:
    return [{"label": label, "score": score} for label, score in scores.items()]


# name of the row, its tags, its top labels
ROWS = [
    ("bus", ["Bus"], [scored(Bus=0.6, Music=0.3)]),
    ("dog and car", ["Dog", "Car alarm"], [scored(Dog=0.9), scored(Alarm=0.5, Vehicle=0.2)]),
    ("speech", ["Speech"], [scored(Speech=0.8)]),
    ("silent", ["EMPTY"], [[]]),
    ("failed", [None], [None]),
    ("no video", [], []),
    ("never tagged", None, None),
    ("half failed", [None, "Dog"], [None, scored(Dog=0.7)]),
]


@pytest.fixture
def clips(tmp_path: Path) -> Dataset:
    """The rows above, from a file, beside videos that cannot be opened."""
    scores = pa.list_(pa.list_(pa.struct({"label": pa.string(), "score": pa.float32()})))
    file = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    table = pa.table(
        {
            "video": pa.array([{"bytes": b"no video", "path": None}] * len(ROWS), file),
            "name": [name for name, _, _ in ROWS],
            TAGS: pa.array([tags for _, tags, _ in ROWS], pa.list_(pa.string())),
            TOP: pa.array([top for _, _, top in ROWS], scores),
        }
    )
    pq.write_table(table, tmp_path / "clips.parquet")
    ds = Dataset.from_parquet(str(tmp_path / "clips.parquet"), cache_dir=str(tmp_path / "cache"))
    return ds.cast_column("video", Video())


def kept(ds: Dataset) -> list[str]:
    return ds.remove_columns("video")["name"][:]


# --- has_sound, lacks_sound: one answer


@pytest.mark.parametrize(
    ("tags", "has", "lacks"),
    [
        (["Vehicle"], True, False),
        (["Car alarm"], True, False),  # several levels below
        (["Music", "Bus"], True, False),
        (["Music"], False, True),
        (["Sounds of things"], False, True),  # above it, which says less
        (["EMPTY"], False, True),
        (["EMPTY", "Bus"], True, False),
        ([], False, True),
        ([None], False, False),
        ([None, "Music"], False, False),
        ([None, "Bus"], True, False),
        (None, False, False),
    ],
)
def test_the_answer_for_a_row_of_tags(tags: Any, has: bool, lacks: bool) -> None:
    for rows in (tags, {TAGS: tags}, {TAGS: tags, "video": "unread"}):
        assert has_sound("Vehicle")(rows) is has
        assert lacks_sound("Vehicle")(rows) is lacks


@pytest.mark.parametrize(
    ("top", "has", "lacks"),
    [
        ([scored(Bus=0.5)], True, False),
        ([scored(Bus=0.49)], False, True),
        ([scored(Music=0.9, Bus=0.5)], True, False),
        ([scored(Music=0.9), scored(Vehicle=0.6)], True, False),
        ([[]], False, True),
        ([], False, True),
        ([None], False, False),
        ([None, scored(Bus=0.9)], True, False),
        (None, False, False),
    ],
)
def test_the_answer_for_a_row_of_scores(top: Any, has: bool, lacks: bool) -> None:
    for rows in (top, {TOP: top}):
        assert has_sound("Vehicle", min_score=0.5)(rows) is has
        assert lacks_sound("Vehicle", min_score=0.5)(rows) is lacks


def test_any_of_several_names_ids_or_categories_will_do() -> None:
    assert has_sound("Dog", "Cat")(["Meow"]) is True
    assert has_sound("/m/01yrx")(["Meow"]) is True
    assert has_sound(*ontology.find("guitar"))(["Strum"]) is True
    assert has_sound("Dog", "Cat") == has_sound(ontology["Cat"], "/m/0bt9lr", "Dog")


def test_every_parent_of_a_category_has_it() -> None:
    for name in ("Dog", "Cat", "Canidae, dogs, wolves", "Animal"):
        assert has_sound(name)(["Growling"]) is True


def test_another_column_can_be_named() -> None:
    assert has_sound("Dog", column="sounds")({"sounds": ["Bark"]}) is True
    segments = [[{"start": 0.0, "end": 1.0, "label": "Bark", "score": 0.5}]]
    assert has_sound("Dog", min_score=0.2, column="segments")({"segments": segments}) is True


def test_depth_tells_a_batch_from_a_row() -> None:
    assert has_sound("Dog")([["Dog"], ["Cat"]]) == [True, False]
    assert has_sound("Dog")([None, [], ["Bark", "Cat"]]) == [False, False, True]
    assert has_sound("Dog")({TAGS: [[], [None]]}) == [False, False]
    assert lacks_sound("Dog")([[], [None], ["Dog"], ["Cat"]]) == [True, False, False, True]
    assert has_sound("Dog", min_score=0)([[None], []]) == [False, False]
    batch: list[Any] = [[scored(Dog=0.9)], None, [], [[]], [None]]
    assert has_sound("Dog", min_score=0)(batch) == [True, False, False, False, False]
    assert lacks_sound("Dog", min_score=0)(batch) == [False, False, True, True, False]


@pytest.mark.parametrize("value", [[], [None], [None, None]])
def test_tags_that_tell_nothing_are_a_row_unless_batched_is_given(value: Any) -> None:
    assert has_sound("Dog")(value) is False
    assert has_sound("Dog", batched=False)(value) is False
    assert has_sound("Dog", batched=True)(value) == [False] * len(value)


@pytest.mark.parametrize("value", [[], [None], [[]], [[], None]])
def test_scores_that_tell_nothing_are_a_row_unless_batched_is_given(value: Any) -> None:
    assert has_sound("Dog", min_score=0.1)(value) is False
    assert has_sound("Dog", min_score=0.1, batched=True)(value) == [False] * len(value)


def test_numpy_arrays_are_lists() -> None:
    row = np.array(["Dog", None], dtype=object)
    assert has_sound("Dog")(row) is True
    batch = np.array([np.array(["Dog"]), np.array([], dtype=object), None], dtype=object)
    assert has_sound("Dog")(batch) == [True, False, False]
    assert has_sound("Dog")(np.array([["Dog"], ["Cat"]])) == [True, False]


# --- mistakes


def test_an_unknown_name_raises_when_the_query_is_made() -> None:
    with pytest.raises(UnknownCategoryError, match="did you mean 'Vehicle'"):
        has_sound("Vehicel")
    with pytest.raises(UnknownCategoryError, match="did you mean 'Speech'"):
        lacks_sound("Dog", "Speach")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: has_sound(),
        lambda: has_sound(["Dog", "Cat"]),  # type: ignore[arg-type]
        lambda: has_sound("Dog", min_score=30),
        lambda: roll_up(0),
        lambda: roll_up(level="1"),  # type: ignore[arg-type]
        lambda: roll_up(True),
    ],
)
def test_a_wrong_setting_raises_when_the_query_is_made(wrong: Any) -> None:
    with pytest.raises(SettingsError):
        wrong()


def test_a_tag_that_audioset_does_not_have_cannot_be_rolled_up() -> None:
    with pytest.raises(UnknownCategoryError, match="has other labels") as raised:
        roll_up()(["woof"])
    assert "'woof'" in str(raised.value)
    assert TAGS in str(raised.value)


@pytest.mark.parametrize(
    ("query", "rows", "reason"),
    [
        (has_sound("Dog"), {"name": "x", "video": None}, "no column .* among 'name', 'video'"),
        (roll_up(), {"name": "x"}, "no column"),
        (has_sound("Dog"), "Dog", "a list in each row"),
        (has_sound("Dog", batched=True), ["Dog"], "a list in each row"),
        (has_sound("Dog"), [scored(Dog=0.9)], "read with min_score"),
        (roll_up(), [scored(Dog=0.9)], "read with min_score"),
        (has_sound("Dog", min_score=0.5), ["Dog"], "has no scores"),
        (has_sound("Dog", min_score=0.5), [["Dog"]], "has no scores"),
        (has_sound("Dog"), pa.table({TAGS: [["Dog"]]}), "with_format"),
    ],
)
def test_a_column_of_something_else_is_an_error(query: Any, rows: Any, reason: str) -> None:
    with pytest.raises(ColumnError, match=reason):
        query(rows)


# --- pickle and fingerprints

QUERIES = [
    'has_sound("Vehicle")',
    'lacks_sound("Dog", "Cat", min_score=0.25, batched=True)',
    "roll_up(level=2)",
]


@pytest.mark.parametrize("text", QUERIES)
@pytest.mark.parametrize("pickler", [pickle, dill])
def test_queries_pickle(text: str, pickler: Any) -> None:
    query = eval(text)
    query([])
    assert pickler.loads(pickler.dumps(query)) == query
    assert len(pickler.dumps(query)) < 300


def test_fingerprints_are_the_same_in_another_process() -> None:
    code = (
        "from datasets.fingerprint import Hasher;"
        "from hf_audio_tagger import has_sound, lacks_sound, roll_up;"
        f"print([Hasher.hash(one) for one in [{', '.join(QUERIES)}]])"
    )
    there = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    queries = [eval(text) for text in QUERIES]
    queries[0](["Dog"]), queries[2](["Dog"])  # what a call caches stays out
    here = [Hasher.hash(query) for query in queries]
    assert there.stdout.strip() == str(here)
    assert len({*here, Hasher.hash(has_sound("Dog")), Hasher.hash(roll_up(1))}) == 5


# --- roll_up: one answer


def test_rolled_up_tags_of_a_row_and_a_batch() -> None:
    row = ["Bark", "Bell", "EMPTY", None, "Music"]
    above = [["Animal"], ["Music", "Sounds of things"], [], None, ["Music"]]
    assert roll_up()({TAGS: row}) == {LEVEL1: above}
    assert roll_up()({TAGS: [row, [], None]}) == {LEVEL1: [above, [], None]}
    assert roll_up()([row, [], None]) == {LEVEL1: [above, [], None]}
    assert roll_up()(row) == {LEVEL1: above}
    assert roll_up(batched=True)([None, None]) == {LEVEL1: [None, None]}


def test_rolled_up_to_a_deeper_level() -> None:
    query = roll_up(3, new_column="kind")
    assert query({TAGS: ["Bark", "Bell", "Music"]}) == {"kind": [["Dog"], ["Bell"], ["Music"]]}


def test_rolled_up_values_are_typed_even_where_empty() -> None:
    row_type = pa.list_(pa.list_(pa.string()))
    assert pa.array(roll_up(batched=True)([None, []])[LEVEL1]).type == row_type


# --- inside datasets

WITH_VEHICLE = ["bus", "dog and car"]
WITHOUT_DOG = ["bus", "speech", "silent", "no video"]


@pytest.mark.parametrize("options", [{}, {"batched": True, "batch_size": 3}, {"num_proc": 2}])
def test_filter(clips: Dataset, options: dict[str, Any]) -> None:
    query = has_sound("Vehicle")
    assert kept(clips.filter(query, input_columns=TAGS, **options)) == WITH_VEHICLE
    query = lacks_sound("Dog")
    assert kept(clips.filter(query, input_columns=TAGS, **options)) == WITHOUT_DOG
    query = has_sound("Vehicle", min_score=0.3)
    assert kept(clips.filter(query, input_columns=TOP, **options)) == ["bus"]
    query = lacks_sound("Vehicle", min_score=0.1)
    lacking = ["speech", "silent", "no video"]
    assert kept(clips.filter(query, input_columns=TOP, **options)) == lacking


def test_filter_of_whole_batches_leaves_the_videos_alone(clips: Dataset) -> None:
    assert kept(clips.filter(has_sound("Vehicle"), batched=True)) == WITH_VEHICLE
    query = has_sound("Vehicle", min_score=0.3)
    assert kept(clips.filter(query, batched=True)) == ["bus"]


@pytest.mark.parametrize("format", ["numpy", "torch"])
def test_filter_with_another_format(clips: Dataset, format: str) -> None:
    if format == "torch":
        pytest.importorskip("torch")
    ds = clips.remove_columns("video").with_format(format)
    for options in ({}, {"batched": True}):
        filtered = ds.filter(has_sound("Vehicle"), input_columns=TAGS, **options)
        assert filtered.with_format(None)["name"][:] == WITH_VEHICLE
        query = has_sound("Vehicle", min_score=0.3)
        filtered = ds.filter(query, input_columns=TOP, **options)
        assert filtered.with_format(None)["name"][:] == ["bus"]


def test_filter_while_streaming(clips: Dataset) -> None:
    stream = clips.remove_columns("video").to_iterable_dataset()
    for options in ({}, {"batched": True, "batch_size": 3}):
        for where in ({}, {"input_columns": TAGS}):
            filtered = stream.filter(has_sound("Vehicle"), **options, **where)
            assert [row["name"] for row in filtered] == WITH_VEHICLE


def test_a_batch_that_tells_nothing_filters_rightly_or_stops(clips: Dataset) -> None:
    untagged = clips.filter(lambda name: name == "never tagged", input_columns="name")
    options = {"input_columns": TAGS, "batched": True}
    assert kept(untagged.filter(has_sound("Dog", batched=True), **options)) == []
    with pytest.raises(TypeError, match="bool"):
        untagged.filter(has_sound("Dog"), **options)


def test_a_batch_that_failed_altogether_tells_what_it_is(clips: Dataset) -> None:
    failed = clips.filter(lambda name: name == "failed", input_columns="name")
    for query, column in [(has_sound("Dog"), TAGS), (lacks_sound("Dog", min_score=0.1), TOP)]:
        for options in ({}, {"batched": True}):
            assert kept(failed.filter(query, input_columns=column, **options)) == []


@pytest.mark.timeout(120)
def test_an_error_comes_back_from_a_worker(clips: Dataset) -> None:
    own = clips.map(lambda tags: {TAGS: ["woof"]}, input_columns=TAGS, remove_columns="video")
    with pytest.raises(UnknownCategoryError, match="has other labels"):
        own.map(roll_up(), num_proc=2)


ROLLED_UP = [
    [["Sounds of things"]],
    [["Animal"], ["Sounds of things"]],
    [["Human sounds"]],
    [[]],
    [None],
    [],
    None,
    [None, ["Animal"]],
]


@pytest.mark.parametrize("where", [{}, {"input_columns": TAGS}])
@pytest.mark.parametrize("options", [{}, {"batched": True, "batch_size": 3}, {"num_proc": 2}])
def test_map(clips: Dataset, options: dict[str, Any], where: dict[str, Any]) -> None:
    mapped = clips.map(roll_up(), **options, **where)
    assert mapped.features[LEVEL1] == List(List(Value("string")))
    assert mapped.with_format("arrow")[LEVEL1][:].to_pylist() == ROLLED_UP
    assert mapped.column_names == [*clips.column_names, LEVEL1]


@pytest.mark.parametrize("where", [{}, {"input_columns": TAGS}])
@pytest.mark.parametrize("options", [{}, {"batched": True}])
@pytest.mark.parametrize("quiet", [[], ["EMPTY"]])
def test_map_whose_first_1000_rows_are_empty(
    tmp_path: Path, quiet: list[str], options: dict[str, Any], where: dict[str, Any]
) -> None:
    tags = [*[quiet] * 1001, ["Dog"]]
    pq.write_table(pa.table({TAGS: pa.array(tags, pa.list_(pa.string()))}), tmp_path / "x.parquet")
    ds = Dataset.from_parquet(str(tmp_path / "x.parquet"), cache_dir=str(tmp_path / "cache"))
    mapped = ds.map(roll_up(), **options, **where)
    assert mapped.features == Features({TAGS: List(Value("string")), LEVEL1: List(List(Value("string")))})
    assert mapped[-1][LEVEL1] == [["Animal"]]


@pytest.mark.parametrize("options", [{}, {"batched": True, "batch_size": 3}])
def test_map_while_streaming(clips: Dataset, options: dict[str, Any]) -> None:
    stream = clips.remove_columns("video").to_iterable_dataset().map(roll_up(), **options)
    assert [row[LEVEL1] for row in stream] == ROLLED_UP


@pytest.mark.parametrize("format", ["numpy", "torch"])
@pytest.mark.parametrize("options", [{}, {"batched": True}])
def test_map_with_another_format(clips: Dataset, format: str, options: dict[str, Any]) -> None:
    if format == "torch":
        pytest.importorskip("torch")
    ds = clips.remove_columns("video").with_format(format)
    mapped = ds.map(roll_up(), **options).with_format(None)
    assert mapped[LEVEL1][:] == ROLLED_UP


def test_a_map_is_read_again_from_the_cache(clips: Dataset) -> None:
    first, second = clips.map(roll_up()), clips.map(roll_up())
    assert first.cache_files == second.cache_files


def test_the_examples_hold() -> None:
    assert doctest.testmod(module).failed == 0
