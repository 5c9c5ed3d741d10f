"""`ds.map(tagger)` as a user of datasets writes it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from datasets import (
    Audio,
    Dataset,
    DatasetDict,
    Features,
    List,
    Value,
    Video,
    concatenate_datasets,
    load_dataset,
)

from hf_audio_tagger import ColumnError, MediaError, SettingsError, build_tagger, memo
from hf_audio_tagger.demo.sounds import synthesize

Clips = dict[str, Path]


@pytest.fixture
def dataset(clips: Clips) -> Dataset:
    """One row a clip, the clip's label beside it."""
    labels = ["Siren", "EMPTY", "White noise", "Dial tone"]
    return videos([str(clips[label]) for label in labels]).add_column("label", labels)


def videos(paths: list[Any], feature: Any = None) -> Dataset:
    return Dataset.from_dict({"video": paths}, features=Features({"video": feature or Video()}))


def as_paths(dataset: Dataset) -> Dataset:
    """The same rows with plain paths."""
    paths = [cell["path"] for cell in dataset.cast_column("video", Video(decode=False))["video"]]
    return videos(paths, Value("string")).add_column("label", dataset["label"][:])


def sound(label: str, seconds: float = 5.0, seed: int = 900) -> dict[str, Any]:
    return {"array": synthesize(label, seconds, 16_000, seed), "sampling_rate": 16_000}


# --- the call


@pytest.mark.parametrize("options", [{}, {"batched": True, "batch_size": 3}, {"num_proc": 2}])
def test_map_adds_the_tags(dataset: Dataset, options: dict[str, Any]) -> None:
    tagged = dataset.map(build_tagger("demo"), **options)
    assert tagged.column_names == ["video", "label", "video_audio_tags"]
    assert tagged["video_audio_tags"][:] == [["Siren"], ["EMPTY"], ["White noise"], ["Dial tone"]]
    assert tagged.features["video"] == Video()


@pytest.mark.parametrize("name", ["numpy", "torch", "arrow"])
@pytest.mark.parametrize("batched", [False, True])
def test_formatted_datasets(dataset: Dataset, name: str, batched: bool) -> None:
    formatted = as_paths(dataset).with_format(name)
    tagger = build_tagger("demo", batched=batched)
    tagged = formatted.map(tagger, batched=batched).with_format(None)
    assert tagged["video_audio_tags"][:] == [["Siren"], ["EMPTY"], ["White noise"], ["Dial tone"]]
    assert tagged.features["video_audio_tags"] == List(Value("string"))


def test_streaming(dataset: Dataset) -> None:
    stream = dataset.cast_column("video", Video(decode=False)).to_iterable_dataset()
    rows = list(stream.map(build_tagger("demo", top_k=1)))
    assert [row["video_audio_tags"] for row in rows] == [["Siren"], ["EMPTY"], ["White noise"], ["Dial tone"]]
    assert rows[0]["video_audio_top"][0][0]["label"] == "Siren"
    batches = stream.map(build_tagger("demo", batched=True), batched=True, batch_size=2)
    assert [row["video_audio_tags"][0] for row in batches] == ["Siren", "EMPTY", "White noise", "Dial tone"]


def test_input_columns(dataset: Dataset) -> None:
    paths = as_paths(dataset)
    tagged = paths.map(build_tagger("demo"), input_columns="video")
    assert tagged["video_audio_tags"][:2] == [["Siren"], ["EMPTY"]]
    structs = dataset.cast_column("video", Video(decode=False))
    assert structs.map(build_tagger("demo"), input_columns="video")["video_audio_tags"][0] == ["Siren"]
    batched = paths.map(build_tagger("demo", batched=True), input_columns="video", batched=True)
    assert batched["video_audio_tags"][:2] == [["Siren"], ["EMPTY"]]


