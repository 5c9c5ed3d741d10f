"""State files that hold JSON of other types than a run writes, and names that lead out of the folder."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import Dataset
from random_weights import RATE_HZ, write_yamnet
from small_runs import TAGGER, Seeing
from sound_files import KINDS, write_sound

from hf_audio_tagger import build_tagger, export_predictions
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.errors import RunError
from hf_audio_tagger.runs import load_result, shards, tag_dataset
from hf_audio_tagger.tagger import Tagger

pytestmark = pytest.mark.timeout(60)

MISSING = Dataset.from_dict({"video": [f"not there {number}.mp4" for number in range(3)]})


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": "2"},
        {"limit": 0},
        {"limit": True},
        {"shard_rows": 0},
        {"shard_rows": True},
        {"source_rows": "3"},
        {"source_rows": -3},
        {"source": None},
        {"fingerprint": 5},
        {"settings": []},
        {"format": "1"},
    ],
    ids=str,
)
def test_a_record_of_other_types_is_told(wrong: dict[str, Any], tmp_path: Path) -> None:
    tag_dataset(MISSING, tmp_path / "out", TAGGER)
    record = tmp_path / "out" / ".hf_audio_tagger" / "run.json"
    whole = json.loads(record.read_bytes())
    record.write_text(json.dumps({**whole, **wrong}))
    with pytest.raises(RunError, match=r"run\.json is damaged.*overwrite=True"):
        tag_dataset(MISSING, tmp_path / "out", TAGGER, limit=3)
    with pytest.raises(RunError, match=r"run\.json is damaged"):
        load_result(tmp_path / "out")
    assert tag_dataset(MISSING, tmp_path / "out", TAGGER, overwrite=True).processed_now == 3
    assert json.loads(record.read_bytes()) == whole


def test_a_record_nested_without_end_is_told(tmp_path: Path) -> None:
    tag_dataset(MISSING, tmp_path / "out", TAGGER)
    (tmp_path / "out" / ".hf_audio_tagger" / "run.json").write_text("[" * 200_000)
    with pytest.raises(RunError, match=r"run\.json is damaged"):
        tag_dataset(MISSING, tmp_path / "out", TAGGER)


@pytest.mark.parametrize(
    "line",
    ['{"shard": [["shard-00000.parquet"], 1, 2]}', '{"shard": [{}, {}, {}]}', '{"shard": 5}', "[" * 200_000],
    ids=lambda line: line[:50],
)
def test_a_ledger_of_other_types_costs_a_reading(line: str, tmp_path: Path) -> None:
    tag_dataset(MISSING, tmp_path / "out", TAGGER)
    ledger = tmp_path / "out" / ".hf_audio_tagger" / "shards.jsonl"
    whole = ledger.read_text()
    ledger.write_text(f"{line}\n")
    assert tag_dataset(MISSING, tmp_path / "out", TAGGER).processed_now == 0
    assert ledger.read_text() == f"{line}\n{whole}"


@pytest.mark.parametrize(
    "wrong", [{"failed_rows": "3"}, {"came_tagged": None}, {"ended": 5}, {"state": "here"}], ids=str
)
def test_a_footer_of_other_types_is_damage(wrong: dict[str, Any], tmp_path: Path) -> None:
    tag_dataset(MISSING, tmp_path / "out", TAGGER)
    shard = tmp_path / "out" / "data" / "shard-00000.parquet"
    said = json.loads(pq.read_metadata(shard).metadata[shards.FOOTER_KEY])
    table = pq.read_table(shard)
    with pq.ParquetWriter(shard, table.schema) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({shards.FOOTER_KEY: json.dumps({**said, **wrong}).encode()})
    watcher = Seeing()
    assert tag_dataset(MISSING, tmp_path / "out", TAGGER, watcher=watcher).processed_now == 3
    assert "shard-00000.parquet is damaged" in watcher.notes[0]


# The journal of a labelled collection


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Tagger:
    return build_tagger("yamnet", weights=write_yamnet(tmp_path_factory.mktemp("weights") / "yamnet.pth"))


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    sound = synthesize("Siren", 1.2, RATE_HZ, 0)[np.newaxis]
    write_sound(tmp_path / "in" / "a.wav", sound, rate_hz=RATE_HZ, kind=KINDS["wav-pcm_s16le"])
    return tmp_path / "in"


WRONG = [
    {"name": 5},
    {"name": None},
    {"name": "../../victim"},
    {"name": "/victim"},
    {"name": "a\0b"},
    {"name": "\ud800"},
    {"name": "x" * 300},
    {"id": [1]},
    {"content": 5},
    {"patches": "2"},
    {"patches": -1},
    {"step_seconds": None},
    {"error": 5},
    {"another": 1},
]


def test_lines_of_other_types_are_told_and_heard_again(sounds: Path, tmp_path: Path, tagger: Tagger) -> None:
    first = export_predictions(sounds, tmp_path / "out", tagger=tagger)
    victim = tmp_path / "victim.npy"
    victim.write_text("mine")
    journal = tmp_path / "out" / ".hf_audio_tagger" / "label.jsonl"
    line = next(json.loads(one) for one in journal.read_text().splitlines() if one)
    lines = [{**line, **wrong} for wrong in [*WRONG, {"name": str(tmp_path / "victim")}]]
    journal.write_text("".join(json.dumps(one) + "\n" for one in [*lines, 5, [], "name"]))
    watcher = Seeing()
    again = export_predictions(sounds, tmp_path / "out", tagger=tagger, watcher=watcher)
    assert (again.processed_now, again.patches) == (1, first.patches)
    assert watcher.notes == [
        f"{journal} is damaged (lines: {len(lines) + 3}); their clips are labelled again."
    ]
    watcher = Seeing()
    assert export_predictions(sounds, tmp_path / "out", tagger=tagger, overwrite=True).processed_now == 1
    assert victim.read_text() == "mine"
    assert export_predictions(sounds, tmp_path / "out", tagger=tagger, watcher=watcher).processed_now == 0
    assert not watcher.notes


def test_a_link_below_the_arrays_leads_no_removal_out(sounds: Path, tmp_path: Path, tagger: Tagger) -> None:
    export_predictions(sounds, tmp_path / "out", tagger=tagger)
    (tmp_path / "others").mkdir()
    victim = tmp_path / "others" / "victim.npy"
    victim.write_text("mine")
    os.symlink(tmp_path / "others", tmp_path / "out" / "audio_pred" / "link")
    journal = tmp_path / "out" / ".hf_audio_tagger" / "label.jsonl"
    line = next(json.loads(one) for one in journal.read_text().splitlines() if one)
    with journal.open("a") as file:
        file.write(json.dumps({**line, "name": "link/victim"}) + "\n")
    export_predictions(sounds, tmp_path / "out", tagger=tagger, overwrite=True)
    assert victim.read_text() == "mine"
