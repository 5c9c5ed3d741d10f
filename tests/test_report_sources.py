"""What `report` takes: runs, files and labelled predictions; what it finds in embeddings; what it costs."""

import json
import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset
from report_files import Report, unpack

from hf_audio_tagger import build_tagger, report
from hf_audio_tagger.errors import SettingsError
from hf_audio_tagger.predictions.loading import load_predictions
from hf_audio_tagger.provenance import add_schema_provenance, record_tagger

RECORD = {"source_rows": 5, "limit": None, "shard_rows": 2, "source": "gone", "settings": {}}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """What a run of five clips leaves: shards, its record, and a shard of a larger run before."""
    folder = tmp_path / "tagged clips"
    (folder / "data").mkdir(parents=True)
    (folder / ".hf_audio_tagger").mkdir()
    (folder / ".hf_audio_tagger" / "run.json").write_text(json.dumps(RECORD))
    provenance = {"video_audio_tags": (record_tagger(build_tagger("demo", top_k=3)),)}
    for shard, count in enumerate((2, 2, 1, 2)):
        names = [f"/home/me/clips/{2 * shard + row}.mp4" for row in range(count)]
        file = [{"bytes": None, "path": name} for name in names]
        table = pa.table({"video": file, "video_audio_tags": [["Dog"]] * count})
        table = table.replace_schema_metadata(add_schema_provenance(table.schema, provenance).metadata)
        pq.write_table(table, folder / "data" / f"shard-{shard:05}.parquet", row_group_size=1)
    return folder


def test_a_run(run: Path, tmp_path: Path) -> None:
    report(run, tmp_path / "page")
    made = Report(tmp_path / "page")
    assert made.head["title"] == "tagged clips"
    assert [clip["name"] for clip in made.clips] == [f"{number}.mp4" for number in range(5)]
    facts = dict(made.head["run"])
    assert facts["Model"] == "demo"
    assert facts["Tagged"][:2] == "20"
    assert dict(made.head["settings"])["top_k"] == "3"
    assert "hf-audio-tagger, of the tags" in dict(made.head["versions"])
    assert made.head["notes"] == ["No clip can be played: no file was found where the page was made."]


def test_a_run_in_a_store(run: Path, tmp_path: Path) -> None:
    system = fsspec.filesystem("memory")
    system.put(str(run), "/report-test/tagged", recursive=True)
    try:
        report("memory://report-test/tagged", tmp_path / "page")
    finally:
        system.rm("/report-test", recursive=True)
    made = Report(tmp_path / "page")
    assert (made.head["title"], len(made.clips)) == ("tagged", 5)
    assert dict(made.head["run"])["Model"] == "demo"


def test_a_run_that_wrote_lines_of_json(run: Path, tmp_path: Path) -> None:
    (tmp_path / "tags.jsonl").write_text('{"video_audio_tags": ["Dog"]}\n' * 5)
    (run / "data").rename(run / ".hf_audio_tagger" / "data")
    (run / ".hf_audio_tagger").rename(tmp_path / ".tags.jsonl.hf_audio_tagger")
    report(tmp_path / "tags.jsonl", tmp_path / "page")
    made = Report(tmp_path / "page")
    assert (len(made.clips), dict(made.head["run"])["Model"]) == (5, "demo")


def test_results_beside_their_tars(run: Path, tmp_path: Path) -> None:
    for shard in range(2):
        path = run / "more" / f"{shard}.tar.tags.parquet"
        path.parent.mkdir(exist_ok=True)
        (run / "data" / f"shard-{shard:05}.parquet").rename(path)
    shutil.rmtree(run / "data")
    report(run, tmp_path / "page")
    assert [clip["name"] for clip in Report(tmp_path / "page").clips] == [
        f"{number}.mp4" for number in range(4)
    ]


