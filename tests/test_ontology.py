"""The packaged facts against what is known of AudioSet, and the ways to reach them.

With HF_AUDIO_TAGGER_FACTS=FOLDER (ontology.json and classes.tsv) every fact is compared as well.
"""

import copy
import csv
import doctest
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

import hf_audio_tagger
from hf_audio_tagger import ontology
from hf_audio_tagger.audioset.ontology import Category, Ontology, UnknownCategoryError, labels_are_audioset
from hf_audio_tagger.errors import TaggerError

FACTS = os.environ.get("HF_AUDIO_TAGGER_FACTS", "")


def names(categories: Iterable[Category]) -> list[str]:
    return [category.name for category in categories]


@pytest.mark.skipif(not FACTS, reason="HF_AUDIO_TAGGER_FACTS names no folder")
def test_every_fact_is_the_published_one() -> None:
    published = json.loads(Path(FACTS, "ontology.json").read_text("utf-8"))
    assert [(one.id, one.name, one.child_ids, one.restrictions) for one in ontology] == [
        (one["id"], one["name"], tuple(one["child_ids"]), frozenset(one["restrictions"])) for one in published
    ]
    for one in published:
        above = [other["id"] for other in published if one["id"] in other["child_ids"]]
        assert list(ontology[one["id"]].parent_ids) == above


@pytest.mark.skipif(not FACTS, reason="HF_AUDIO_TAGGER_FACTS names no folder")
def test_every_class_has_the_published_name_and_indices() -> None:
    with Path(FACTS, "classes.tsv").open(encoding="utf-8", newline="") as file:
        published = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert [
        (one.id, one.name, one.audioset_index, one.yamnet_index) for one in ontology.audioset_classes()
    ] == [
        (
            one["mid"],
            one["name"],
            int(one["audioset_index"]),
            int(one["yamnet_index"]) if one["yamnet_index"] else None,
        )
        for one in published
    ]


def test_it_is_the_whole_graph() -> None:
    everything = list(ontology)
    assert len(ontology) == len(everything) == 632
    assert len({one.id for one in everything}) == len({one.name for one in everything}) == 632
    assert sum(len(one.parents) > 1 for one in everything) == 38
    assert names(ontology.roots) == [
        "Human sounds",
        "Animal",
        "Music",
        "Natural sounds",
        "Sounds of things",
        "Source-ambiguous sounds",
        "Channel, environment and background",
    ]
    assert sum(one.is_abstract for one in everything) == 23
    assert sum(one.is_ambiguous for one in everything) == 67


def test_edges_agree_in_both_directions_and_never_lead_back() -> None:
    for one in ontology:
        assert all(one in child.parents for child in one.children)
        assert all(one in parent.children for parent in one.parents)
        assert one not in one.descendants()
        assert set(one.parents) <= set(one.ancestors())
        assert all(one in above.descendants() for above in one.ancestors())


def test_every_category_is_below_a_root() -> None:
    below = {one for root in ontology.roots for one in (root, *root.descendants())}
    assert below == set(ontology)


def test_classes_are_numbered_without_gaps() -> None:
    audioset, yamnet = ontology.audioset_classes(), ontology.yamnet_classes()
    assert [one.audioset_index for one in audioset] == list(range(527))
    assert [one.yamnet_index for one in yamnet] == list(range(521))
    assert names(audioset)[:2] == ["Speech", "Male speech, man speaking"]
    assert (audioset[74].name, audioset[137].name, audioset[526].name) == (
        "Dog",
        "Music",
        "Field recording",
    )
    assert (yamnet[69].name, yamnet[132].name, yamnet[520].name) == (
        "Dog",
        "Music",
        "Field recording",
    )
    assert names(one for one in audioset if one.yamnet_index is None) == [
        "Male speech, man speaking",
        "Female speech, woman speaking",
        "Battle cry",
        "Male singing",
        "Female singing",
        "Funny music",
    ]


def test_a_category_is_found_by_name_and_by_id() -> None:
    dog = ontology["Dog"]
    assert dog is ontology["/m/0bt9lr"]
    assert (dog.id, dog.name) == ("/m/0bt9lr", "Dog")
    assert "Dog" in ontology
    assert "/m/0bt9lr" in ontology
    assert dog in ontology
    assert "dog" not in ontology
    assert None not in ontology
    assert repr(dog) == "Category(id='/m/0bt9lr', name='Dog')"


def test_neighbours_of_a_category() -> None:
    assert names(ontology["Growling"].parents) == [
        "Dog",
        "Cat",
        "Roaring cats (lions, tigers)",
        "Canidae, dogs, wolves",
    ]
    assert names(ontology["Thunderstorm"].descendants()) == ["Thunder"]
    assert names(ontology["Dog"].ancestors()) == ["Animal", "Domestic animals, pets"]
    assert ontology["Animal"].parents == ontology["Animal"].ancestors() == ()
    assert "Bell" in names(ontology["Music"].descendants())
    assert "Bell" in names(ontology["Sounds of things"].descendants())


def test_descendants_keep_the_ontologys_order_and_come_once() -> None:
    position = {one: index for index, one in enumerate(ontology)}
    for one in ontology:
        for found in (one.ancestors(), one.descendants(), one.parents):
            places = [position[other] for other in found]
            assert places == sorted(set(places))


