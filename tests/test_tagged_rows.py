"""Rows that come with tags: kept and counted, or refused where another tagger made them, or done again."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from datasets import Dataset, Features, List, Value, concatenate_datasets

from hf_audio_tagger import build_tagger, push
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.demo.videos import write_video
from hf_audio_tagger.errors import SettingsError
from hf_audio_tagger.provenance import read_provenance
from hf_audio_tagger.results import card
from hf_audio_tagger.results.facts import TagFacts
from hf_audio_tagger.runs import Progress, Watcher, load_result, preview, tag_dataset
from hf_audio_tagger.sources import open_source

pytestmark = pytest.mark.timeout(120)

LABELS = ("Siren", "White noise", "Dial tone")
ROWS = 6
TAGGER = build_tagger("demo", device="cpu", batch_size=2, on_error="record")
OTHER = replace(TAGGER, channels="first")  # another tagger, as a tag may differ
TEXTS = List(Value("string"))


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("videos")
    for number in range(ROWS):
        sound = synthesize(LABELS[number % 3], 0.5, 16_000, number)
        write_video(folder / f"{number}.mp4", sound, 16_000)
    return [str(folder / f"{number}.mp4") for number in range(ROWS)]


@pytest.fixture(scope="module")
def said(videos: list[str]) -> list[list[str]]:
    return [[tag] for tag in TAGGER.tag(videos)]


@pytest.fixture(scope="module")
def made(videos: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `TAGGER`."""
    dest = tmp_path_factory.mktemp("made") / "out"
    tag_dataset(Dataset.from_dict({"video": videos}), dest, TAGGER, shard_rows=4)
    return dest


def tags(dest: Path) -> list[Any]:
    return load_result(dest)["video_audio_tags"][:]


def given(videos: list[str], column: list[Any]) -> Dataset:
    """Rows with tags of unknown origin."""
    rows = {"video": videos, "video_audio_tags": column, "video_audio_error": [None] * len(videos)}
    types = Features({"video": Value("string"), "video_audio_tags": TEXTS, "video_audio_error": TEXTS})
    return Dataset.from_dict(rows, types)


class Impatient(Watcher):
    def progressed(self, progress: Progress) -> None:
        if progress.processed_now == 2:
            raise KeyboardInterrupt


# Kept and counted


def test_rows_that_keep_their_tags_are_counted_as_kept(
    videos: list[str], said: list[list[str]], tmp_path: Path
) -> None:
    rows = given(videos, [["mine"], None, None, None, ["mine"], ["mine"]])
    with pytest.raises(KeyboardInterrupt):
        tag_dataset(rows, tmp_path / "out", TAGGER, shard_rows=4, watcher=Impatient())
    summary = tag_dataset(rows, tmp_path / "out", TAGGER, shard_rows=4)
    assert tags(tmp_path / "out") == [["mine"], *said[1:4], ["mine"], ["mine"]]
    assert (summary.rows, summary.tagged, summary.kept) == (6, 6, 3)
    assert summary.processed_now == 2  # of four; two were heard before, with the one that was kept
    assert summary.notes == ("3 rows came with tags of unknown origin and were kept (redo=True tags them).",)
    again = tag_dataset(rows, tmp_path / "out", TAGGER, shard_rows=4)
    assert (again.kept, again.processed_now) == (3, 0)
    assert again.as_dict()["kept"] == 3


@pytest.mark.campaign
def test_the_shell_counts_kept_rows(videos: list[str], tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from hf_audio_tagger.cli import app

    lines = [{"video": video, "video_audio_tags": ["mine"]} for video in videos]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, lines)))
    command = ["tag", str(tmp_path / "rows.jsonl"), "--model", "demo", "--on-error", "raise", "--out"]
    ran = CliRunner().invoke(app, [*command, str(tmp_path / "kept")])
    assert ran.exit_code == 0, ran.output
    assert " ".join(ran.output.split()).count("kept tags 6") == 1
    assert "6 rows came with tags of unknown origin and were kept" in ran.output
    assert CliRunner().invoke(app, [*command, str(tmp_path / "again"), "--redo"]).exit_code == 0
    assert "mine" not in str(tags(tmp_path / "again"))


