"""Which column holds the videos: names, features and first values; in maps, in runs and in labels."""

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Audio, Dataset, Features, List, Value, Video
from datasets.fingerprint import Hasher

from hf_audio_tagger import ColumnError, build_tagger, export_predictions, tag_dataset
from hf_audio_tagger.media_column import pick_column
from hf_audio_tagger.runs import load_result
from hf_audio_tagger.sources import open_source
from hf_audio_tagger.sources.columns import find_media_column

pytestmark = pytest.mark.timeout(60)

Clips = dict[str, Path]
TEXT = Value("string")


def pick(features: dict[str, Any], **values: Iterable[Any]) -> str:
    return pick_column(list(features), None, lambda: features, lambda name: values.get(name, []))


@pytest.mark.parametrize(
    ("features", "values", "expected"),
    [
        ({"sound": Audio(), "video": TEXT}, {}, "video"),  # the names of always come first
        ({"mp4": TEXT, "clip": Video()}, {}, "clip"),
        ({"id": TEXT, "clips": List(Audio(decode=False))}, {"id": ["a.mp4"]}, "clips"),
        ({"__key__": TEXT, "webm": Value("binary"), "json": TEXT}, {}, "webm"),
        ({"__key__": TEXT, "left.FLAC": Value("binary")}, {}, "left.FLAC"),
        ({"nut": Value("int64"), "path": TEXT}, {"path": ["a/b.webm"]}, "path"),
        ({"url": TEXT, "title": TEXT}, {"url": ["https://x.org/a.mp4?k=1"], "title": ["a.mp4 song"]}, "url"),
        ({"a": List(TEXT), "b": TEXT}, {"a": [[], ["x.wav", "y.MP3"]], "b": ["x"]}, "a"),
        ({"a": {"path": TEXT, "bytes": Value("binary")}}, {"a": [{"path": "x.mkv", "bytes": None}]}, "a"),
        ({"a": TEXT, "b": TEXT}, {"a": [None, "", "x.mp4"], "b": ["x.mp4", "y.txt"]}, "a"),
        ({"path": TEXT, "file_name": TEXT}, {"path": ["/d/x.mp4"], "file_name": ["x.mp4"]}, "file_name"),
    ],
)
def test_the_column_that_a_person_would_take(
    features: dict[str, Any], values: dict[str, Any], expected: str
) -> None:
    assert pick(features, **values) == expected


@pytest.mark.parametrize(
    ("features", "values", "named"),
    [
        ({"left": Video(), "right": Video()}, {}, "'left', 'right'"),
        ({"mp4": Value("binary"), "wav": Value("binary")}, {}, "'mp4', 'wav'"),
        ({"a": TEXT, "b": TEXT}, {"a": ["x.mp4"], "b": ["y.mp4"]}, "'a', 'b'"),
    ],
)
def test_several_that_could_be_meant_are_named(
    features: dict[str, Any], values: dict[str, Any], named: str
) -> None:
    with pytest.raises(ColumnError, match=rf"hold the videos: {named}\. Name one with column="):
        pick(features, **values)


def as_values(tags: Iterable[dict[str, Any]]) -> list[list[str]]:
    return [row["video_audio_tags"] for row in tags]


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("form", [None, "numpy", "arrow", "streamed"])
def test_map_finds_it_in_every_form(clips: Clips, form: str | None, batched: bool) -> None:
    """By values: the text before it, the number and the tags of another model are not media."""
    paths = [str(clips["Siren"]), str(clips["EMPTY"])]
    rows = Dataset.from_dict({"id": ["a", "b"], "size": [1, 2], "where": paths, "said": [["x"], []]})
    tagger = build_tagger("demo", batched=batched)
    given = rows.to_iterable_dataset() if form == "streamed" else rows.with_format(form)
    assert as_values(given.map(tagger, batched=batched).with_format(None)) == [["Siren"], ["EMPTY"]]