def test_dataset_dict(dataset: Dataset) -> None:
    splits = DatasetDict(train=dataset.select([0]), test=dataset.select([1, 2]))
    tagged = splits.map(build_tagger("demo"))
    assert tagged["train"]["video_audio_tags"][:] == [["Siren"]]
    assert tagged["test"]["video_audio_tags"][:] == [["EMPTY"], ["White noise"]]


def test_lists_of_videos_give_one_tag_each_in_order(clips: Clips) -> None:
    rows = [["Siren", "EMPTY", "Siren", "Music"], [], None, ["Clicking"]]
    paths = [None if row is None else [str(clips[label]) for label in row] for row in rows]
    ds = Dataset.from_dict({"videos": paths}, features=Features({"videos": List(Video())}))
    for options in ({}, {"batched": True}):
        tagged = ds.map(build_tagger("demo"), **options)
        assert tagged["video_audio_tags"][:] == [["Siren", "EMPTY", "Siren", "Music"], [], [], ["Clicking"]]


def test_tag_takes_what_a_cell_may_hold(clips: Clips) -> None:
    tagger = build_tagger("demo")
    assert tagger.tag(clips["Siren"]) == "Siren"
    assert tagger.tag(str(clips["EMPTY"])) == "EMPTY"
    assert tagger.tag(clips["Music"].read_bytes()) == "Music"
    assert tagger.tag([clips["Siren"], sound("Silence")]) == ["Siren", "Silence"]
    assert tagger.tag(None) == []


def test_the_column_is_found_or_named(clips: Clips) -> None:
    path = str(clips["Siren"])
    both = Dataset.from_dict({"audio": [str(clips["Music"])], "videos": [[path]], "clip": [path]})
    assert both.map(build_tagger("demo"))["video_audio_tags"][0] == ["Siren"]
    assert both.map(build_tagger("demo", column="audio"))["video_audio_tags"][0] == ["Music"]
    tagged = both.map(build_tagger("demo", column="clip", tag_column="audio_tags", top_k=1))
    assert tagged["audio_tags"][0] == ["Siren"]
    assert tagged["audio_top"][0][0][0]["label"] == "Siren"
    with pytest.raises(ColumnError, match=r"no column 'clips'.*'audio', 'videos', 'clip'"):
        both.map(build_tagger("demo", column="clips"))


def test_a_value_that_could_be_either_is_refused(clips: Clips) -> None:
    rows = {"videos": [str(clips["Siren"]), str(clips["Music"])]}
    with pytest.raises(SettingsError, match="batched=True"):
        build_tagger("demo")(rows)
    with pytest.raises(SettingsError, match="batched=True"):
        build_tagger("demo")(rows["videos"])
    one_row = {"video_audio_tags": ["Siren", "Music"]}
    assert build_tagger("demo", batched=False)(rows) == one_row
    assert build_tagger("demo")({**rows, "caption": "two"}) == one_row  # a caption is no list: a row
    assert build_tagger("demo", batched=True)(rows) == {"video_audio_tags": [["Siren"], ["Music"]]}


@pytest.mark.parametrize("times", [[0.5], [0.5, 1.5, 2.5], np.zeros(3)])
def test_lists_of_different_lengths_are_a_row(clips: Clips, times: Any) -> None:
    rows = {"videos": [str(clips["Siren"]), str(clips["Music"])], "times": times}
    assert build_tagger("demo")(rows) == {"video_audio_tags": ["Siren", "Music"]}


@pytest.mark.parametrize("options", [{}, {"batched": True}, {"num_proc": 2}])
@pytest.mark.timeout(60)
def test_with_indices_is_refused(clips: Clips, options: dict[str, Any]) -> None:
    ds = videos([str(clips["Siren"])] * 8)
    with pytest.raises(SettingsError, match="with_indices"):
        ds.map(build_tagger("demo"), with_indices=True, **options)


