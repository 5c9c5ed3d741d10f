"""Thresholds: where they lie, the file of them, and what takes such a file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from datasets.fingerprint import Hasher
from typer.testing import CliRunner

from hf_audio_tagger import (
    build_tagger,
    evaluate,
    has_sound,
    labels_over,
    lacks_sound,
    read_thresholds,
    write_thresholds,
)
from hf_audio_tagger.audioset.ontology import UnknownCategoryError
from hf_audio_tagger.cli import app
from hf_audio_tagger.cli.options import parse_value
from hf_audio_tagger.errors import SettingsError

CLASSES = ["Speech", "Music", "Dog"]


def make_evaluation(seed: int = 1) -> Any:
    """200 clips with ties; no clip has Dog."""
    rng = np.random.default_rng(seed)
    truths = rng.random((200, 3)) < [0.3, 0.05, 0.0]
    scores = np.round(np.clip(truths * 0.3 + rng.random((200, 3)) * 0.7, 0, 1), 2)
    labels = [[CLASSES[place] for place in np.flatnonzero(row)] for row in truths]
    return evaluate(Dataset.from_dict({"labels": labels}), scores, classes=CLASSES), truths, scores


def test_thresholds_are_those_of_the_best_f1() -> None:
    sklearn = pytest.importorskip("sklearn.metrics", reason="scikit-learn, of the extra `test`, is missing")
    result, truths, scores = make_evaluation()
    found = result.thresholds(otherwise=0.5)
    assert list(found) == CLASSES
    assert found["Dog"] == 0.5
    for place, name in enumerate(CLASSES[:2]):
        best = max(
            sklearn.f1_score(truths[:, place], scores[:, place] >= score) for score in set(scores[:, place])
        )
        assert sklearn.f1_score(truths[:, place], scores[:, place] >= found[name]) == best
        assert len(str(found[name])) <= 5  # between two scores of two digits


def test_thresholds_for_a_precision_keep_as_much_as_they_can() -> None:
    sklearn = pytest.importorskip("sklearn.metrics", reason="scikit-learn, of the extra `test`, is missing")
    result, truths, scores = make_evaluation()
    found = result.thresholds(precision=0.8)
    assert found["Dog"] == np.inf
    for place, name in enumerate(CLASSES[:2]):
        precisions, recalls, _ = sklearn.precision_recall_curve(truths[:, place], scores[:, place])
        kept = scores[:, place] >= found[name]
        assert sklearn.precision_score(truths[:, place], kept) >= 0.8
        assert sklearn.recall_score(truths[:, place], kept) == recalls[precisions >= 0.8].max()
    never = evaluate(Dataset.from_dict({"labels": [["a"], []]}), [[0.1, 0.5], [0.9, 0.5]], classes=["a", "b"])
    assert never.thresholds(precision=0.9) == {"a": np.inf, "b": np.inf}
    for precision in (0, 1.1, True, "high"):
        with pytest.raises(SettingsError, match="precision must be above 0 and at most 1"):
            result.thresholds(precision=precision)
    logits = evaluate(Dataset.from_dict({"labels": [["a"], []]}), [[2.0], [-1.0]], classes=["a"])
    with pytest.raises(SettingsError, match="scores between 0 and 1"):
        logits.thresholds()


def test_a_file_keeps_scores_and_never(tmp_path: Path) -> None:
    thresholds = {"Speech": 0.41, "Türe": 0.0, "Dog": np.inf}
    write_thresholds(thresholds, tmp_path / "t.json")
    assert read_thresholds(tmp_path / "t.json") == thresholds
    assert json.loads((tmp_path / "t.json").read_bytes()) == {"Speech": 0.41, "Türe": 0.0, "Dog": None}
    with pytest.raises(SettingsError, match=r"none.t\.json: it cannot be written \(No such file"):
        write_thresholds(thresholds, tmp_path / "none" / "t.json")
    for wrong in (2.0, np.nan, "high"):
        with pytest.raises(SettingsError, match=r"'Dog' must be between 0 and 1, or infinity for never"):
            write_thresholds({"Dog": wrong}, tmp_path / "t.json")


@pytest.mark.parametrize(
    "text", ["", "[0.5]", "{}", '{"Dog": "high"}', '{"Dog": 2}', '{"Dog": NaN}', '{"Dog": true}']
)
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.json").write_text(text)
    for read in (read_thresholds, lambda path: build_tagger("demo", top_k=3, threshold=path)):
        with pytest.raises(SettingsError, match=r"thresholds: .*t\.json"):
            read(tmp_path / "t.json")


def write_for_demo(path: Path, **scores: float) -> dict[str, float]:
    thresholds = dict.fromkeys(build_tagger("demo").labels, 0.02) | scores
    write_thresholds(thresholds, path)
    return thresholds


def test_a_tagger_trims_each_label_by_its_own_score(tmp_path: Path, clips: dict[str, Path]) -> None:
    path = tmp_path / "t.json"
    thresholds = write_for_demo(path, Siren=np.inf, Music=0.0)
    every = build_tagger("demo", top_k=18).classify(str(clips["Siren"]))[0].top
    trimmed = build_tagger("demo", top_k=18, threshold=path).classify(str(clips["Siren"]))[0]
    assert every is not None
    assert trimmed.top == tuple((label, score) for label, score in every if score >= thresholds[label])
    assert "Siren" not in dict(trimmed.top)
    assert "Music" in dict(trimmed.top)
    assert trimmed.tag == "Siren"
    write_thresholds({"Siren": 0.0}, path)
    few = build_tagger("demo", top_k=18, threshold=path).classify(str(clips["Siren"]))[0].top
    assert few == tuple(one for one in every if one[0] == "Siren")
    write_thresholds({"Sirens": 0.5}, path)
    with pytest.raises(SettingsError, match=r"t\.json has 'Sirens', .* did you mean 'Siren'\?"):
        build_tagger("demo", top_k=3, threshold=path).classify(str(clips["Siren"]))


TOP = [{"label": "Speech", "score": 0.5}, {"label": "Dog", "score": 0.3}, {"label": "Bark", "score": 0.2}]


def test_has_sound_and_labels_over_take_a_mapping_or_a_file(tmp_path: Path) -> None:
    ds = Dataset.from_dict({"video_audio_top": [[TOP], [TOP[1:]], [TOP[2:]], [[]]]})
    path = tmp_path / "t.json"

    def ask(wanted: str, thresholds: dict[str, float]) -> list[bool]:
        write_thresholds(thresholds, path)
        answers = [has_sound(wanted, min_score=score) for score in (path, str(path), thresholds)]
        found = [[bool(answer(ds, row)) for row in range(4)] for answer in answers]
        assert found[0] == found[1] == found[2]
        assert Hasher.hash(answers[0]) == Hasher.hash(answers[2])
        return found[0]

    assert ask("Dog", {"Dog": 0.3, "Bark": 0.5}) == [True, True, False, False]
    assert ask("Dog", {"Dog": 0.5, "Bark": 0.2}) == [True, True, True, False]
    assert ask("Dog", {"Dog": np.inf, "Speech": 0.0}) == [False] * 4
    assert ask("Dog", {"/m/0bt9lr": 0.1}) == [True, True, False, False]
    assert [lacks_sound("Speech", min_score={"Speech": 0.6})(ds, row) for row in range(4)] == [True] * 4
    write_thresholds({"Speech": 0.5, "Dog": 0.3, "Bark": np.inf}, path)
    labels = ds.map(labels_over(path))["video_audio_labels"]
    assert list(labels) == [[["Speech", "Dog"]], [["Dog"]], [[]], [[]]]
    with pytest.raises(UnknownCategoryError, match="did you mean"):
        has_sound("Dog", min_score={"Dogg": 0.5})
    wrong: list[Any] = [{}, {"Dog": 2}, {"Dog": None}, 2, True, "none", tmp_path / "none"]
    for value in wrong:
        for ask_with in (labels_over, lambda score: has_sound("Dog", min_score=score)):
            with pytest.raises(SettingsError, match=r"^min_score must be|^thresholds: .*none cannot be read"):
                ask_with(value)


def test_fingerprints_depend_on_the_files_content(tmp_path: Path) -> None:
    def hash_with(path: Path) -> str:
        return Hasher.hash(build_tagger("demo", top_k=3, threshold=path))

    write_for_demo(tmp_path / "a.json")
    write_for_demo(tmp_path / "b.json")
    first = hash_with(tmp_path / "a.json")
    assert hash_with(tmp_path / "b.json") == first
    write_for_demo(tmp_path / "b.json", Siren=0.5)
    assert hash_with(tmp_path / "b.json") != first
    number = build_tagger("demo", top_k=3, threshold=0.02)
    assert Hasher.hash(number) != first
    assert ("threshold", 0.02) in number.identity()[3]


@pytest.mark.campaign  # takes ten seconds
def test_the_shell_takes_a_number_or_a_file(tmp_path: Path, clips: dict[str, Path]) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"video": str(clips["Siren"])}) + "\n")
    write_for_demo(tmp_path / "t.json", Siren=np.inf)
    out = tmp_path / "out.jsonl"
    command = ["tag", str(rows), "--model", "demo", "--device", "cpu", "--top-k", "3", "--out", str(out)]
    done = CliRunner().invoke(app, [*command, "--threshold", str(tmp_path / "t.json")])
    assert done.exit_code == 0, done.output
    row = json.loads(out.read_text())
    assert row["video_audio_tags"] == ["Siren"]
    assert "Siren" not in [one["label"] for one in row["video_audio_top"][0]]
    wrong = CliRunner().invoke(app, [*command, "--threshold", "high"])
    assert wrong.exit_code == 1
    assert "thresholds: high cannot be read" in wrong.stderr
    assert parse_value("threshold", "0.5") == 0.5
    assert parse_value("threshold", "t.json") == "t.json"
    assert [parse_value("windows", text) for text in ("3", "all")] == [3, "all"]