@pytest.mark.parametrize("batched", [False, True])
def test_map_finds_a_feature_without_decoding(clips: Clips, batched: bool) -> None:
    """A row whose cell is null is found by its feature as well, beside a text that looks like a path."""
    features = Features({"note": TEXT, "clip": Video()})
    rows = Dataset.from_dict({"note": ["x.mp4"] * 2, "clip": [None, str(clips["Siren"])]}, features)
    tagged = rows.map(build_tagger("demo"), batched=batched).remove_columns("clip")
    assert as_values(tagged) == [[], ["Siren"]]


def test_map_over_a_column_that_a_function_has_replaced(clips: Clips) -> None:
    tagger = build_tagger("demo")

    def add_path_and_tag(row: Any) -> Any:
        row["mp4"] = str(clips["Siren"])
        return tagger(row)

    rows = Dataset.from_dict({"mp4": [1], "id": ["x"]}).map(add_path_and_tag)
    assert rows["video_audio_tags"][0] == ["Siren"]


def test_the_map_error_says_how_to_name_it(clips: Clips) -> None:
    rows = Dataset.from_dict({"a": ["x.mp4"], "b": ["y.mp4"]})
    with pytest.raises(ColumnError, match=r"'a', 'b'\. Name one with column="):
        rows.map(build_tagger("demo"))


def test_a_csv_with_file_name_is_relative_to_its_folder(clips: Clips, tmp_path: Path) -> None:
    """Relative and absolute names; `column` in the record says what was found."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "near.mp4").write_bytes(clips["Siren"].read_bytes())
    with open(tmp_path / "in" / "rows.csv", "w", newline="") as file:
        csv.writer(file).writerows([["file_name", "said"], ["near.mp4", "x.mp3"], [clips["Music"], "y"]])
    summary = tag_dataset(tmp_path / "in" / "rows.csv", tmp_path / "out", build_tagger("demo"))
    assert (summary.rows, summary.tagged, summary.failed) == (2, 2, 0)
    result = load_result(tmp_path / "out")
    assert result["file_name"][:] == ["near.mp4", str(clips["Music"])]
    assert as_values(result) == [["Siren"], ["Music"]]
    record = json.loads((tmp_path / "out" / ".hf_audio_tagger" / "run.json").read_text())
    assert record["settings"]["column"] == "file_name"
    named = build_tagger("demo", column="file_name")  # the same run
    assert tag_dataset(tmp_path / "in" / "rows.csv", tmp_path / "out", named).processed_now == 0


def test_all_rows_take_the_column_of_the_first_ones(clips: Clips, tmp_path: Path) -> None:
    """Later rows, in shards and batches of their own, have paths in another column too, or none at all."""
    siren, music = str(clips["Siren"]), str(clips["Music"])
    rows = [{"a": siren, "b": "x"}] * 8 + [{"a": siren, "b": music}, {"a": None, "b": music}]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, streaming in (("out", False), ("streamed", True)):
        tagger = build_tagger("demo", batch_size=1)
        source = open_source(path, streaming=streaming)
        tag_dataset(source, tmp_path / name, tagger, shard_rows=1)
        assert as_values(load_result(tmp_path / name)) == [["Siren"]] * 9 + [[]]


def test_labels_of_a_webdataset_column(clips: Clips, tmp_path: Path) -> None:
    table = pa.table({"__key__": ["one"], "mp4": [clips["Siren"].read_bytes()]})
    pq.write_table(table, tmp_path / "rows.parquet")
    summary = export_predictions(
        str(tmp_path / "rows.parquet"), tmp_path / "out", tagger=build_tagger("demo"), id_column="__key__"
    )
    assert (summary.clips, summary.labelled) == (1, 1)
    assert find_media_column(open_source(tmp_path / "rows.parquet")) == "mp4"


def test_a_name_of_always_keeps_every_identity(clips: Clips, tmp_path: Path) -> None:
    """Where the column has a name of always, nothing is added to settings, fingerprints or records."""
    tagger = build_tagger("demo")
    before = Hasher.hash(tagger)
    tag_dataset(clips["Siren"].parent, tmp_path / "out", build_tagger("demo", on_error="record"), limit=1)
    record = json.loads((tmp_path / "out" / ".hf_audio_tagger" / "run.json").read_text())
    assert record["settings"]["column"] is None
    assert Hasher.hash(build_tagger("demo")) == before