def test_with_indices_is_refused_in_streaming(clips: Clips) -> None:
    stream = videos([str(clips["Siren"])] * 3, Value("string")).to_iterable_dataset()
    for options in ({}, {"batched": True}):
        for tagger in (build_tagger("demo", batched=bool(options)), build_tagger("demo")):
            with pytest.raises(SettingsError, match="with_indices"):
                list(stream.map(tagger, with_indices=True, **options))
        with pytest.raises(SettingsError, match="with_indices"):
            list(stream.with_format("arrow").map(build_tagger("demo"), with_indices=True, **options))


def test_a_rank_that_a_function_passes_on_is_taken_beside_an_index(clips: Clips) -> None:
    ds = videos([str(clips["Siren"])] * 2)
    tagger = build_tagger("demo")
    for options in ({}, {"batched": True}):
        tagged = ds.map(lambda row, _, rank: tagger(row, rank), with_indices=True, with_rank=True, **options)
        assert tagged["video_audio_tags"][:] == [["Siren"]] * 2


@pytest.mark.parametrize("rank", [0, 1, 2, 3, 7])
def test_any_rank_is_taken_in_any_process(clips: Clips, rank: int) -> None:
    """As torchrun and Ray hand them out; also one after the other in one process."""
    tagger = build_tagger("demo")
    row = {"video": str(clips["Siren"])}
    for one in (rank, rank + 1, rank + 2, np.int64(rank)):
        assert tagger(row, one) == tagger(row, rank=one) == {"video_audio_tags": ["Siren"]}


@pytest.mark.parametrize("rank", [-1, [0, 1], "0", 1.0, True])
def test_what_is_no_rank_is_refused(clips: Clips, rank: Any) -> None:
    with pytest.raises(SettingsError, match="rank"):
        build_tagger("demo")({"video": str(clips["Siren"])}, rank)


def test_with_rank_is_taken(clips: Clips) -> None:
    ds = videos([str(clips["Siren"])] * 4)
    assert ds.map(build_tagger("demo"), with_rank=True)["video_audio_tags"][:] == [["Siren"]] * 4
    ds = videos([str(clips["Music"])] * 4)
    tagged = ds.map(build_tagger("demo"), with_rank=True, num_proc=2)
    assert tagged["video_audio_tags"][:] == [["Music"]] * 4


# --- what a video gives