@pytest.mark.parametrize("streaming", [False, True])
def test_kept_rows_stay_as_they_are_when_their_files_change(
    videos: list[str], tmp_path: Path, streaming: bool
) -> None:
    copies = [str(shutil.copy(video, tmp_path)) for video in videos[:4]]
    given(copies, [["mine"], ["mine"], None, None]).to_parquet(tmp_path / "rows.parquet")
    for heard in (2, 1, 0):
        source = open_source(tmp_path / "rows.parquet", streaming=streaming)
        summary = tag_dataset(source, tmp_path / "out", TAGGER, shard_rows=4)
        assert (summary.kept, summary.processed_now) == (2, heard)
        assert tags(tmp_path / "out")[:2] == [["mine"], ["mine"]]
        if heard == 2:
            shutil.copy(videos[4], copies[0])
            shutil.copy(videos[5], copies[3])
    assert tags(tmp_path / "out")[3] == [TAGGER.tag(videos[5])]


def test_without_tags_nothing_is_kept(made: Path, videos: list[str]) -> None:
    summary = tag_dataset(Dataset.from_dict({"video": videos}), made, TAGGER)
    assert (summary.rows, summary.kept, summary.notes) == (6, 0, ())


# Another tagger's


def as_dataset(made: Path, tmp_path: Path) -> Any:
    return load_result(made)


def as_saved(made: Path, tmp_path: Path) -> Any:
    load_result(made).save_to_disk(tmp_path / "saved")
    return tmp_path / "saved"


def as_mapped(made: Path, tmp_path: Path) -> Any:
    return load_result(made).map(lambda row: {"more": 1}).select([4, 2, 0]).shuffle(seed=0)


def as_concatenated(made: Path, tmp_path: Path) -> Any:
    return concatenate_datasets([load_result(made).select([0]), load_result(made).select([1])])


def as_shards(made: Path, tmp_path: Path) -> Any:
    return str(made / "data" / "*.parquet")


def as_parquet(made: Path, tmp_path: Path) -> Any:
    rows = load_result(made).remove_columns("video_audio_tags")
    tag_dataset(rows, tmp_path / "out.parquet", TAGGER)
    return tmp_path / "out.parquet"


@pytest.mark.parametrize("form", [as_dataset, as_saved, as_mapped, as_concatenated, as_shards, as_parquet])
def test_tags_of_another_tagger_are_refused(
    form: Callable[[Path, Path], Any], made: Path, tmp_path: Path
) -> None:
    source = form(made, tmp_path)
    told = "made by another tagger: channels was 'mean', is now 'first'.*redo=True.*tag_column="
    with pytest.raises(SettingsError, match=told):
        tag_dataset(source, tmp_path / "other", OTHER)
    with pytest.raises(SettingsError, match="another tagger"):
        preview(open_source(source), OTHER)
    assert not (tmp_path / "other").exists()
    same = tag_dataset(source, tmp_path / "same", TAGGER)
    assert (same.kept, same.processed_now, same.notes) == (same.rows, 0, ())


def test_another_column_or_a_bare_map_keeps_both(made: Path, tmp_path: Path) -> None:
    rows = load_result(made)
    tag_dataset(rows, tmp_path / "both", replace(OTHER, tag_column="first_tags"))
    both = read_provenance(load_result(tmp_path / "both"))
    assert [both[name][0].settings["channels"] for name in ("video_audio_tags", "first_tags")] == [  # type: ignore[union-attr]
        "mean",
        "first",
    ]
    assert rows.map(OTHER)["video_audio_tags"][:] == rows["video_audio_tags"][:]


def test_more_columns_of_the_same_tagger_are_no_other_tagger(
    made: Path, said: list[list[str]], tmp_path: Path
) -> None:
    more = replace(TAGGER, top_k=2, segments=True, on_error="raise", token="hf_x", batch_size=7)
    summary = tag_dataset(load_result(made), tmp_path / "more", more)
    assert (summary.kept, summary.processed_now) == (0, ROWS)  # rows without these columns are done again
    assert tags(tmp_path / "more") == said


def test_what_is_written_holds_no_secret_and_no_folder(videos: list[str], tmp_path: Path) -> None:
    from hf_audio_tagger.demo import CHECKPOINT

    tagger = build_tagger(str(CHECKPOINT), token="hf_secret")
    tag_dataset(Dataset.from_dict({"video": videos[:1]}), tmp_path / "out", tagger)
    (shard,) = (tmp_path / "out" / "data").iterdir()
    written = str(pq.read_schema(shard).metadata)
    assert f"path/to/{CHECKPOINT.name}" in written
    assert "hf_secret" not in written
    assert str(CHECKPOINT) not in written


