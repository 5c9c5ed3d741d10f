"""The picture of tags: bars that hold what was counted."""

from typing import Any

import numpy as np
import pytest
from datasets import Dataset, DatasetDict, Features, IterableDataset, List, Value, Video
from figures import COUNTS, FOREIGN, LONG_NAMES, TAGS, cut_texts, legend, overlaps, pixels
from matplotlib.figure import Figure

from hf_audio_tagger import labels_over, ontology, roll_up
from hf_audio_tagger.errors import ColumnError, SettingsError
from hf_audio_tagger.plot import plot_tags


def bars(figure: Figure) -> dict[str, int]:
    """Labels and lengths, from the top down."""
    axes: Any
    [axes] = figure.axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    lengths = [round(patch.get_width()) for patch in axes.patches]
    heights = [patch.get_y() for patch in axes.patches]
    assert axes.yaxis_inverted()
    assert heights == sorted(heights)
    return dict(zip(labels, lengths, strict=True))


def colours(figure: Figure) -> dict[str, Any]:
    [axes] = figure.axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    return dict(zip(labels, [patch.get_facecolor() for patch in axes.patches], strict=True))


def test_counts_tags_of_a_dataset() -> None:
    assert bars(plot_tags(Dataset.from_dict({"video_audio_tags": TAGS}))) == COUNTS


def test_reads_only_the_tags() -> None:
    ds = Dataset.from_dict({"video": ["/no/such.mp4"] * len(TAGS), "video_audio_tags": TAGS})
    ds = ds.cast_column("video", Video())
    with pytest.raises(Exception, match="such"):
        ds[0]
    assert bars(plot_tags(ds)) == COUNTS
    assert bars(plot_tags(ds.with_format("numpy"))) == COUNTS
    assert bars(plot_tags(ds.with_transform(lambda batch: pytest.fail("the rows were read")))) == COUNTS
    assert bars(plot_tags(ds.select([6, 0, 7]))) == {"Dog": 2, "Music": 2}
    assert bars(plot_tags(ds.to_iterable_dataset())) == COUNTS


@pytest.mark.parametrize(
    "given",
    [
        TAGS,
        iter(TAGS),
        Dataset.from_dict({"video_audio_tags": TAGS})["video_audio_tags"],
        Dataset.from_dict({"video_audio_tags": TAGS}).to_iterable_dataset(),
        IterableDataset.from_generator(lambda: ({"video_audio_tags": tags} for tags in TAGS)),
        [tag for tags in TAGS for tag in tags],
        [np.array(tags, dtype=object) for tags in TAGS],
    ],
    ids=["lists", "iterator", "column", "arrow stream", "stream", "flat", "arrays"],
)
def test_counts_tags_in_any_form(given: Any) -> None:
    assert bars(plot_tags(given)) == COUNTS


def test_counts_over_many_rows() -> None:
    names = [category.name for category in ontology.audioset_classes()[:3]]
    drawn = np.random.default_rng(1).choice(names, size=25_000, p=[0.5, 0.3, 0.2])
    figure = plot_tags(Dataset.from_dict({"sounds": [[name] for name in drawn]}), column="sounds")
    assert bars(figure) == {name: int((drawn == name).sum()) for name in names}
    [axes] = figure.axes
    assert [text.get_text() for text in axes.texts] == [f"{(drawn == name).sum():,}" for name in names]


def test_only_the_most_frequent() -> None:
    tags = [[name] for place, name in enumerate(LONG_NAMES) for _ in range(10 - place)] + [["EMPTY"]] * 50
    figure = plot_tags(tags, most=2)
    assert bars(figure) == {LONG_NAMES[0]: 10, LONG_NAMES[1]: 9, "no audio stream (EMPTY)": 50}
    title = figure.axes[0].get_title(loc="left")
    assert title == "The 2 most frequent of 7 tags (the others: 30 clips)"
    assert plot_tags(tags, title="Mine").axes[0].get_title(loc="left") == "Mine"


def test_equal_counts_are_in_the_order_of_names() -> None:
    assert list(bars(plot_tags([["Rain"], ["Dog"], ["Music"]]))) == ["Dog", "Music", "Rain"]


def test_a_colour_is_a_top_category() -> None:
    figure = plot_tags([["Bark"], ["Dog"], ["Music"], ["Siren"], ["EMPTY"], [None]])
    colour = colours(figure)
    assert colour["Bark"] == colour["Dog"] == legend(figure)["Animal"]
    assert colour["Music"] == legend(figure)["Music"]
    assert colour["Siren"] == legend(figure)["Sounds of things"]
    assert list(legend(figure)) == ["Animal", "Music", "Sounds of things"]
    grey = {colour["no audio stream (EMPTY)"], colour["could not be read (null)"]}
    assert len(grey) == 1
    assert not grey & set(legend(figure).values())


def test_top_categories_have_colours_of_their_own() -> None:
    figure = plot_tags([[root.name] for root in ontology.roots])
    assert len(set(colours(figure).values())) == len(ontology.roots)
    assert list(legend(figure)) == [root.name for root in ontology.roots]


def test_labels_that_are_not_audioset_s() -> None:
    figure = plot_tags([["happy"], ["sad"]])
    assert len(set(colours(figure).values())) == 1
    assert not legend(figure)
    figure = plot_tags([["happy"], ["Dog"]])
    assert colours(figure)["happy"] == legend(figure)["not AudioSet's"]
    assert colours(figure)["Dog"] == legend(figure)["Animal"]


