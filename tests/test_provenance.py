"""Who made a column of tags: of rows that were put together or tagged over, and where that is damaged."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pyarrow.parquet as pq
import pytest
from datasets import Dataset
from packaged_weights import fitting_weights

from hf_audio_tagger import build_tagger
from hf_audio_tagger.provenance import (
    KEY,
    describe_differences,
    from_plain,
    merge_provenance,
    read_file_provenance,
    read_hub_provenance,
    rebuild_tagger,
    record_tagger,
    to_plain,
    update_provenance,
)
from hf_audio_tagger.runs import load_result, tag_dataset

TAGGER = build_tagger("demo", device="cpu")
OTHER = replace(TAGGER, channels="first")
OURS, OTHERS = record_tagger(TAGGER), record_tagger(OTHER)
TAGS = "video_audio_tags"


def test_parts_that_name_no_tagger_are_of_unknown_origin() -> None:
    assert merge_provenance([{TAGS: (OURS,)}, {}]) == {TAGS: (OURS, None)}
    assert merge_provenance([{TAGS: (OURS,)}, {TAGS: (OURS, OTHERS)}, {"more": (None,)}]) == {
        "more": (None,),
        TAGS: (OURS, OTHERS, None),
    }
    assert merge_provenance([]) == {}


def test_provenance_of_kept_tags_and_of_tags_made_anew() -> None:
    kept = update_provenance({"more": (OTHERS,)}, [TAGS, "more"], TAGGER)
    assert kept == {"more": (OTHERS,), TAGS: (None, OURS)}
    assert update_provenance({TAGS: (OURS,)}, [TAGS], TAGGER) == {TAGS: (OURS,)}
    more = replace(TAGGER, top_k=2)  # rows without its column are done again
    assert update_provenance({TAGS: (None,)}, [TAGS], more) == {TAGS: (record_tagger(more),)}
    for columns, tagger in (([], TAGGER), ([TAGS], replace(TAGGER, redo=True))):
        assert update_provenance({TAGS: (OTHERS,)}, columns, tagger) == {TAGS: (OURS,)}


DAMAGED: list[Any] = [
    None,
    3,
    [],
    {TAGS: 3},
    {TAGS: ["text"]},
    {TAGS: [{}]},
    {TAGS: [{**to_plain({TAGS: [OURS]})[TAGS][0], "more": 1}]},
    *(
        {TAGS: [{**to_plain({TAGS: [OURS]})[TAGS][0], name: value}]}
        for name, value in (
            ("digest", ["a"]),
            ("digest", None),
            ("settings", 3),
            ("settings", ["a"]),
            ("model", {}),
            ("package_version", 1),
        )
    ),
]


@pytest.mark.parametrize("values", DAMAGED, ids=range(len(DAMAGED)))
def test_what_is_no_record_is_dropped(values: Any) -> None:
    assert from_plain(values) == {}


def test_records_come_back_as_they_were() -> None:
    provenance = {TAGS: (OURS, None, OTHERS)}
    assert from_plain(to_plain(provenance)) == provenance


@pytest.mark.parametrize("text", [b"{", b"\xff\xfe", b'{"video_audio_tags": [{"digest": []}]}'])
def test_damaged_metadata_mean_an_unknown_origin(text: bytes, tmp_path: Path) -> None:
    table = Dataset.from_dict({"video": ["a.mp4"], TAGS: [["Siren"]]}).data.table
    pq.write_table(table.replace_schema_metadata({KEY: text}), tmp_path / "rows.parquet")
    assert read_file_provenance([tmp_path / "rows.parquet"]) == {}
    summary = tag_dataset(tmp_path / "rows.parquet", tmp_path / "out", TAGGER)
    assert summary.kept == 1
    assert load_result(tmp_path / "out")[TAGS][:] == [["Siren"]]


@pytest.mark.parametrize("settings", [{}, {"weights": "http://127.0.0.1:9/yamnet.pth"}])
def test_a_tagger_with_missing_weights_is_not_rebuilt_and_nothing_is_fetched(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Metadata come with rows of strangers: what they name is not downloaded to see whether it fits."""
    monkeypatch.setenv("HF_AUDIO_TAGGER_CACHE", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("it was fetched"))
    assert rebuild_tagger(replace(OURS, model="yamnet", settings={"channels": "mean", **settings})) is None


def test_a_tagger_is_rebuilt_from_a_complete_record() -> None:
    assert rebuild_tagger(OTHERS) == replace(OTHER, device=None)
    assert rebuild_tagger(replace(OTHERS, digest="another")) is None
    assert rebuild_tagger(replace(OTHERS, settings={"channels": "left"})) is None
    assert rebuild_tagger(replace(OTHERS, settings={"no such setting": 1})) is None


def test_a_tagger_with_downloaded_weights_is_rebuilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_AUDIO_TAGGER_CACHE", str(tmp_path / "cache"))
    (tmp_path / "served.pth").write_bytes(fitting_weights())
    monkeypatch.setattr(
        "urllib.request.urlopen", lambda *_, **__: urlopen((tmp_path / "served.pth").as_uri())
    )
    tagger = build_tagger("yamnet", weights="https://example.org/yamnet.pth")
    record = record_tagger(tagger)
    assert rebuild_tagger(record) == tagger


def test_differences_are_described_by_name() -> None:
    other = replace(OTHERS, model="another")
    assert describe_differences(OURS, other) == (
        "model was 'demo', is now 'another'; channels was 'mean', is now 'first'"
    )
    assert "the model's files" in describe_differences(OURS, replace(OURS, digest="another"))


@pytest.mark.parametrize(
    "beside",
    [
        {"column": "clip"},
        {"tag_column": "more_tags"},
        {"top_k": 2},
        {"top_k": 2, "threshold": 0.5},
        {"segments": True},
        {"embeddings": True},
        {"on_error": "record"},
        {"redo": True},
        {"batch_size": 3, "token": "hf_x", "batched": True},
    ],
    ids=str,
)
def test_columns_beside_the_tags_do_not_change_the_record(beside: dict[str, Any]) -> None:
    assert record_tagger(replace(TAGGER, **beside)).digest == OURS.digest


def test_the_card_of_a_private_dataset_is_read_with_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = tmp_path / "README.md"
    card.write_text(f"---\n{json.dumps({KEY: {'default': {'train': to_plain({TAGS: [OURS]})}}})}\n---\n")

    def download(*_: Any, token: str | None = None, **__: Any) -> str:
        assert token == "hf_x"
        return str(card)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    assert read_hub_provenance("me/clips", None, "train", "hf_x") == {TAGS: (OURS,)}
    assert read_hub_provenance("me/clips", None, "test", "hf_x") == {}
    assert "redo" not in record_tagger(replace(TAGGER, redo=True)).settings