def test_the_path_goes_through_the_first_parent() -> None:
    assert ontology["Dog"].path() == "Animal > Domestic animals, pets > Dog"
    assert ontology["Music"].path() == "Music"
    assert ontology["Bicycle bell"].paths() == (
        "Music > Musical instrument > Bell > Bicycle bell",
        "Sounds of things > Bell > Bicycle bell",
        "Sounds of things > Vehicle > Non-motorized land vehicle > Bicycle > Bicycle bell",
        "Sounds of things > Alarm > Bicycle bell",
    )
    for one in ontology:
        assert one.path() == one.paths()[0]
        assert not one.parents or one.path() == f"{one.parents[0].path()} > {one.name}"


def test_a_level_takes_that_step_of_every_path() -> None:
    bell = ontology["Bicycle bell"]
    assert names(bell.at_level(1)) == ["Music", "Sounds of things"]
    assert names(bell.at_level(2)) == ["Musical instrument", "Bell", "Vehicle", "Alarm"]
    assert names(bell.at_level(9)) == ["Bicycle bell"]
    assert names(ontology["Music"].at_level(3)) == ["Music"]


def test_find_puts_the_nearest_name_first() -> None:
    found = names(ontology.find("GUITAR"))
    assert found[:2] == ["Guitar", "Electric guitar"]
    assert "Tapping (guitar technique)" in found
    car = names(ontology.find("car"))
    assert car[0] == "Car"
    assert car.index("Car alarm") < car.index("Scary music")
    assert ontology.find("no such sound") == ()
    assert names(ontology.find("("))
    assert len(ontology.find("")) == 632


def test_the_tree_is_printed_by_indentation() -> None:
    assert ontology.tree("Dog").splitlines()[:2] == ["Dog", "    Bark"]
    assert ontology.tree(depth=0).splitlines() == names(ontology.roots)
    assert len(ontology.tree("Animal", depth=1).splitlines()) == 4
    whole = [line.strip() for line in ontology.tree().splitlines()]
    assert set(whole) == set(names(ontology))
    assert whole.count("Growling") == len(ontology["Growling"].paths())
    assert ontology.tree().isascii()  # any terminal can show it


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("Vehicel", "'Vehicle'"),
        ("dog", "'Dog'"),
        ("Airplane", "'Fixed-wing aircraft, airplane'"),
        ("Keyboard", "'Keyboard (musical)'"),
    ],
)
def test_an_unknown_name_suggests_near_ones(wrong: str, nearest: str) -> None:
    with pytest.raises(KeyError) as raised:
        ontology[wrong]
    assert str(raised.value).startswith(f"AudioSet has no {wrong!r}: did you mean {nearest}")
    assert isinstance(raised.value, UnknownCategoryError)
    assert isinstance(raised.value, TaggerError)


def test_a_name_like_no_other_is_refused_without_a_guess() -> None:
    with pytest.raises(UnknownCategoryError, match=r"^AudioSet has no 'xyzzy'$"):
        ontology["xyzzy"]


def test_the_error_survives_pickle() -> None:
    with pytest.raises(UnknownCategoryError) as raised:
        ontology["Vehicel"]
    copied = pickle.loads(pickle.dumps(raised.value))
    assert type(copied) is UnknownCategoryError
    assert str(copied) == str(raised.value)


def test_a_pickle_is_small_and_a_copy_is_the_category_itself() -> None:
    music = ontology["Music"]
    assert len(pickle.dumps(music)) < 100
    assert pickle.loads(pickle.dumps(music)) is music
    assert copy.copy(music) is copy.deepcopy(music) is music


def test_the_ontology_is_one_object_also_after_a_pickle() -> None:
    assert isinstance(ontology, Ontology)
    assert hf_audio_tagger.ontology is ontology
    copied = pickle.loads(pickle.dumps(ontology))
    assert copied["Dog"] is ontology["Dog"]
    assert list(copied) == list(ontology)


def test_categories_are_equal_by_id_and_cannot_be_changed() -> None:
    dog = ontology["Dog"]
    twin = Category(dog.id, "Hound", (), (), frozenset(), None, None)
    assert twin == dog
    assert hash(twin) == hash(dog)
    with pytest.raises(AttributeError):
        dog.name = "Hound"  # type: ignore[misc]


def test_labels_that_are_audiosets() -> None:
    assert labels_are_audioset(names(ontology.audioset_classes()))
    assert labels_are_audioset(one.id for one in ontology.yamnet_classes())
    assert not labels_are_audioset([])
    assert not labels_are_audioset(["Speech", "LABEL_1"])
    assert not labels_are_audioset(["Speech", "Human voice"])  # a category, but no class


@pytest.mark.filterwarnings("ignore")
def test_the_examples_hold() -> None:
    assert doctest.testmod(sys.modules[Category.__module__]).failed == 0


def in_a_fresh_interpreter(code: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_it_needs_no_other_package() -> None:
    heavy = ["torch", "transformers", "datasets", "numpy", "pyarrow"]
    assert (
        in_a_fresh_interpreter(
            "import sys; from hf_audio_tagger import ontology; ontology['Dog'].path();"
            f"print([name for name in {heavy} if name in sys.modules])"
        )
        == "[]"
    )


def test_it_is_read_in_20_ms() -> None:
    code = (
        "import time; from hf_audio_tagger import ontology; start = time.perf_counter();"
        "ontology['Dog']; print(time.perf_counter() - start)"
    )
    assert min(float(in_a_fresh_interpreter(code)) for _ in range(5)) < 0.020