def test_no_work_twice(clips: Clips, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    heard: list[str] = []
    import hf_audio_tagger.chunks as listen

    opened = listen.open_sound
    monkeypatch.setattr(
        listen, "open_sound", lambda media, *rest: heard.append(media.name) or opened(media, *rest)
    )
    copy = tmp_path / "clip.mp4"
    copy.write_bytes(clips["Siren"].read_bytes())
    tagger = build_tagger("demo")
    tagged = videos([str(copy)] * 5).map(tagger)
    assert tagged["video_audio_tags"][:] == [["Siren"]] * 5
    videos([str(copy)] * 3).add_column("n", [1, 2, 3]).map(tagger, batched=True)
    assert heard == [str(copy)]
    copy.write_bytes(clips["Music"].read_bytes())  # another content under the same name
    assert tagger.tag(copy) == "Music"
    assert tagger.tag(copy.read_bytes()) == tagger.tag(copy.read_bytes()) == "Music"
    assert len(heard) == 2  # these bytes are the file's
    assert build_tagger("demo", channels="first").tag(copy) == "Music"  # other settings hear for themselves
    assert len(heard) == 3


def test_the_memo_is_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from hf_audio_tagger.scores import ClipResult

    monkeypatch.setattr(memo, "KEPT_RESULTS", 3)
    keys = [("settings", n) for n in range(5)]
    for key in keys:
        memo.put(key, ClipResult("Siren"))
    memo.put(("settings", "bad"), ClipResult(None, error="cannot be read"))
    assert [memo.get(key) is not None for key in keys] == [False, False, True, True, True]


def test_tagged_rows_are_left_as_they_are(clips: Clips) -> None:
    paths = [str(clips["Siren"]), "/gone.mp4", str(clips["Music"])]
    ds = videos(paths).add_column("video_audio_tags", [None, ["Kept"], ["Old", "tags"]])
    for options in ({}, {"batched": True}):
        tagged = ds.map(build_tagger("demo"), **options)
        assert tagged["video_audio_tags"][:] == [["Siren"], ["Kept"], ["Old", "tags"]]


def test_a_failed_row_or_one_that_lacks_a_column_is_tagged_anew(clips: Clips, tmp_path: Path) -> None:
    late = tmp_path / "late.mp4"
    ds = videos([str(clips["Siren"]), str(late)])
    record = build_tagger("demo", on_error="record")
    first = ds.map(record)
    assert first["video_audio_tags"][:] == [["Siren"], [None]]
    assert first["video_audio_error"][0] == [None]
    assert str(late) in first["video_audio_error"][1][0]
    late.write_bytes(clips["Music"].read_bytes())
    for tagger in (record, build_tagger("demo")):
        second = first.map(tagger)
        assert second["video_audio_tags"][:] == [["Siren"], ["Music"]]
        assert second["video_audio_error"][:] == [[None], [None]]
    third = second.map(build_tagger("demo", top_k=2))
    assert [row[0][0]["label"] for row in third["video_audio_top"]] == ["Siren", "Music"]


def test_an_unreadable_video_names_file_and_reason(clips: Clips) -> None:
    ds = videos([str(clips["Siren"]), str(clips["broken"])])
    with pytest.raises(MediaError, match=r"broken\.mp4"):
        ds.map(build_tagger("demo"))
    tagged = ds.map(build_tagger("demo", on_error="record"))
    assert tagged["video_audio_tags"][:] == [["Siren"], [None]]
    assert "broken.mp4" in tagged["video_audio_error"][1][0]


# --- types


@pytest.mark.parametrize("options", [{}, {"batched": True}, {"num_proc": 2}])
def test_types_do_not_hang_on_the_first_rows(clips: Clips, options: dict[str, Any], tmp_path: Path) -> None:
    siren = str(clips["Siren"])
    for first in ([], [str(clips["EMPTY"])]):
        rows = [first] * 1500 + [[siren]] * 4
        ds = Dataset.from_dict({"videos": rows}, features=Features({"videos": List(Video())}))
        tagger = build_tagger("demo", top_k=2, segments=True, embeddings=True, on_error="record")
        tagged = ds.map(tagger, **options)
        assert tagged.features == tagger.features(ds.features)
        assert tagged["video_audio_tags"][-1] == ["Siren"]
        assert len(tagged["video_audio_embedding"][-1][0]) > 0
    tagged.save_to_disk(tmp_path / "saved")
    assert Dataset.load_from_disk(tmp_path / "saved").features == tagged.features
    tagged.to_parquet(tmp_path / "tagged.parquet")
    back = load_dataset("parquet", data_files=str(tmp_path / "tagged.parquet"), split="train")
    assert back.features == tagged.features
    assert back["video_audio_top"][-1] == tagged["video_audio_top"][-1]


@pytest.mark.parametrize("name", ["numpy", "torch", "arrow"])
def test_types_hold_in_formatted_datasets(clips: Clips, name: str) -> None:
    rows = [[]] * 1200 + [[str(clips["Siren"])]]
    ds = Dataset.from_dict({"videos": rows}, features=Features({"videos": List(Value("string"))}))
    tagged = ds.with_format(name).map(build_tagger("demo", top_k=1, batched=False)).with_format(None)
    assert (
        tagged.features["video_audio_top"]
        == build_tagger("demo", top_k=1).features(ds.features)["video_audio_top"]
    )
    assert tagged["video_audio_tags"][-1] == ["Siren"]


def test_two_parts_concatenate(clips: Clips) -> None:
    tagger = build_tagger("demo", top_k=1, segments=True, embeddings=True, on_error="record")
    parts = [videos([None] * 3).map(tagger), videos([str(clips["Siren"])]).map(tagger)]
    whole = concatenate_datasets(parts)
    assert whole["video_audio_tags"][:] == [[], [], [], ["Siren"]]
    assert parts[0].features == parts[1].features


def test_remove_columns_and_edited_rows(clips: Clips) -> None:
    ds = videos([str(clips["Siren"])]).add_column("label", ["x"])
    tagger = build_tagger("demo")
    assert ds.map(tagger, remove_columns="video").column_names == ["label", "video_audio_tags"]
    assert ds.map(tagger, remove_columns=ds.column_names).column_names == ["video_audio_tags"]

    def edit(row: Any) -> Any:
        row["label"] = "edited"
        row["video"] = str(clips["Music"])
        return {**tagger(row), "note": 1}

    edited = ds.map(edit)
    assert edited["label"][0] == "edited"
    assert edited["video_audio_tags"][0] == ["Music"]

    def edit_in_place(row: Any) -> Any:
        row["video"] = str(clips["Music"])
        row.update(tagger(row))
        return row

    assert ds.map(edit_in_place, features=tagger.features(ds.features))["video_audio_tags"][0] == ["Music"]


def test_features_are_the_schema_after_the_map(dataset: Dataset) -> None:
    for settings in ({}, {"top_k": 3}, {"segments": True, "on_error": "record"}, {"embeddings": True}):
        tagger = build_tagger("demo", **settings)
        assert dataset.map(tagger).features == tagger.features(dataset.features)


# --- settings


@pytest.mark.parametrize(
    "settings",
    [
        {"windows": "last"},
        {"windows": 0},
        {"windows": True},
        {"channels": "left"},
        {"decoder": "ffmpeg"},
        {"dtype": "int8"},
        {"engine": "tensorrt"},
        {"on_error": "ignore"},
        {"batch_size": 0},
        {"top_k": 0},
        {"threshold": 0.5},
        {"hop_seconds": -1.0},
        {"hop_seconds": 1.0, "windows": "first"},
        {"tag_column": ""},
        {"batched": "yes"},
        {"weights": "yamnet.pth"},
        {"model": "yamnet", "weights": "/no/such/file.pth"},
        {"device": "tpu:7"},
    ],
)
def test_wrong_settings_are_refused_when_built(settings: dict[str, Any]) -> None:
    named = next(iter(set(settings) & {"weights"} or settings))
    with pytest.raises(SettingsError, match=named):
        build_tagger(**{"model": "demo", **settings})


def test_the_text_of_a_tagger_is_what_differs_from_the_defaults() -> None:
    assert (
        repr(build_tagger("demo", top_k=3, threshold=0.3)) == "Tagger(model='demo', top_k=3, threshold=0.3)"
    )


def test_a_token_is_not_shown(clips: Clips) -> None:
    tagger = build_tagger("demo", token="hf_secret")
    assert "hf_secret" not in repr(tagger)
    assert "hf_secret" not in json.dumps([str(part) for part in tagger.identity()])


def test_audio_columns_and_storage_are_read_without_decoding(clips: Clips) -> None:
    """A `Video()` or `Audio()` column that datasets could not decode is tagged all the same."""
    data = clips["Siren"].read_bytes()
    storage = pa.array(
        [{"bytes": data, "path": None}], pa.struct({"bytes": pa.binary(), "path": pa.string()})
    )
    for feature, column in ((Video(), "video"), (Audio(), "audio")):
        table = pa.table({column: storage})
        ds = Dataset(table).cast(Features({column: feature}))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(feature), "decode_example", lambda *_, **__: pytest.fail("it was decoded"))
            assert ds.map(build_tagger("demo"))["video_audio_tags"][0] == ["Siren"]


def test_samples_at_any_rate() -> None:
    tagger = build_tagger("demo")
    for rate_hz in (8_000, 22_050, 48_000):
        samples = synthesize("Dial tone", 4.0, rate_hz, 11)
        assert tagger.tag({"array": samples, "sampling_rate": rate_hz}) == "Dial tone"
        stereo = np.stack([samples, samples])
        assert tagger.tag({"array": stereo, "sampling_rate": rate_hz}) == "Dial tone"
