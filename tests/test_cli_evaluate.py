"""`hf-audio-tagger evaluate`, and the picture that it draws."""

import json
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset, DatasetDict
from typer.testing import CliRunner, Result

from hf_audio_tagger import (
    build_tagger,
    evaluate,
    export_predictions,
    load_predictions,
    ontology,
    read_thresholds,
    read_weights,
)
from hf_audio_tagger.cli import app
from hf_audio_tagger.errors import SettingsError
from hf_audio_tagger.runs import load_result, tag_dataset

RIGHT = {"Siren": ["Siren"], "Music": ["Music"], "Dial tone": ["Telephone"], "EMPTY": [], "broken": ["Dog"]}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


@pytest.fixture(scope="module")
def rows(clips: dict[str, Path]) -> Dataset:
    columns = {
        "id": list(RIGHT),
        "video": [str(clips[name]) for name in RIGHT],
        "labels": list(RIGHT.values()),
    }
    return Dataset.from_dict(columns)


@pytest.fixture(scope="module")
def tagged(rows: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tagged") / "out"
    tag_dataset(rows, folder, build_tagger("demo", top_k=18, on_error="record", device="cpu"))
    return folder


def test_it_prints_what_python_finds(tagged: Path, tmp_path: Path) -> None:
    result = evaluate(load_result(tagged))
    assert (result.evaluated, result.empty, result.failed) == (3, 1, 1)
    assert (result.agreement.exact, result.agreement.related) == (2, 3)
    assert result.labels_without_class == ("Dog", "Telephone")
    outputs = ["--thresholds", tmp_path / "t.json", "--otherwise", 0.5, "--plot", tmp_path / "ap.png"]
    done = run(tagged, "--json", *outputs)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == json.loads(json.dumps(result.as_dict()))
    assert read_thresholds(tmp_path / "t.json") == result.thresholds(otherwise=0.5)
    assert (tmp_path / "ap.png").read_bytes().startswith(b"\x89PNG")
    shown = run(tagged)
    lines = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    assert "tag among the labels 66.7% of 3" in lines
    assert "or above or below one 100.0%" in lines
    assert "mAP" in shown.stdout
    assert "Siren" in shown.stdout


def test_what_tag_wrote_is_weighed_and_written_as_an_index(tagged: Path, tmp_path: Path) -> None:
    for command, option in (("weights", "--column"), ("index", "--labels")):
        out = str(tmp_path / command)
        done = CliRunner().invoke(app, [command, str(tagged), "--out", out, option, "video_audio_tags"])
        assert done.exit_code == 0, done.output
    assert read_weights(tmp_path / "weights").tolist() == [500, 500, 500, 0, 0]
    first = json.loads((tmp_path / "index").read_text().splitlines()[0])
    assert first["labels"] == [ontology["Siren"].id]


def test_one_of_several_splits_is_evaluated(tmp_path: Path) -> None:
    rows = Dataset.from_dict({"labels": [["Dog"]], "video_audio_tags": [["Dog"]]})
    DatasetDict(train=rows, test=rows).save_to_disk(tmp_path / "rows")
    assert run(tmp_path / "rows").exit_code == 1
    done = run(tmp_path / "rows", "--split", "test")
    assert "100.0% of 1" in done.stdout


def test_it_reads_the_scores_of_label(rows: Dataset, tmp_path: Path) -> None:
    tagger = build_tagger("demo", windows="all", on_error="record", device="cpu")
    export_predictions(
        rows.select_columns(["id", "video"]), tmp_path / "labelled", tagger=tagger, id_column="id"
    )
    rows.to_parquet(tmp_path / "rows.parquet")
    done = run(tmp_path / "rows.parquet", "--scores", tmp_path / "labelled", "--json")
    assert done.exit_code == 0, done.output
    same = evaluate(rows, load_predictions(tmp_path / "labelled"))
    assert json.loads(done.stdout) == json.loads(json.dumps(same.as_dict()))
    assert (same.evaluated, same.failed + same.empty) == (3, 2)


def test_tags_alone_are_said_to_be(tmp_path: Path) -> None:
    ds = Dataset.from_dict({"labels": [["Dog"], ["Cat"]], "video_audio_tags": [["Dog"], ["Dog"]]})
    ds.to_parquet(tmp_path / "rows.parquet")
    done = run(tmp_path / "rows.parquet")
    assert done.exit_code == 0, done.output
    assert "50.0% of 2" in done.stdout
    assert "without scores only the tags' agreement is known" in done.stdout
    for extra in (
        ["--thresholds", tmp_path / "t.json"],
        ["--plot", tmp_path / "x.png"],
        ["--precision", 0.5],
    ):
        done = run(tmp_path / "rows.parquet", *extra)
        assert done.exit_code == 1
        assert done.stderr
    assert not (tmp_path / "t.json").exists()


def test_the_plot_has_a_point_for_each_class() -> None:
    plot = pytest.importorskip("hf_audio_tagger.plot", reason="matplotlib is missing")
    rng = np.random.default_rng(5)
    names = [category.name for category in ontology.audioset_classes()[:30]]
    truths = rng.random((300, 30)) < np.linspace(0.01, 0.3, 30)
    ds = Dataset.from_dict({"labels": [[names[place] for place in np.flatnonzero(row)] for row in truths]})
    result = evaluate(ds, truths * 0.2 + rng.random(truths.shape), classes=names)
    (axes,) = plot.plot_evaluation(result).axes
    points = axes.collections[0].get_offsets().tolist()
    assert points == [[one.positives, pytest.approx(one.ap)] for one in result.classes]
    assert len(axes.texts) == 12
    assert axes.get_title(loc="left").startswith(f"mAP {result.mean_ap:.3f} over 30 classes")
    tags = Dataset.from_dict({"labels": [["Dog"]], "video_audio_tags": [["Dog"]]})
    with pytest.raises(SettingsError, match="There is no AP to draw"):
        plot.plot_evaluation(evaluate(tags))
    with pytest.raises(SettingsError, match="result must be an Evaluation"):
        plot.plot_evaluation(ds)