def test_a_damaged_file_is_named(run: Path, tmp_path: Path) -> None:
    (run / "data" / "shard-00001.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(SettingsError, match=r"shard-00001.parquet cannot be read"):
        report(run, tmp_path / "page")
    assert not (tmp_path / "page").exists()


def test_a_file_of_a_run_and_rows_of_json(run: Path, tmp_path: Path) -> None:
    report(run / "data" / "shard-00001.parquet", tmp_path / "page")
    assert len(Report(tmp_path / "page").clips) == 2
    lines = tmp_path / "tagged.jsonl"
    lines.write_text('{"video": "a b.mp4", "video_audio_tags": ["Dog"]}\n')
    (tmp_path / "a b.mp4").write_bytes(b"0")
    report(lines, tmp_path / "page")
    made = Report(tmp_path / "page")
    assert made.clips[0]["media"] == "../a b.mp4"  # relative to the file of rows


def test_labelled_predictions(tmp_path: Path) -> None:
    """Three patches of two classes, and a clip without sound, as torch_audioset's tools write them."""
    folder = tmp_path / "labelled"
    (folder / "audio_pred").mkdir(parents=True)
    logits = np.array([[2, -2], [2, -2], [-2, 4]], np.float32)
    np.save(folder / "audio_pred" / "one.npy", logits)
    np.save(folder / "audio_pred" / "none.npy", np.zeros((0, 2), np.float32))
    names = ("one", "none")
    records = [
        {"id": f"{name}.mp4", "category_tsr_fname": f"{name}.npy", "per_chunk_length": 0.5} for name in names
    ]
    index = {"model_categories": [{"name": "Dog"}, {"name": "Cat"}], "predictions": records}
    (folder / "audio_pred.json").write_text(json.dumps(index))
    report(folder, tmp_path / "page")
    made = Report(tmp_path / "page")
    means = (1 / (1 + np.exp(-logits.astype(float)))).mean(axis=0)
    assert made.tags() == [["Dog", "Cat"][means.argmax()], None]
    assert made.columns["state"] == [0, 1]
    assert made.columns["score"][0] == pytest.approx(means.max())
    assert [clip["name"] for clip in made.clips] == ["one.mp4", "none.mp4"]
    parts = [(start, end, made.names[sound]) for start, end, sound, _ in made.clips[0]["segments"]]
    assert parts == [(0.0, 1.0, "Dog"), (1.0, 1.5, "Cat")]
    report(load_predictions(folder), tmp_path / "again")
    assert Report(tmp_path / "again").clips == made.clips


def make_embedded(tmp_path: Path, vectors: np.ndarray, **options: Any) -> Report:
    cells = [[vector.tolist()] for vector in vectors]
    rows = {"video_audio_tags": [["Dog"]] * len(vectors), "video_audio_embedding": cells}
    report(Dataset.from_dict(rows), tmp_path / "page", **options)
    return Report(tmp_path / "page")


def test_the_map_is_the_principal_plane_and_neighbours_are_by_cosine(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).standard_normal((40, 8)) * [4, 3, 1, 1, 1, 1, 1, 1]
    vectors[7] = 0  # without a direction
    made = make_embedded(tmp_path, vectors)
    kept = np.delete(np.arange(40), 7)
    units = vectors[kept] / np.linalg.norm(vectors[kept], axis=1, keepdims=True)
    (points,) = made.read("map")
    assert unpack(points["clips"], "<u4") == kept.tolist()
    from sklearn.decomposition import PCA

    plane = PCA(2, svd_solver="full").fit_transform(units.astype(np.float64))
    placed = np.stack([unpack(points[one], "<u2") for one in "xy"], 1).astype(float)
    wanted = np.linalg.norm(plane[:, None] - plane, axis=-1)
    found = np.linalg.norm(placed[:, None] - placed, axis=-1)
    assert np.allclose(found / found.max(), wanted / wanted.max(), atol=1e-4)
    assert "PCA" in made.head["map_note"]
    cosines = units @ units.T
    np.fill_diagonal(cosines, -2)
    near = made.clips[0]["neighbors"]
    assert [clip for clip, _ in near] == kept[np.argsort(-cosines[0])[:8]].tolist()
    assert [score for _, score in near] == pytest.approx(np.sort(cosines[0])[::-1][:8].tolist(), abs=1e-4)
    assert "neighbors" not in made.clips[7]


def test_neighbours_of_many_are_left_out_unless_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hf_audio_tagger.page.making.MOST_COMPARED", 5)
    vectors = np.random.default_rng(1).standard_normal((6, 4))
    made = make_embedded(tmp_path, vectors)
    assert "Similar clips are left out: with 6 embeddings" in made.head["notes"][0]
    assert made.head["has_map"]
    asked = make_embedded(tmp_path, vectors, neighbors=2)
    assert [len(clip["neighbors"]) for clip in asked.clips] == [2] * 6


def test_embeddings_of_rows_with_several_videos(tmp_path: Path) -> None:
    one, other = [1.0, 0.0], [0.0, 1.0]
    rows = {
        "video_audio_tags": [["Dog", None], [], ["Dog", "Cat"], ["Cat"]],
        "video_audio_embedding": [[one, None], [], [other, one], [[1.0, 1.0]]],
    }
    report(Dataset.from_dict(rows), tmp_path / "page")
    made = Report(tmp_path / "page")
    assert unpack(made.read("map")[0]["clips"], "<u4") == [0, 2, 3, 4]
    assert made.clips[3]["neighbors"][0] == [0, 1.0]


def test_memory_grows_by_the_packed_columns_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clips are written as they are read: what remains of each are numbers and its name."""
    monkeypatch.setattr("hf_audio_tagger.page.tables.ROWS_AT_ONCE", 100)
    peaks = []
    for count in (500, 2_000):
        tags = [["Dog"]] * count
        tops = [[[{"label": f"sound {label}", "score": 0.5} for label in range(5)]]] * count
        path = tmp_path / f"{count}.parquet"
        names = [f"/clips/{row}.mp4" for row in range(count)]
        table = pa.table(
            {"video": names, "video_audio_tags": tags, "video_audio_top": tops, "note": ["x" * 900] * count}
        )
        pq.write_table(table, path, row_group_size=100)
        tracemalloc.start()
        report(path, tmp_path / "page", posters=0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert len(Report(tmp_path / "page").clips) == 2_000
    assert (peaks[1] - peaks[0]) / 1_500 < 600  # bytes a clip
