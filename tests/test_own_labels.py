"""Asking for sounds where a model's labels are not AudioSet's, or only some of them."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset

from hf_audio_tagger import has_sound, lacks_sound, write_thresholds
from hf_audio_tagger.audioset.ontology import UnknownCategoryError, ontology
from hf_audio_tagger.recipes.operators.video_audio_tags_filter import VideoAudioTagsFilter
from hf_audio_tagger.scores import EMPTY

TAGS, TOP = "video_audio_tags", "video_audio_top"
LABELS = ("espresso machine", "siren", "Dog", "crowd booing", "none")


def test_labels_that_name_categories_ask_by_meaning_and_others_as_text() -> None:
    assert has_sound("Alarm")(["siren"]) is True  # AudioSet has Siren below Alarm
    assert has_sound("Animal")(["dog"]) is has_sound("animal")(["DOG"]) is True
    assert has_sound("Dog")(["espresso machine"]) is False
    assert lacks_sound("Dog")(["espresso machine", EMPTY]) is True
    assert has_sound("Espresso Machine")(["espresso  machine"]) is True
    assert has_sound("espresso")(["espresso machine"]) is False
    assert has_sound("espresso machine")([EMPTY, None, "siren"]) is False
    assert has_sound("none")(["none"]) is True
    assert has_sound("none")([EMPTY]) is False
    assert lacks_sound("espresso machine")([None]) is False
    both = has_sound("crowd booing", "Alarm")
    assert both([["Crowd booing"], ["siren"], ["Dog"], []]) == [True, True, False, False]


def test_labels_with_scores() -> None:
    cell = [[{"label": "espresso machine", "score": 0.7}, {"label": "siren", "score": 0.2}]]
    for least, expected in [
        (0.7, True),
        (0.71, False),
        ({"Espresso machine": 0.5}, True),
        ({"siren": 0.1}, False),
    ]:
        assert has_sound("espresso machine", min_score=least)(cell) is expected
    assert has_sound("Alarm", min_score={"siren": 0.2, "espresso machine": 0.9})(cell) is True
    assert lacks_sound("Alarm", min_score={"Siren": 0.3})(cell) is True


def test_thresholds_of_own_labels_come_from_a_file(tmp_path: Path) -> None:
    write_thresholds({"espresso machine": 0.5, "siren": 0.3}, tmp_path / "least.json")
    query = has_sound("espresso machine", min_score=tmp_path / "least.json")
    assert query([[{"label": "espresso machine", "score": 0.6}]]) is True
    assert query([[{"label": "espresso machine", "score": 0.4}]]) is False


def test_the_filter_of_a_dataset(tmp_path: Path) -> None:
    tags = pa.array([["espresso machine"], ["siren"], [EMPTY], [None], [], None], pa.list_(pa.string()))
    pq.write_table(pa.table({TAGS: tags, "row": range(6)}), tmp_path / "rows.parquet")
    ds = Dataset.from_parquet(str(tmp_path / "rows.parquet"), cache_dir=str(tmp_path / "cache"))
    for options in ({}, {"batched": True}, {"num_proc": 2}):
        found = ds.filter(has_sound("Espresso machine"), input_columns=TAGS, **options)
        assert found["row"][:] == [0]
        assert ds.filter(lacks_sound("Alarm"), input_columns=TAGS, **options)["row"][:] == [0, 2, 4]


@pytest.mark.parametrize("name", ["Vehicel", "Speach", "siern", "Dogg", "Helicoptre"])
def test_a_misspelled_category_is_still_an_error(name: str) -> None:
    with pytest.raises(UnknownCategoryError, match=r"did you mean .*labels=tagger.labels"):
        has_sound(name)
    assert has_sound(name, labels=[name])([name.upper()]) is True  # unless it is a label


@pytest.mark.parametrize("name", ["sirens", "barking dog", "door creaking, then footsteps", "Ünïque"])
def test_words_of_ones_own_are_no_misspelled_categories(name: str) -> None:
    assert has_sound(name)([name.title()]) is True


def test_labels_check_the_names() -> None:
    assert has_sound("espresso machine", "Vehicle", labels=LABELS).names == ("Vehicle", "espresso machine")
    with pytest.raises(
        UnknownCategoryError, match=r"Neither .*'esspresso machine': did you mean 'espresso machine'"
    ):
        has_sound("esspresso machine", labels=LABELS)
    with pytest.raises(UnknownCategoryError, match=r"Neither AudioSet nor labels= has 'xyzzy'\.$"):
        lacks_sound("xyzzy", labels=LABELS)


def test_every_category_is_found_by_its_name_in_any_case() -> None:
    for category in ontology:
        query: Any = has_sound(category.name.upper())
        assert query.names == (category.name,)
        assert query([category.name.lower()]) is True


def test_the_filter_of_recipes_takes_own_labels() -> None:
    step = VideoAudioTagsFilter(any_of=("crowd booing",), none_of=("Alarm",))
    rows = [["crowd booing"], ["siren"], ["Crowd booing", "x"], [EMPTY]]
    assert [step.decide(step.judge({TAGS: row})) for row in rows] == [True, False, True, False]
