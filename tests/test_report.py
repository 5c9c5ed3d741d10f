"""`report`: what its files hold, from datasets of several kinds, as web/FORMAT.md says."""

import os
import unicodedata
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value
from report_files import Report

from hf_audio_tagger import build_tagger, evaluate, report
from hf_audio_tagger.errors import ColumnError, SettingsError
from hf_audio_tagger.page.folder import WEB
from hf_audio_tagger.page.sounds import GROUPS
from hf_audio_tagger.plot.look import CATEGORY_COLOURS
from hf_audio_tagger.results.facts import count_tags

HOSTILE = [
    "<img src=x onerror=alert(1)>.mp4",
    "</script><script>alert(1)</script>.mp4",
    "line\u2028two\u2029 three & <!-- .mp4",
    "\x1b[2J\x07\u202egpj.mp4",
    "'\"`${alert(1)}\\.mp4",
]


class Scripts(HTMLParser):
    """The texts of a page's scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.is_inside = False

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.is_inside = tag == "script"

    def handle_data(self, data: str) -> None:
        if self.is_inside:
            self.texts.append(data)
            self.is_inside = False


def make(values: dict[str, Any], folder: Path, **options: Any) -> Report:
    """A report of a dataset without media."""
    ds = Dataset.from_dict(values) if isinstance(values, dict) else values
    path = report(ds, folder / "page", **{"posters": 0, **options})
    assert path == folder / "page" / "index.html"
    return Report(folder / "page")


def top(*scored: tuple[str, float]) -> list[dict[str, Any]]:
    return [{"label": label, "score": score} for label, score in scored]


@pytest.fixture
def values() -> dict[str, Any]:
    """Four rows: two sounds, EMPTY, failed; the first with all columns."""
    segments = [
        {"start": 0.0, "end": 2.0, "label": "Bark", "score": 0.75},
        {"start": 2.0, "end": 4.5, "label": "Siren", "score": 0.5},
    ]
    return {
        "video": [f"/home/me/clips/{name}.mp4" for name in ("a/1", "b/2", "3", "4")],
        "city": ["Zürich", None, "Oslo", "Bern"],
        "video_audio_tags": [["Bark"], ["My own"], ["EMPTY"], [None]],
        "video_audio_top": [[top(("Bark", 0.75), ("Siren", 0.5))], [top(("My own", 0.25))], [[]], [None]],
        "video_audio_segments": [[segments], [[]], [[]], [None]],
        "video_audio_error": [[None], [None], [None], ["/home/me/clips/4.mp4: it is empty (0 bytes)."]],
    }  # fmt: skip


def test_facts_and_columns(values: dict[str, Any], tmp_path: Path) -> None:
    made = make(values, tmp_path)
    facts = count_tags(Dataset.from_dict(values), "video_audio_tags")
    assert made.head["facts"] == {
        "rows": 4,
        "clips": facts.videos,
        "seconds": 4.5,
        "tagged": facts.tagged_videos,
        "empty": facts.empty_videos,
        "failed": facts.failed_videos,
        "untagged": 0,
    }
    assert made.tags() == ["Bark", "My own", None, None]
    assert made.columns["state"] == [0, 0, 1, 2]
    assert made.columns["flags"] == [1, 0, 0, 0]  # the first has two sounds
    assert made.columns["score"][:2] == [0.75, 0.25]
    assert np.isnan(made.columns["score"][2:]).all()
    assert made.columns["seconds"][0] == 4.5
    assert made.columns["reason"] == [65_535] * 3 + [0]
    assert made.columns["name_rank"] == [2, 3, 0, 1]  # 3.mp4, 4.mp4, a/1.mp4, b/2.mp4
    assert made.columns["sound_counts"] == [2, 1, 0, 0]
    assert [made.name(one) for one in made.columns["sounds"]] == ["Bark", "Siren", "My own"]
    assert made.columns["sound_scores"] == [round(0.75 * 65_535), round(0.5 * 65_535), round(0.25 * 65_535)]
    assert made.head["failures"] == [{"reason": "it is empty (0 bytes).", "clips": 1}]


def test_what_one_sees_of_a_clip(values: dict[str, Any], tmp_path: Path) -> None:
    made = make(values, tmp_path)
    first, failed = made.clips[0], made.clips[3]
    bark, siren = made.names.index("Bark"), made.names.index("Siren")
    assert first == {
        "name": "a/1.mp4",
        "top": [[bark, 0.75], [siren, 0.5]],
        "segments": [[0.0, 2.0, bark, 0.75], [2.0, 4.5, siren, 0.5]],
        "metadata": [["city", "Zürich"]],
    }
    assert failed["error"] == "4.mp4: it is empty (0 bytes)."
    assert made.lines == ["a/1.mp4 | zürich", "b/2.mp4", "3.mp4 | oslo", "4.mp4 | bern"]
    assert "/home/me" not in made.all_text()


def test_sounds_have_the_categories_above_them(values: dict[str, Any], tmp_path: Path) -> None:
    made = make(values, tmp_path)
    by_name = {sound["name"]: sound for sound in made.head["sounds"]}
    above = by_name["Bark"]
    while above["parents"]:
        above = made.head["sounds"][above["parents"][0]]
    assert above["name"] == "Animal"
    assert (by_name["Bark"]["clips"], by_name["Bark"]["seconds"], by_name["Animal"]["clips"]) == (1, 4.5, 0)
    assert made.head["groups"][by_name["Bark"]["group"]] == "Animal"
    assert (by_name["My own"]["parents"], by_name["My own"]["group"]) == ([], 7)


def test_words_that_name_categories_count_as_these(tmp_path: Path) -> None:
    """As for `has_sound`: labels of one's own are AudioSet's where they name one of its categories."""
    values = {"video_audio_tags": [["siren"], ["Siren"], ["none"]], "labels": [["SIREN"], ["Dog"], ["none"]]}
    made = make(values, tmp_path)
    assert made.tags() == ["Siren", "Siren", "none"]
    siren = made.head["sounds"][made.names.index("Siren")]
    assert siren["clips"] == 2
    assert siren["parents"]
    assert made.head["agreement"]["agreeing"] == 2


def test_groups_are_in_the_order_of_the_plots() -> None:
    assert list(GROUPS) == list(CATEGORY_COLOURS)


def test_rows_with_several_videos_and_with_none(tmp_path: Path) -> None:
    features = Features({"videos": List(Value("string")), "video_audio_tags": List(Value("string"))})
    rows = {
        "videos": [["/c/1.mp4", "/c/2.mp4"], [], None, ["/c/3.mp4"]],
        "video_audio_tags": [["Dog", "EMPTY"], [], None, None],
    }
    made = make(Dataset.from_dict(rows, features=features), tmp_path)  # type: ignore[arg-type]
    assert [clip["name"] for clip in made.clips] == ["1.mp4", "2.mp4", "3.mp4"]
    assert made.columns["state"] == [0, 1, 3]
    assert (made.head["facts"]["rows"], made.head["facts"]["clips"], made.head["facts"]["untagged"]) == (
        4,
        3,
        1,
    )


def test_tags_alone_suffice(tmp_path: Path) -> None:
    made = make({"video_audio_tags": [["Dog"], ["Cat"]]}, tmp_path)
    assert [clip["name"] for clip in made.clips] == ["row 0", "row 1"]
    assert made.tags() == ["Dog", "Cat"]
    assert (made.head["agreement"], made.head["has_map"], made.head["sheet"]) == (None, False, None)
    assert make({"video_audio_tags": ["Dog", "Cat"]}, tmp_path).tags() == ["Dog", "Cat"]
    empty = Dataset.from_dict(
        {"video_audio_tags": []}, features=Features({"video_audio_tags": List(Value("string"))})
    )
    assert make(empty, tmp_path).head["facts"]["clips"] == 0  # type: ignore[arg-type]


def test_hostile_texts_are_data(tmp_path: Path) -> None:
    rows = {
        "video": [f"/home/me/clips/{name}" for name in HOSTILE],
        "note</script>": HOSTILE,
        "video_audio_tags": [[name] for name in HOSTILE],
        "video_audio_error": [[None]] * 4 + [[f"/home/me/clips/{HOSTILE[4]}: {HOSTILE[1]}"]],
        "labels": [[name] for name in HOSTILE],
    }
    made = make(
        rows, tmp_path, title=HOSTILE[1]
    )  # `read_call` sees that no file has <, > or &, or is not ASCII
    names = [clip["name"] for clip in made.clips]
    assert names[1].endswith("/script>.mp4")
    assert [name for name in names if "\x1b" in name]
    assert made.head["title"] == HOSTILE[1]
    assert made.clips[4]["error"].endswith(HOSTILE[1])
    assert set(HOSTILE) <= set(made.names)
    assert "\n" not in "".join(made.lines)
    assert not {"\x1b", "\u2028"} & set("".join(made.lines))
    single = report(Dataset.from_dict(rows), tmp_path / "one.html", single_file=True, posters=0).read_bytes()
    assert single.count(b"<img src=x") == 0
    scripts = Scripts()
    scripts.feed(single.decode())
    data = [one for one in scripts.texts if one.startswith("report.")]
    assert len(data) == 4  # head, columns, text, clips
    assert len(scripts.texts) == len(data) + len(list(WEB.glob("*.js")))


def test_lines_to_search_are_short_and_normal(tmp_path: Path) -> None:
    word = unicodedata.normalize("NFD", "Ärger")
    made = make({"video_audio_tags": [["Dog"]], "text": [f"{word}\r\n\t" + "x" * 5_000]}, tmp_path)
    assert made.lines[0].startswith("row 0 | ärger xxx")
    assert len(made.lines[0]) == 500
    assert len(made.clips[0]["metadata"][0][1]) == 2_000


def test_agreement_is_that_of_evaluate(tmp_path: Path) -> None:
    rows = {
        "labels": [["Dog"], ["Animal"], ["Bark"], ["Music"], [], None],
        "video_audio_tags": [["Dog"], ["Bark"], ["Dog"], ["Speech"], ["Dog"], ["Dog"]],
        "video_audio_top": [
            [top(("Dog", 0.9))],
            [top(("Bark", 0.9))],
            [top(("Dog", 0.75), ("Bark", 0.5))],
            [top(("Speech", 0.875), ("Piano", 0.125))],
            [top(("Dog", 0.9))],
            [top(("Dog", 0.9))],
        ],
    }
    made = make(rows, tmp_path)
    agreement, judged = made.head["agreement"], evaluate(Dataset.from_dict(rows)).agreement
    assert (agreement["column"], agreement["compared"]) == ("labels", judged.clips)
    assert agreement["agreeing"] == 2  # a dog is not said to bark
    assert sum(both for *_, both in agreement["sounds"]) == judged.exact
    assert agreement["differing"] == [[3, 0.75], [2, 0.25]]
    assert made.columns["flags"] == [0, 0, 2, 2, 0, 0]
    counts = {made.names[sound]: counts for sound, *counts in agreement["sounds"]}
    assert counts["Dog"] == [1, 2, 1]
    assert counts["Animal"] == [1, 0, 0]


def test_labels_may_be_numbers_with_names(tmp_path: Path) -> None:
    features = Features(
        {"label": ClassLabel(names=["Dog", "Cat"]), "video_audio_tags": List(Value("string"))}
    )
    rows = {"label": [0, 1], "video_audio_tags": [["Dog"], ["Dog"]]}
    made = make(Dataset.from_dict(rows, features=features), tmp_path)  # type: ignore[arg-type]
    assert [made.names[clip["labels"][0]] for clip in made.clips] == ["Dog", "Cat"]
    assert made.head["agreement"]["differing"] == [[1, None]]
    plain = make({"label": [0, 1], "video_audio_tags": [["Dog"], ["Dog"]]}, tmp_path)
    assert plain.head["agreement"] is None
    assert plain.clips[1]["metadata"] == [["label", "1"]]


def test_wrong_arguments_are_named(tmp_path: Path) -> None:
    ds = Dataset.from_dict({"video_audio_tags": [["Dog"]], "video": ["a.mp4"]})
    with pytest.raises(SettingsError, match="media must be one of"):
        report(ds, tmp_path / "page", media="embedded")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="posters"):
        report(ds, tmp_path / "page", posters=-1)
    with pytest.raises(ColumnError, match="no column 'tags'"):
        report(ds, tmp_path / "page", column="tags")
    with pytest.raises(ColumnError, match="labels= names 'truth'"):
        report(ds, tmp_path / "page", labels="truth")
    with pytest.raises(SettingsError, match=r"ds\['train'\]"):
        report(DatasetDict({"train": ds}), tmp_path / "page")  # type: ignore[arg-type]
    with pytest.raises(ColumnError, match="Tag it first"):
        report(ds.remove_columns("video_audio_tags"), tmp_path / "page")
    assert not os.listdir(tmp_path)


def test_bytes_are_not_paths_to_link(tmp_path: Path) -> None:
    file = {"bytes": Value("binary"), "path": Value("string")}
    features = Features({"video": file, "video_audio_tags": List(Value("string"))})
    rows = {"video": [{"path": "a.mp4", "bytes": b"\0" * 100}], "video_audio_tags": [["Dog"]]}
    made = make(Dataset.from_dict(rows, features=features), tmp_path)  # type: ignore[arg-type]
    assert "media" not in made.clips[0]
    assert "they lie inside the dataset" in made.head["notes"][0]


def test_the_tagger_may_be_named(values: dict[str, Any], tmp_path: Path) -> None:
    assert "Model" not in dict(make(values, tmp_path).head["run"])  # a bare map records none
    renamed = {name.replace("video_audio", "sound"): cells for name, cells in values.items()}
    tagger = build_tagger("demo", top_k=2, tag_column="sound_tags")
    made = make(renamed, tmp_path, tagger=tagger)
    assert dict(made.head["run"])["Model"] == "demo"
    assert dict(made.head["settings"])["top_k"] == "2"
    assert made.clips == make(values, tmp_path).clips
