"""A model that compares sound with text, wherever a model is taken: runs, the shell, the Hub's cache."""

import json
import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from datasets.fingerprint import Hasher
from typer.testing import CliRunner
from word_models import LABELS

from hf_audio_tagger import (
    ModelError,
    SettingsError,
    build_tagger,
    evaluate,
    export_predictions,
    fastest_settings,
    load_predictions,
    memo,
    tag_dataset,
    write_thresholds,
)
from hf_audio_tagger.cli import app
from hf_audio_tagger.demo import CHECKPOINT
from hf_audio_tagger.doctor.models import examine_model
from hf_audio_tagger.doctor.speed import check_speed
from hf_audio_tagger.provenance import (
    from_plain,
    read_provenance,
    rebuild_tagger,
    record_tagger,
    to_plain,
)
from hf_audio_tagger.results.card import PushedDataset, render_section
from hf_audio_tagger.results.facts import TagFacts
from hf_audio_tagger.runs import load_result
from hf_audio_tagger.speed import list_choices

Clips = dict[str, Path]
NAMES = ("Siren", "Clicking", "EMPTY", "White noise")


@pytest.fixture
def ds(clips: Clips) -> Dataset:
    return Dataset.from_dict({"video": [str(clips[name]) for name in NAMES]})


def test_a_run_tags_resumes_and_records_the_labels(clap_folder: Path, ds: Dataset, tmp_path: Path) -> None:
    tagger = build_tagger(clap_folder, labels=LABELS, top_k=2)
    expected = tagger.tag(ds["video"][:])
    assert expected[2] == "EMPTY"
    assert {*expected} <= {"EMPTY", *LABELS}
    memo.clear()
    tag_dataset(ds, tmp_path / "out", tagger)
    tagged = load_result(tmp_path / "out")
    assert [tags[0] for tags in tagged["video_audio_tags"]] == expected
    assert tag_dataset(ds, tmp_path / "out", tagger).processed_now == 0
    with pytest.raises(SettingsError, match=r"labels was .*'bell'.*, now \['siren'\]"):
        tag_dataset(ds, tmp_path / "out", build_tagger(clap_folder, labels=["siren"], top_k=2))
    (record,) = read_provenance(tagged)["video_audio_tags"]
    assert record is not None
    assert record.settings["labels"] == LABELS


def test_a_record_of_a_tagger_has_its_labels(clap_folder: Path, tmp_path: Path) -> None:
    """Those of a file too: it need not be there any more."""
    (tmp_path / "labels.csv").write_text("dog,a dog barks\ndog,a puppy whines\nbell,a bell rings\n")
    tagger = build_tagger(clap_folder, labels=tmp_path / "labels.csv", labels_hold="several")
    (tmp_path / "labels.csv").unlink()
    record = record_tagger(tagger)
    assert record.settings["labels"] == {"dog": ["a dog barks", "a puppy whines"], "bell": ["a bell rings"]}
    stored = from_plain(json.loads(json.dumps(to_plain({"tags": [replace(record, model=str(clap_folder))]}))))
    (read,) = stored["tags"]
    assert read is not None
    assert rebuild_tagger(read) == tagger


def test_a_card_has_the_call_with_the_labels() -> None:
    tagger = build_tagger(
        "me/clap", labels={"dog": ["a dog barks"], "bell": "it rings"}, labels_hold="several"
    )
    tags = {"train": TagFacts(1, tags=Counter({"dog": 1}))}
    names = ("video_audio_tags", ("video_audio_tags",), tags, "embedded")
    section = render_section(PushedDataset("me/clips", "default", "train", None, tagger, *names))
    (call,) = re.findall(r"ds.map\((build_tagger\(.*\))\)", section)
    assert eval(call, {"build_tagger": build_tagger}) == tagger


def test_predictions_have_a_column_for_each_label(clap_folder: Path, clips: Clips, tmp_path: Path) -> None:
    tagger = build_tagger(clap_folder, labels=LABELS, top_k=9, windows="all")
    (tmp_path / "clips").mkdir()
    shutil.copy(clips["Siren"], tmp_path / "clips")
    export_predictions(tmp_path / "clips", tmp_path / "out", tagger=tagger)
    (row,) = load_predictions(tmp_path / "out")
    (result,) = tagger.classify(str(clips["Siren"]))
    scores = dict(zip(tagger.labels, np.mean(row["scores"], axis=0).tolist(), strict=True))
    assert scores == pytest.approx(dict(result.top or ()), abs=1e-5)


