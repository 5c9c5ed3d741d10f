"""A column of labels as numbers: every form in which AudioSet's labels and others come."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value

from hf_audio_tagger import check_index, ontology, sample_weights, write_index
from hf_audio_tagger.audioset.labels import Labels, read_labels
from hf_audio_tagger.errors import ColumnError, SettingsError

SPEECH, MUSIC, DOG = "/m/09x0r", "/m/04rlf", "/m/0bt9lr"


def make(cells: list[Any], feature: Any = None) -> Dataset:
    features = None if feature is None else Features({"labels": feature})
    return Dataset.from_dict({"labels": cells}, features=features)


def by_row(labels: Labels) -> list[set[str]]:
    found: list[set[str]] = [set() for _ in range(labels.row_count)]
    for row, index in zip(labels.rows, labels.indices, strict=True):
        found[row].add(labels.classes[index])
    assert len(labels.rows) == sum(map(len, found)), "a label counted twice in a row"
    return found


EXPECTED: list[set[str]] = [{"Speech"}, {"Speech", "Music"}, set(), set(), {"Dog"}]
FORMS = {
    "mids": (None, [[SPEECH], [SPEECH, MUSIC], [], None, [DOG]]),
    "names": (None, [["Speech"], ["Music", "Speech"], [], None, ["Dog"]]),
    "mids and names, one twice": (None, [["Speech", SPEECH], [SPEECH, "Music"], [], None, [DOG, DOG]]),
    "one text": (None, [SPEECH, f"{SPEECH},{MUSIC}", "", None, DOG]),
    "one text, spaces": (None, [SPEECH, f"{MUSIC}, {SPEECH}", "", None, DOG]),
    "tags": (None, [["Speech", "EMPTY"], ["Speech", "Music", None], ["EMPTY"], None, ["Dog", "Dog"]]),
    "lists a video": (None, [[["Speech"]], [["Speech"], ["Music"]], [[], None], None, [["Dog"]]]),
    "class labels": (List(ClassLabel(names=["Music", "Speech", "Dog"])), [[1], [0, 1], [], None, [2]]),
    "mids' class labels": (List(ClassLabel(names=[MUSIC, SPEECH, DOG])), [[1], [0, 1], [-1], None, [2]]),
    "scored": (
        List(List({"label": Value("string"), "score": Value("float32")})),
        [
            [[{"label": "Speech", "score": 0.5}]],
            [[{"label": "Music", "score": 0.5}, {"label": "Speech", "score": 0.4}]],
            [[]],
            None,
            [[{"label": "Dog", "score": 1.0}], None],
        ],
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_categories(form: str) -> None:
    feature, cells = FORMS[form]
    labels = read_labels(make(cells, feature))
    assert by_row(labels) == EXPECTED
    assert labels.is_audioset
    assert labels.row_count == 5
    assert dict(zip(labels.classes, labels.count_rows().tolist(), strict=True)) == {
        "Speech": 2,
        "Music": 1,
        "Dog": 1,
    }
    assert labels.has_labels().tolist() == [True, True, False, False, True]


def test_categories_are_in_audiosets_order_and_above_them_those_without_an_index() -> None:
    labels = read_labels(make([["Human sounds", "Dog", "Speech", "Music"]]))
    assert labels.classes == ("Speech", "Dog", "Music", "Human sounds")
    assert by_row(labels) == [{"Human sounds", "Dog", "Speech", "Music"}]


def test_names_with_a_comma_are_not_split() -> None:
    with_comma = [one.name for one in ontology.audioset_classes() if "," in one.name]
    assert len(with_comma) == 75
    labels = read_labels(make(with_comma))
    assert by_row(labels) == [{name} for name in with_comma]


def test_one_label_of_another_set_makes_all_of_them_text() -> None:
    labels = read_labels(make([["Dog", DOG], ["chirping birds"], ["Dog"]]))
    assert not labels.is_audioset
    assert labels.classes == (DOG, "Dog", "chirping birds")
    assert by_row(labels) == [{"Dog", DOG}, {"chirping birds"}, {"Dog"}]


def test_numbers_need_names() -> None:
    ds = make([[2, 0], [1], []])
    with pytest.raises(ColumnError, match=r"classes=.*ClassLabel"):
        read_labels(ds)
    labels = read_labels(ds, classes=["zither", "Dog", "ant"])
    assert labels.classes == ("zither", "Dog", "ant")  # as given, so that indices stay
    assert by_row(labels) == [{"ant", "zither"}, {"Dog"}, set()]
    with pytest.raises(SettingsError, match=r"between 0 and 1.*got 2"):
        read_labels(ds, classes=["zither", "Dog"])


def test_classes_that_no_row_has_are_kept_where_names_are_given() -> None:
    labels = read_labels(make([1], ClassLabel(names=["Speech", "Dog", "Music"])))
    assert labels.count_rows().tolist() == [0, 1, 0]


@pytest.mark.parametrize("cells", [[[0.5, 1.0]], [True], [{"name": "Dog"}]])
def test_other_types_are_refused(cells: list[Any]) -> None:
    with pytest.raises(ColumnError, match="must hold labels"):
        read_labels(make(cells))


def test_a_missing_column_is_named_with_those_that_exist() -> None:
    with pytest.raises(ColumnError, match=r"no column 'tags', only 'labels'"):
        read_labels(make([["Dog"]]), "tags")


def test_several_splits_and_streams_are_refused() -> None:
    ds = make([["Dog"]])
    for wrong in (DatasetDict(train=ds), ds.to_iterable_dataset()):
        for refuse in (read_labels, sample_weights, check_index, lambda ds: write_index(ds, "x.csv")):
            with pytest.raises(SettingsError, match=f"ds must be a Dataset.*{type(wrong).__name__}"):
                refuse(wrong)  # type: ignore[arg-type]


def test_no_labels_at_all() -> None:
    for cells in ([[], None], [None, None], []):
        labels = read_labels(make(cells, None if cells else List(Value("string"))))
        assert (labels.classes, labels.rows.tolist(), labels.is_audioset) == ((), [], False)
        assert labels.row_count == len(cells)


def test_many_rows_in_chunks_shuffled_and_selected(tmp_path: Any) -> None:
    """Against a plain loop, from a file with many record batches, through an indices mapping."""
    rng = np.random.default_rng(0)
    mids = [one.id for one in ontology.audioset_classes()]
    cells = [[mids[i] for i in rng.integers(0, 527, rng.integers(0, 4))] for _ in range(3_000)]
    ds = Dataset(pa.Table.from_batches(pa.table({"labels": cells}).to_batches(max_chunksize=100)))
    ds = ds.shuffle(seed=1).select(range(500, 2_500))
    expected = [{ontology[mid].name for mid in row} for row in ds["labels"]]
    assert by_row(read_labels(ds)) == expected