# Done again


def test_redo_replaces_all_columns_of_another_tagger(
    videos: list[str], said: list[list[str]], tmp_path: Path
) -> None:
    first = replace(OTHER, top_k=2)
    tag_dataset(Dataset.from_dict({"video": videos}), tmp_path / "first", first)
    rows = load_result(tmp_path / "first").map(
        lambda row: {"video_audio_tags": ["wrong"]}, features=load_result(tmp_path / "first").features
    )
    again = replace(TAGGER, redo=True)
    summary = tag_dataset(rows, tmp_path / "again", again)
    assert (summary.kept, summary.processed_now) == (0, ROWS)
    result = load_result(tmp_path / "again")
    assert result["video_audio_tags"][:] == said
    assert result["video_audio_top"][:] == [[None]] * ROWS  # it told of the former tags
    (record,) = read_provenance(result)["video_audio_tags"]
    assert record is not None
    assert record.settings["channels"] == "mean"
    tag_dataset(result, tmp_path / "same", TAGGER)  # these are its tags now, redo or not
    mapped = rows.map(again)
    assert mapped["video_audio_tags"][:] == said
    assert rows.map(again, batched=True)["video_audio_tags"][:] == said


def test_an_interrupted_redo_continues(videos: list[str], said: list[list[str]], tmp_path: Path) -> None:
    rows, again = given(videos, [["wrong"]] * ROWS), replace(TAGGER, redo=True)
    with pytest.raises(KeyboardInterrupt):
        tag_dataset(rows, tmp_path / "out", again, shard_rows=4, watcher=Impatient())
    summary = tag_dataset(rows, tmp_path / "out", again, shard_rows=4)
    assert (summary.processed_now, summary.rows, summary.kept) == (4, 6, 0)
    assert tags(tmp_path / "out") == said
    assert tag_dataset(rows, tmp_path / "out", again).processed_now == 0


def test_retried_rows_of_a_redo_are_those_that_failed(
    videos: list[str], said: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = tmp_path / "late.mp4"
    rows = given([*videos[:3], str(late)], [["wrong"]] * 4)
    again = replace(TAGGER, redo=True, batch_size=4)
    assert tag_dataset(rows, tmp_path / "out", again).failed == 1
    late.write_bytes(Path(videos[3]).read_bytes())
    heard: list[int] = []
    classify = type(again)._classify_new
    monkeypatch.setattr(
        type(again),
        "_classify_new",
        lambda self, media, rank: heard.append(len(media)) or classify(self, media, rank),
    )
    summary = tag_dataset(rows, tmp_path / "out", again, retry_failed=True)
    assert (heard, summary.failed) == ([1], 0)
    assert tags(tmp_path / "out") == said[:4]


# Pushing


def pushed(**more: Any) -> card.PushedDataset:
    counts = {"train": TagFacts(rows=1)}
    facts = {"revision": None, "tagger": None, "tag_column": "video_audio_tags", "added_columns": ()}
    how = {
        "repo_id": "me/x",
        "config_name": "default",
        "split": "train",
        "facts": counts,
        "media": "by path",
    }
    return card.PushedDataset(**{**how, **facts, **more})


def test_push_refuses_a_tagger_that_did_not_make_the_tags(made: Path) -> None:
    told = "names a tagger that the dataset does not.*'mean', is now 'first'"
    with pytest.raises(SettingsError, match=told):
        push(load_result(made), "me/clips", tagger=OTHER)


def test_a_card_names_the_taggers_of_each_split() -> None:
    from huggingface_hub import DatasetCard

    from hf_audio_tagger.provenance import KEY, from_plain, record_tagger

    ours, others = record_tagger(TAGGER), record_tagger(OTHER)
    test = pushed(split="test", facts={"test": TagFacts()}, records=(None, others))
    first = card.update_card("---\nlicense: mit\n---\nText\n", pushed(records=(ours,)))
    both = card.update_card(first, test)
    named = DatasetCard(both).data.get(KEY)["default"]
    assert from_plain(named["train"]) == {"video_audio_tags": (ours,)}
    assert from_plain(named["test"]) == {"video_audio_tags": (None, others)}
    assert "some rows kept the tags that they came with" in both
    assert card.update_card(both, test) == both
    assert KEY not in card.update_card(first, pushed())  # tags that a bare map made anew
