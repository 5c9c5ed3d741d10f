"""A sample: rows from all over, the same ones each time, in runs, labels and prints."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from small_runs import BROKEN, ROWS, TAGGER, clip_path, rows_of, write_clips
from typer.testing import CliRunner

from hf_audio_tagger import SettingsError, classify_clips, export_predictions, load_predictions, tag_dataset
from hf_audio_tagger.cli import app
from hf_audio_tagger.sources import open_source
from hf_audio_tagger.sources.sampling import shuffle_rows, take_sample
from hf_audio_tagger.sources.source import SourceError

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("sampled") / "clips")


def file_names(rows: list[dict[str, Any]]) -> list[str]:
    return [row["file_name"] for row in rows]


def test_rows_are_drawn_from_all_over_and_always_the_same() -> None:
    rows = Dataset.from_dict({"video": [f"{row}.mp4" for row in range(10_000)]})
    one, other = (shuffle_rows(open_source(rows)) for _ in range(2))
    assert one.order is not None
    assert one.fingerprint == other.fingerprint != open_source(rows).fingerprint
    assert one.rows(0, 9)["video"].to_pylist() == [f"{row}.mp4" for row in one.order[:9]]
    assert sorted(one.order) == list(range(10_000))
    drawn = np.histogram(one.order[:1000], bins=10, range=(0, 10_000))[0]
    assert 70 < drawn.min() <= drawn.max() < 130  # 100 of each tenth, give or take three deviations
    taken = take_sample(open_source(rows), 5)
    assert taken.row_count == 5
    assert taken.order == sorted(one.order[:5])


def test_a_larger_sample_continues_a_smaller_one(folder: Path, tmp_path: Path) -> None:
    small = tag_dataset(folder, tmp_path / "out", TAGGER, sample=3, shard_rows=2)
    assert (small.rows, small.processed_now) == (3, 3)
    first = file_names(rows_of(tmp_path / "out"))
    larger = tag_dataset(folder, tmp_path / "out", TAGGER, sample=6)
    assert (larger.rows, larger.processed_now) == (6, 3)
    names = file_names(rows_of(tmp_path / "out"))
    assert names[:3] == first
    assert names != sorted(names)
    tag_dataset(folder, tmp_path / "whole", TAGGER, sample=100)
    assert sorted(file_names(rows_of(tmp_path / "whole"))) == [f"{n:02d}.mp4" for n in range(ROWS)]
    with pytest.raises(SettingsError, match=r"started with sample=6; a smaller one"):
        tag_dataset(folder, tmp_path / "out", TAGGER, sample=2)
    with pytest.raises(SettingsError, match="started with a sample of the rows"):
        tag_dataset(folder, tmp_path / "out", TAGGER, limit=8)
    tag_dataset(folder, tmp_path / "limited", TAGGER, limit=2)
    with pytest.raises(SettingsError, match="started without a sample of the rows"):
        tag_dataset(folder, tmp_path / "limited", TAGGER, sample=4)


def test_what_belongs_to_a_row_goes_with_it(tmp_path: Path) -> None:
    """Folders of relative paths, and links that must not be read."""
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        lines = [json.dumps({"video": f"{name}{row}.mp4"}) + "\n" for row in range(20)]
        (tmp_path / name / "rows.jsonl").write_text("".join(lines))
    source = shuffle_rows(open_source(str(tmp_path / "*" / "rows.jsonl")))
    cells = source.tagger_cells(source.rows(5, 30)["video"], 5).to_pylist()
    names = source.rows(5, 30)["video"].to_pylist()
    assert cells == [f"{tmp_path}/{name[0]}/{name}" for name in names]
    clips = tmp_path / "clips"
    clips.mkdir()
    for row in range(20):
        (clips / f"{row:02d}.mp4").write_bytes(b"media")
    (clips / "09a.mp4").symlink_to(tmp_path / "x" / "rows.jsonl")
    source = shuffle_rows(open_source(clips))
    table = source.rows(0, 21)
    cells = source.tagger_cells(table["video"], 0).to_pylist()
    refused = [
        name for name, cell in zip(table["file_name"].to_pylist(), cells, strict=True) if cell["refused"]
    ]
    assert refused == ["09a.mp4"]


def test_printed_rows_have_their_places_in_the_source(folder: Path) -> None:
    found = list(classify_clips(folder, TAGGER, sample=4))
    assert len({clip.row for clip in found}) == 4
    assert all(clip.name == str(clip_path(folder, clip.row)) for clip in found)
    assert all((clip.result.error is not None) == (clip.row == BROKEN) for clip in found)


def test_labels_of_a_sample(folder: Path, tmp_path: Path) -> None:
    summary = export_predictions(folder, tmp_path / "out", tagger=TAGGER, sample=4)
    assert summary.clips == 4
    more = export_predictions(folder, tmp_path / "out", tagger=TAGGER, sample=7)
    assert (more.clips, more.processed_now) == (7, 3 + summary.failed)
    whole = export_predictions(folder, tmp_path / "out", tagger=TAGGER)
    assert (whole.clips, whole.failed) == (ROWS, 1)
    assert len(load_predictions(tmp_path / "out")) == ROWS - 1


def test_streams_and_limits_are_refused(folder: Path, tmp_path: Path) -> None:
    stream = Dataset.from_dict({"video": ["a.mp4"]}).to_iterable_dataset()
    with pytest.raises(SourceError, match="a stream cannot be sampled"):
        tag_dataset(stream, tmp_path / "out", TAGGER, sample=2)
    with pytest.raises(SettingsError, match="limit= takes the first rows and sample= rows from all over"):
        tag_dataset(folder, tmp_path / "out", TAGGER, limit=2, sample=2)
    assert not (tmp_path / "out").exists()


@pytest.mark.campaign  # takes ten seconds
def test_on_the_shell(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["tag", str(folder), "--model", "demo", "--device", "cpu", "--sample", "3"]
    printed = CliRunner().invoke(app, [*words, "--json"])
    rows = [json.loads(line)["row"] for line in printed.stdout.splitlines()]
    assert len(rows) == 3
    result = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "out")])
    assert "sample" in result.stderr
    assert file_names(rows_of(tmp_path / "out")) == [f"{row:02d}.mp4" for row in rows]
    told: list[Any] = []  # instead of the time of a run with each engine
    monkeypatch.setattr("hf_audio_tagger.cli.tag.show_dry_run", lambda *given: told.extend(given))
    assert CliRunner().invoke(app, [*words, "--dry-run"]).exit_code == 0
    assert told[3] == 3  # rows that would be tagged
    label = ["label", str(folder), "--model", "demo", "--device", "cpu", "--sample", "3", "--json"]
    labelled = CliRunner().invoke(app, [*label, "--out", str(tmp_path / "labels")])
    assert json.loads(labelled.stdout)["clips"] == 3