def test_rolled_up_levels() -> None:
    rolled = Dataset.from_dict({"video_audio_tags": [["Bark", "Bell"], ["EMPTY"], [None]]}).map(roll_up(1))
    assert bars(plot_tags(rolled, column="video_audio_tags_level1")) == {
        "Animal": 1,
        "Music": 1,
        "Sounds of things": 1,
        "no audio stream (EMPTY)": 1,
        "could not be read (null)": 1,
    }


def scored(**scores: float) -> list[dict[str, Any]]:
    return [{"label": label, "score": score} for label, score in scores.items()]


TOP = [[scored(Dog=0.9, Music=0.4)], [[]], [None], [scored(Music=0.3), scored(Dog=0.7, Siren=0.1)], [], [[]]]
TOP_TAGS = [["Dog"], ["EMPTY"], [None], ["Music", "Dog"], [], ["Speech"]]
GREY_TOP = {"no audio stream (EMPTY)": 1, "could not be read (null)": 1, "without a label ([])": 1}


@pytest.mark.parametrize(
    ("min_score", "counts"),
    [
        (None, {"Dog": 2, "Music": 2, "Siren": 1} | GREY_TOP),
        (0.3, {"Dog": 2, "Music": 2} | GREY_TOP),  # 0.3 itself is stored as a float32
        (0.7, {"Dog": 2} | GREY_TOP | {"without a label ([])": 2}),
        ({"Music": 0.4}, {"Music": 1} | GREY_TOP | {"without a label ([])": 3}),
    ],
)
def test_scored_labels(min_score: Any, counts: dict[str, int]) -> None:
    """A bar counts clips, and EMPTY is told from a clip without a label by its tag."""
    features = Features(
        {
            "video_audio_tags": List(Value("string")),
            "video_audio_top": List(List({"label": Value("string"), "score": Value("float32")})),
        }
    )
    ds = Dataset.from_dict({"video_audio_tags": TOP_TAGS, "video_audio_top": TOP}, features=features)
    for given in (ds, ds.with_format("numpy"), ds.to_iterable_dataset()):
        assert bars(plot_tags(given, "video_audio_top", min_score=min_score)) == counts
    alone = counts | {"without a label ([])": counts["without a label ([])"] + 1}
    del alone["no audio stream (EMPTY)"]
    assert bars(plot_tags(TOP, "video_audio_top", min_score=min_score)) == alone


def test_labels_and_classes() -> None:
    ds = Dataset.from_dict({"sound_tags": TOP_TAGS, "sound_top": TOP})
    ds = ds.map(labels_over(0.3, column="sound_top"))
    assert bars(plot_tags(ds, "sound_labels")) == {"Dog": 2, "Music": 2} | GREY_TOP
    ds = ds.map(roll_up({"Dog": "pet"}, column="sound_labels"))
    assert bars(plot_tags(ds, "sound_labels_classes")) == {"Music": 2, "pet": 2} | GREY_TOP


def test_the_others_are_clips() -> None:
    """A clip with several other labels is one, and one with a shown label and another is counted too."""
    rows = [[["Dog", "Cat"]]] * 3 + [[["Rain", "Wind", "Cat"]]] * 2 + [[["Dog"], ["Dog", "Rain"]]]
    figure = plot_tags(rows, most=2)
    assert bars(figure) == {"Cat": 5, "Dog": 5}
    title = figure.axes[0].get_title(loc="left")
    assert title == "The 2 most frequent of 4 tags (the others: 3 clips)"


@pytest.mark.parametrize("tags", [[], [[]], [None], [["EMPTY"]]], ids=["none", "empty", "null", "EMPTY"])
def test_without_any_tag(tags: Any) -> None:
    figure = plot_tags(tags)
    assert figure.axes[0].get_title(loc="left") == "No tags"
    pixels(figure)


def test_a_typed_column_without_rows() -> None:
    features = Features({"video_audio_tags": List(Value("string"))})
    pixels(plot_tags(Dataset.from_dict({"video_audio_tags": []}, features=features)))


@pytest.mark.parametrize(
    ("given", "options", "error", "words"),
    [
        (DatasetDict({"train": Dataset.from_dict({"a": [1]})}), {}, SettingsError, r"ds\['train'\]"),
        (Dataset.from_dict({"a": [1], "b": [2]}), {}, ColumnError, "'video_audio_tags'.*'a', 'b'"),
        (Dataset.from_dict({"a": [1]}), {"column": "a"}, ColumnError, "'a' must hold a list of text.*int64"),
        ([[[{"start": 0.5}]]], {}, ColumnError, "struct"),
        ([["Dog"]], {"min_score": 0.5}, ColumnError, "no scores, which min_score needs"),
        ([["Dog"]], {"min_score": 30}, SettingsError, "min_score must be a score.*got 30"),
        ([["Dog"], "Dog"], {}, ColumnError, "Expected lists of tags"),
        ("Dog", {}, SettingsError, "not str"),
        ([["Dog"]], {"most": 0}, SettingsError, "most must be.*got 0"),
        ([["Dog"]], {"most": 2.5}, SettingsError, r"most must be.*got 2\.5"),
    ],
)
def test_invalid_arguments_are_refused(given: Any, options: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        plot_tags(given, **options)


def test_no_text_is_cut() -> None:
    many = [category.name for category in ontology.audioset_classes()][:40]
    for tags in (LONG_NAMES, many, ["Music"], [FOREIGN, FOREIGN + " too", "Dog"]):
        figure = plot_tags([[tag] for tag in tags] + [["EMPTY"], [None]], most=40)
        assert not cut_texts(figure)
        assert not overlaps(figure.axes[0].get_yticklabels())
        assert figure.axes[0].get_position().width > 0.5  # and the bars have room
        assert not overlaps(figure.legends[0].get_texts())
    assert "$5" in " ".join(bars(figure))
