"""roll_up with classes of a user's own, and of a column with several labels for each video."""

import pickle
from typing import Any

import pytest
from datasets import Dataset, List, Value
from datasets.fingerprint import Hasher

from hf_audio_tagger import has_sound, lacks_sound, ontology, roll_up
from hf_audio_tagger.audioset.ontology import UnknownCategoryError
from hf_audio_tagger.errors import ColumnError, SettingsError

TAGS, CLASSES = "video_audio_tags", "video_audio_tags_classes"
MINE = {"Vehicle": "traffic", "Emergency vehicle": "siren", "Domestic animals, pets": "pet", "Dog": "pet"}


def classify(tag: str, others: str | None = None, classes: Any = MINE) -> list[str]:
    [found] = roll_up(classes, others=others)({TAGS: [tag]})[CLASSES]
    return list(found)


@pytest.mark.parametrize(
    ("tag", "classes"),
    [
        ("Vehicle", ["traffic"]),  # the category itself
        ("Bus", ["traffic"]),  # two levels below
        ("Emergency vehicle", ["siren"]),
        ("Ambulance (siren)", ["siren"]),  # below both: the most specific
        ("Bark", ["pet"]),  # Dog is below pets, and both are one class
        ("Meow", ["pet"]),
        ("Sounds of things", ["Sounds of things"]),  # above a key
        ("Music", ["Music"]),
    ],
)
def test_the_class_of_a_tag(tag: str, classes: list[str]) -> None:
    assert classify(tag) == classes
    kept = {"traffic", "siren", "pet"}.issuperset(classes)
    assert classify(tag, others="other") == (classes if kept else ["other"])


def test_every_class_of_audioset_agrees_with_a_walk_over_its_parents() -> None:
    """The nearest keys on the ways up, found step by step."""

    def walk(name: str) -> set[str]:
        if name in MINE:
            return {name}
        return {key for parent in ontology[name].parents for key in walk(parent.name)}

    def is_below(one: str, other: str) -> bool:
        return ontology[other] in ontology[one].ancestors()

    for category in ontology.audioset_classes():
        keys = walk(category.name)
        keys = {key for key in keys if not any(is_below(other, key) for other in keys)}
        expected = {MINE[key] for key in keys} or {"other"}
        assert set(classify(category.name, "other")) == expected, category.name


def test_a_tag_below_two_has_both() -> None:
    assert classify("Car alarm", classes={"Alarm": "alarm", "Vehicle": "traffic"}) == ["alarm", "traffic"]
    assert classify("Car alarm", classes={"Alarm": "x", "Vehicle": "x"}) == ["x"]


def test_keys_are_names_ids_or_categories() -> None:
    for key in ("Dog", "/m/0bt9lr", ontology["Dog"]):
        assert classify("Bark", classes={key: "dog"}) == ["dog"]
    assert roll_up({"Dog": "x", "/m/0bt9lr": "x"}) == roll_up({"Dog": "x"})


def test_empty_failed_and_no_videos() -> None:
    rows = [["EMPTY"], [None, "Bus"], [], None]
    expected = [[[]], [None, ["traffic"]], [], None]
    for others in (None, "other"):
        assert roll_up(MINE, others=others)({TAGS: rows}) == {CLASSES: expected}


@pytest.mark.parametrize("options", [{}, {"batched": True}])
def test_map(options: dict[str, Any]) -> None:
    ds = Dataset.from_dict({TAGS: [["EMPTY"], ["Bus"], ["Music"]]})
    mapped = ds.map(roll_up(MINE, others="other"), **options)
    assert mapped.features[CLASSES] == List(List(Value("string")))
    assert mapped[CLASSES][:] == [[[]], [["traffic"]], [["other"]]]
    assert roll_up(MINE)(ds, 1) == {CLASSES: [["traffic"]]}
    assert roll_up(2, new_column="kind")(ds, 1) == {"kind": [["Vehicle"]]}


def test_several_labels_of_a_video_have_each_class_once() -> None:
    labels = [["Bark", "Bus", "Meow"], [], None]
    ds = Dataset.from_dict({"video_audio_labels": [labels], "other": [labels]})
    query = roll_up(MINE, column="video_audio_labels")
    expected = {"video_audio_labels_classes": [["pet", "traffic"], [], None]}
    assert ds.map(query)[0].items() >= expected.items()
    assert ds.map(query, batched=True)[0].items() >= expected.items()
    assert next(iter(ds.to_iterable_dataset().map(query))).items() >= expected.items()
    assert query({"video_audio_labels": labels}) == expected
    assert query({"video_audio_labels": [labels]}) == {"video_audio_labels_classes": [expected.popitem()[1]]}
    assert ds.map(roll_up(1, column="other"))[0]["other_level1"] == [["Animal", "Sounds of things"], [], None]


def test_questions_to_the_row_of_an_index() -> None:
    ds = Dataset.from_dict({TAGS: [["Bus"], ["Dog"]], "video": ["/no/such.mp4"] * 2})
    assert has_sound("Vehicle")(ds, 0) is True
    assert lacks_sound("Vehicle")(ds, -1) is True
    with pytest.raises(ColumnError, match="no column 'video_audio_top' among"):
        has_sound("Vehicle", min_score=0.5)(ds, 0)
    with pytest.raises(SettingsError, match="index must be that of one of the dataset's 2 rows; got 2"):
        has_sound("Vehicle")(ds, 2)
    with pytest.raises(SettingsError, match="row of a Dataset; got list"):
        has_sound("Vehicle")(["Bus"], 0)


@pytest.mark.parametrize(
    ("classes", "others", "words"),
    [
        ({}, None, "level must be a level .* or your classes"),
        ("Vehicle", None, "level must be a level .* or your classes"),
        ({3: "x"}, None, "level must be a level .* or your classes"),
        ({"Dog": ""}, None, "a class must be a name"),
        ({"Dog": None}, None, "a class must be a name"),
        ({"Dog": "dog"}, "", "a class must be a name"),
        ({"Dog": "dog", "/m/0bt9lr": "hound"}, None, "the class of 'Dog' must be one; it is 'dog' too"),
        (1, "other", "others must be left out with a level"),
    ],
)
def test_wrong_classes_raise_when_the_query_is_made(classes: Any, others: Any, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        roll_up(classes, others=others)


def test_an_unknown_category_is_named_with_suggestions() -> None:
    with pytest.raises(UnknownCategoryError, match="did you mean 'Vehicle'"):
        roll_up({"Vehicel": "traffic"})


def test_classes_pickle_and_hash_by_what_they_do() -> None:
    query = roll_up(MINE)
    query({TAGS: ["Bus"]})
    assert pickle.loads(pickle.dumps(query)) == query
    different = [query, roll_up(MINE, others="other"), roll_up({"Dog": "x"}), roll_up()]
    assert len({Hasher.hash(one) for one in different}) == 4
    assert Hasher.hash(query) == Hasher.hash(roll_up(dict(MINE)))