def test_evaluate_gives_a_threshold_for_each_label(clap_folder: Path, ds: Dataset, tmp_path: Path) -> None:
    labelled = ds.add_column("labels", [["siren"], ["bell"], [], ["siren", "bell"]])
    settings: dict[str, Any] = {"labels": ["siren", "bell", "owl"], "labels_hold": "several", "top_k": 4}
    result = evaluate(labelled.map(build_tagger(clap_folder, **settings)))
    assert {one.name for one in result.classes} == {"siren", "bell"}
    write_thresholds(result.thresholds(), tmp_path / "thresholds.json")
    trimmed = ds.map(build_tagger(clap_folder, threshold=tmp_path / "thresholds.json", **settings))
    least = result.thresholds()
    assert {"owl", "none"} <= {label for label, score in least.items() if score == float("inf")}
    kept = [one for row in trimmed["video_audio_top"] for one in row[0]]
    assert {one["label"] for one in kept} <= {"siren", "bell"}
    assert all(one["score"] >= least[one["label"]] - 1e-6 for one in kept)


def test_the_shell_takes_labels_and_template(clap_folder: Path, clips: Clips, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("siren\ncrowd booing\n")
    template = ["--template", "I notice {}."]
    for given in ("siren,crowd booing", str(tmp_path / "labels.txt")):
        options = ["--model", str(clap_folder), "--labels", given, *template, "--top-k", "2", "--json"]
        result = CliRunner().invoke(app, ["tag", str(clips["Siren"]), *options, "--device", "cpu"])
        assert result.exit_code == 0, result.output
        tagger = build_tagger(clap_folder, labels=["siren", "crowd booing"], template="I notice {}.", top_k=2)
        (expected,) = tagger.classify(str(clips["Siren"]))
        top = json.loads(result.stdout)["top"]
        assert {one["label"]: one["score"] for one in top} == pytest.approx(
            dict(expected.top or ()), abs=1e-5
        )
    wrong = CliRunner().invoke(app, ["tag", str(clips["Siren"]), "--model", "demo", "--labels", "siren"])
    assert wrong.exit_code == 1
    assert "--labels goes with a model that has a text side" in " ".join(wrong.output.split())


def test_its_speed_is_measured_without_labels(clap_folder: Path) -> None:
    assert fastest_settings(str(clap_folder))["engine"] == "torch"
    findings = [*check_speed(str(clap_folder), None, lambda: examine_model(str(clap_folder)))]
    timed = [one for one in findings if one.subject.startswith("torch ")]
    assert timed
    assert all(one.state == "ok" for one in timed)


# The Hub's cache


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of models, and no network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path / "cache"


def put_into(cache: Path, name: str, folder: Path) -> None:
    repo = cache / f"models--me--{name}"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text("0" * 40)
    shutil.copytree(folder, repo / "snapshots" / ("0" * 40))


def test_an_id_of_the_hub_is_known_by_its_config(cache: Path, clap_folder: Path, clips: Clips) -> None:
    clip = str(clips["Siren"])
    tagger, bare = build_tagger("me/clap", labels=LABELS), build_tagger("me/clap")
    other = build_tagger("me/ast", labels=LABELS)
    before = Hasher.hash(tagger)
    with pytest.raises(ModelError, match="'me/clap' cannot be loaded"):
        tagger.tag(clip)
    put_into(cache, "clap", clap_folder)
    put_into(cache, "ast", CHECKPOINT)
    assert Hasher.hash(tagger) == before
    assert tagger.tag(clip) == build_tagger(clap_folder, labels=LABELS).tag(clip)
    assert tagger.labels == tuple(LABELS)
    assert list_choices(tagger)[-1].engine == "torch"
    with pytest.raises(ModelError, match=r"pass labels="):
        bare.tag(clip)
    with pytest.raises(SettingsError, match=r"pass labels="):
        build_tagger("me/clap")
    for use in (lambda: other.tag(clip), lambda: other.labels, lambda: build_tagger("me/ast", labels=LABELS)):
        with pytest.raises(SettingsError, match=r"'me/ast' has none, but labels of its own"):
            use()


def test_the_config_is_downloaded_when_the_model_is_used(
    cache: Path, clap_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def download(model: str, file: str, **_: Any) -> str:
        asked.append((model, file))
        return str(clap_folder / file)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    tagger = build_tagger("me/clap", labels=LABELS)
    tagger.identity()
    assert asked == []
    assert tagger.labels == tuple(LABELS)
    assert asked == [("me/clap", "config.json")]
