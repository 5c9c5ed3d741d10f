"""Evaluation: the worked figures, scikit-learn as the reference, and each place that scores come from."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from hf_audio_tagger import Evaluation, evaluate
from hf_audio_tagger.errors import ColumnError, SettingsError
from hf_audio_tagger.evaluation import metrics

CLASSES = ("Speech", "Music", "Dog", "Siren")
TRUTHS = [[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 1, 0], [0, 0, 0, 0]]
SCORES = [
    [0.9, 0.2, 0.1, 0.3],
    [0.8, 0.7, 0.3, 0.1],
    [0.4, 0.6, 0.2, 0.2],
    [0.6, 0.1, 0.5, 0.4],
    [0.3, 0.6, 0.2, 0.5],
    [0.1, 0.3, 0.4, 0.6],
]
MIDS = {"Speech": "/m/09x0r", "Music": "/m/04rlf", "Dog": "/m/0bt9lr", "Siren": "/m/03kmc9"}


def make_labels(form: str) -> Dataset:
    """The clips' labels in each form that a column may have."""
    names = [[name for name, has in zip(CLASSES, row, strict=True) if has] for row in TRUTHS]
    if form == "mids":
        return Dataset.from_dict({"labels": [[MIDS[name] for name in row] for row in names]})
    if form == "one text":
        return Dataset.from_dict({"labels": [",".join(MIDS[name] for name in row) for row in names]})
    ds = Dataset.from_dict({"labels": names}, features=Features({"labels": List(Value("string"))}))
    if form == "ClassLabel":
        numbers = [[CLASSES.index(name) for name in row] for row in names]
        feature = Features({"labels": List(ClassLabel(names=list(CLASSES)))})
        return Dataset.from_dict({"labels": numbers}, features=feature)
    return ds


def make_top(scores: Any, classes: tuple[str, ...] = CLASSES) -> list[Any]:
    """`video_audio_top` with every class, best first; None is a clip that failed, [] one without sound."""
    cells = []
    for row in scores:
        if row is None or len(row) == 0:
            cells.append([row])
            continue
        order = sorted(range(len(classes)), key=lambda place: -row[place])
        cells.append([[{"label": classes[place], "score": row[place]} for place in order]])
    return cells


@pytest.mark.parametrize("form", ["names", "mids", "one text", "ClassLabel"])
def test_the_worked_figures(form: str) -> None:
    result = evaluate(make_labels(form), np.array(SCORES), classes=CLASSES)
    assert [(one.name, one.positives) for one in result.classes] == [("Speech", 3), ("Music", 2), ("Dog", 2)]
    assert [one.ap for one in result.classes] == pytest.approx([13 / 15, 5 / 6, 7 / 10], abs=1e-12)
    assert [one.auc for one in result.classes] == pytest.approx([7 / 9, 15 / 16, 11 / 16], abs=1e-12)
    assert [one.d_prime for one in result.classes] == pytest.approx([1.081463, 2.169574, 0.691234], abs=1e-6)
    assert result.classes_without_positives == ("Siren",)
    assert result.mean_ap == pytest.approx(4 / 5, abs=1e-12)
    assert result.mean_auc == pytest.approx(173 / 216, abs=1e-12)
    assert result.d_prime == pytest.approx(1.194916, abs=1e-6)
    assert result.lwlrap == pytest.approx(16 / 21, abs=1e-12)
    assert (result.agreement.exact, result.agreement.related, result.agreement.clips) == (3, 3, 5)
    assert (result.evaluated, result.without_labels) == (6, 1)
    assert (result.empty, result.failed, result.unlabelled) == (0, 0, 0)
    assert metrics.measure_ranking(np.ravel(TRUTHS), np.ravel(SCORES))[0] == pytest.approx(0.693141, abs=1e-6)


def test_ties_are_one_step() -> None:
    truths, scores = np.array([1, 0, 1, 0]), np.array([0.5, 0.5, 0.5, 0.1])
    assert metrics.measure_ranking(truths, scores)[0] == pytest.approx(2 / 3, abs=1e-15)
    assert metrics.measure_ranking(truths, scores)[1] == 0.75
    assert metrics.measure_ranking(np.array([0, 0, 1, 0]), np.full(4, 0.3))[0] == 0.25
    assert metrics.measure_ranking(np.array([0, 0, 1, 0]), np.full(4, 0.3))[1] == 0.5
    assert np.isnan(
        [
            metrics.measure_ranking(np.zeros(3), np.arange(3.0))[0],
            metrics.measure_ranking(np.ones(3), np.arange(3.0))[1],
        ]
    ).all()


def test_published_d_primes() -> None:
    assert metrics.compute_d_prime(0.9785620310764190) == pytest.approx(2.8636643931967996, abs=1e-13)
    assert [metrics.compute_d_prime(area) for area in (0.0, 0.5, 1.0)] == [-np.inf, 0.0, np.inf]
    assert np.isnan(metrics.compute_d_prime(float("nan")))


def test_metrics_equal_scikit_learns() -> None:
    sklearn = pytest.importorskip("sklearn.metrics", reason="scikit-learn, of the extra `test`, is missing")
    rng = np.random.default_rng(3)
    truths, scores = rng.random((600, 40)) < 0.05, rng.integers(0, 60, (600, 40)) / 59
    truths[:, 0], truths[:, 1] = True, False
    classes = [f"class {place}" for place in range(40)]
    ds = Dataset.from_dict({"labels": [[classes[place] for place in np.flatnonzero(row)] for row in truths]})
    result = evaluate(ds, scores, classes=classes)
    assert result.classes_without_positives == ("class 1",)
    some = [0, *range(2, 40)]
    expected = [sklearn.average_precision_score(truths[:, place], scores[:, place]) for place in some]
    assert [one.ap for one in result.classes] == pytest.approx(expected, abs=1e-12)
    assert result.mean_ap == pytest.approx(np.mean(expected), abs=1e-12)
    areas = [sklearn.roc_auc_score(truths[:, place], scores[:, place]) for place in some[1:]]
    assert np.isnan(result.classes[0].auc)
    assert [one.auc for one in result.classes[1:]] == pytest.approx(areas, abs=1e-12)
    assert result.mean_auc == pytest.approx(np.mean(areas), abs=1e-12)
    ranked = sklearn.label_ranking_average_precision_score(truths, scores, sample_weight=truths.sum(axis=1))
    assert result.lwlrap == pytest.approx(ranked, abs=1e-12)


def test_scores_of_a_full_column_count_empty_and_failed_clips() -> None:
    ds = make_labels("mids")
    labels = [*ds["labels"], ["/m/09x0r"], ["/m/09x0r"], None, []]
    scores = [*SCORES, [], None, SCORES[0], SCORES[1]]
    tags = [[None if row is None else "EMPTY" if not row else CLASSES[int(np.argmax(row))]] for row in scores]
    ds = Dataset.from_dict({"labels": labels, "video_audio_top": make_top(scores), "video_audio_tags": tags})
    result = evaluate(ds)
    assert (result.evaluated, result.empty, result.failed, result.unlabelled) == (7, 1, 1, 1)
    assert result.without_labels == 2
    assert result.agreement.clips == 5
    assert result.agreement.exact == 3
    same = evaluate(
        ds.select([*range(6), 9]).select_columns(["labels"]), np.array([*SCORES, SCORES[1]]), classes=CLASSES
    )
    assert result.mean_ap == pytest.approx(same.mean_ap)
    assert result.lwlrap == pytest.approx(same.lwlrap)
    assert evaluate(ds.remove_columns("video_audio_tags")).mean_ap == result.mean_ap
    assert evaluate(ds.rename_column("video_audio_top", "x"), "x").mean_ap == result.mean_ap


def test_a_trimmed_column_and_tags_alone_give_the_agreement_and_say_so() -> None:
    ds = make_labels("names").add_column("video_audio_top", [[row[0][:2]] for row in make_top(SCORES)])  # type: ignore[call-arg]
    trimmed = evaluate(ds)
    assert trimmed.note is not None
    assert "holds 2 labels of a clip at most, of 4 or more classes" in trimmed.note
    tags = [[row[0][0]["label"]] for row in make_top(SCORES)]
    alone = evaluate(ds.remove_columns("video_audio_top").add_column("video_audio_tags", tags))  # type: ignore[call-arg]
    assert alone.note is not None
    assert "no column 'video_audio_top'" in alone.note
    for result in (trimmed, alone):
        assert result.mean_ap is result.mean_auc is result.d_prime is result.lwlrap is None
        assert result.classes == ()
        assert (result.agreement.exact, result.agreement.clips, result.evaluated) == (3, 5, 6)
        assert str(result).endswith(str(result.note))
        with pytest.raises(SettingsError, match="Thresholds need the scores of every class"):
            result.thresholds()


def test_a_tag_above_or_below_a_label_is_related() -> None:
    labels = [["Dog"], ["/m/0bt9lr"], ["Animal", "Music"], ["Dog"], ["Cat"], ["Dog"], None]
    tags = [["Bark"], ["Animal"], ["Bark"], ["Dog"], ["Dog"], ["EMPTY"], ["Dog"]]
    result = evaluate(Dataset.from_dict({"labels": labels, "video_audio_tags": tags}))
    assert (result.agreement.clips, result.agreement.exact, result.agreement.related) == (5, 1, 4)
    assert (result.evaluated, result.empty, result.unlabelled) == (5, 1, 1)


def test_labels_that_the_model_does_not_know_are_named() -> None:
    labels = [["Speech", "Male speech, man speaking"], ["Male speech, man speaking"], ["Music"]]
    ds = Dataset.from_dict({"labels": labels})
    result = evaluate(ds, np.array([[0.9, 0.1], [0.8, 0.1], [0.1, 0.9]]), classes=["Speech", "Music"])
    assert result.labels_without_class == ("Male speech, man speaking",)
    assert result.mean_ap == 1.0
    assert (result.agreement.exact, result.agreement.related) == (2, 3)


def test_other_classes_are_compared_as_text() -> None:
    ds = Dataset.from_dict({"labels": [["dog"], ["rain"], ["wet dog"]]})
    result = evaluate(ds, np.eye(3)[:, :2] + 0.1, classes=["dog", "rain"])
    assert result.labels_without_class == ("wet dog",)
    assert result.agreement.exact == 2
    ds = Dataset.from_dict({"labels": [0, 1, 1]})
    assert evaluate(ds, np.array([[1, 0], [0, 1], [1, 0]]), classes=["dog", "rain"]).agreement.exact == 2


def test_labels_are_compared_in_any_case_as_queries_compare_them() -> None:
    """Also an own label that is AudioSet's with its mid; where two classes differ in case, the same text."""
    labels = [["Dog bark", "dog bark"], ["ESPRESSO  machine"], ["/m/03kmc9"], ["siren"], ["Rock"]]
    ds = Dataset.from_dict({"labels": labels})
    classes = ["dog bark", "Espresso machine", "siren", "rock", "Rock"]
    scores = np.array([[0.9, 0, 0, 0, 0], [0, 0.9, 0, 0, 0], *[[0, 0, 0.9, 0, 0]] * 2, [0, 0, 0, 0, 0.9]])
    result = evaluate(ds, scores, classes=classes)
    assert result.labels_without_class == ()
    assert {one.name: one.positives for one in result.classes} == {
        "dog bark": 1, "Espresso machine": 1, "siren": 2, "Rock": 1,
    }  # fmt: skip
    assert (result.mean_ap, result.agreement.exact) == (1.0, 5)


@pytest.mark.parametrize(
    ("columns", "options", "error", "message"),
    [
        ({"labels": [["a"]]}, {}, ColumnError, "no tags .* no scores"),
        ({"labels": [["a"]]}, {"scores": np.zeros((1, 2))}, SettingsError, "classes=tagger.labels"),
        ({"labels": [["a"]]}, {"scores": [[1], [1]], "classes": ["a"]}, SettingsError, r"here \(1, 1\)"),
        ({"labels": [["a"]]}, {"scores": [[np.nan, 1]], "classes": ["a", "b"]}, SettingsError, "Row 0 of sc"),
        ({"labels": [["a"]]}, {"scores": [[1, 1]], "classes": ["b", "c"]}, SettingsError, "No label in 'lab"),
        ({"labels": [["a"]]}, {"scores": "x"}, ColumnError, "no column 'x'"),
        ({"x": [["a"]]}, {"scores": [[1]], "classes": ["a"]}, ColumnError, "no column 'labels'"),
        ({"labels": [[3]]}, {"scores": [[1]], "classes": ["a"]}, SettingsError, "between 0 and 0"),
        ({"labels": [["a"]], "video_audio_tags": [["a", "b"]]}, {}, ColumnError, "Row 0 .* has 2 videos"),
    ],
)  # fmt: skip
def test_what_cannot_be_evaluated_is_refused(columns: Any, options: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        evaluate(Dataset.from_dict(columns), **options)


def test_scores_of_windows_are_averaged_and_matched_by_id(tmp_path: Path) -> None:
    """As `export_predictions` writes them: logits by clip; the one without windows has no sound."""
    import json

    from hf_audio_tagger import load_predictions

    rng = np.random.default_rng(4)
    (tmp_path / "audio_pred").mkdir()
    logits = {f"clip{place}": rng.standard_normal((windows, 4)) for place, windows in enumerate((3, 1, 0, 2))}
    for id, array in logits.items():
        np.save(tmp_path / "audio_pred" / f"{id}.npy", array.astype(np.float32))
    records = [{"id": id, "category_tsr_fname": f"{id}.npy", "per_chunk_length": 0.5} for id in logits]
    content = {"model_categories": [{"name": name} for name in CLASSES], "predictions": records}
    (tmp_path / "audio_pred.json").write_text(json.dumps(content))
    predictions = load_predictions(tmp_path)
    ids = ["clip3", "clip0", "gone", "clip2", "clip1"]
    ds = Dataset.from_dict({"id": ids, "labels": [["Speech"], ["Dog"], ["Dog"], ["Dog"], ["Music"]]})
    result = evaluate(ds, predictions)
    assert (result.evaluated, result.empty, result.failed) == (3, 1, 1)
    means = [
        (1 / (1 + np.exp(-np.float32(logits[id]).astype(float)))).mean(axis=0)
        for id in ("clip3", "clip0", "clip1")
    ]
    same = evaluate(ds.select([0, 1, 4]), np.array(means), classes=CLASSES)
    assert result.mean_ap == pytest.approx(same.mean_ap)
    assert result.scored is not None
    assert np.abs(result.scored.scores - np.array(means)).max() < 1e-6
    joined = predictions.add_column("labels", [["Dog"], ["Music"], ["Dog"], ["Speech"]])  # type: ignore[call-arg]
    assert evaluate(joined).mean_ap == result.mean_ap
    with pytest.raises(
        SettingsError, match="No row's 'id', such as 'x', is among the ids of the scores, such as 'clip0'"
    ):
        evaluate(Dataset.from_dict({"id": ["x"], "labels": [["Dog"]]}), predictions)
    with pytest.raises(ColumnError, match="no column 'id'"):
        evaluate(Dataset.from_dict({"labels": [["Dog"]]}), predictions)
    with pytest.raises(ColumnError, match="the dataset of load_predictions"):
        evaluate(ds, ds)


def test_an_evaluation_is_json_and_text() -> None:
    import json

    result = evaluate(make_labels("names"), np.array(SCORES), classes=CLASSES)
    values = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    assert values["agreement"] == {
        "clips": 5, "exact": 3, "related": 3, "exact_share": 0.6, "related_share": 0.6,
    }  # fmt: skip
    assert values["classes"][0] == {
        "name": "Speech",
        "positives": 3,
        **{
            key: pytest.approx(value)
            for key, value in (("ap", 13 / 15), ("auc", 7 / 9), ("d_prime", 1.081463))
        },
    }
    assert "scored" not in values
    assert "mAP 0.8000, mean AUC 0.8009, d' of the mean AUC 1.195, lwlrap 0.7619, over 3 classes" in str(
        result
    )
    assert "a label of 3 of 5 clips (60.0%)" in str(result)
    assert isinstance(result, Evaluation)
    perfect = evaluate(make_labels("names"), np.array(TRUTHS, float), classes=CLASSES)
    assert json.dumps(perfect.as_dict(), allow_nan=False)
    assert perfect.classes[0].d_prime == np.inf


def test_without_a_labelled_clip_nothing_is_divided() -> None:
    result = evaluate(Dataset.from_dict({"labels": [[], []], "video_audio_tags": [["Dog"], ["EMPTY"]]}))
    assert (result.agreement.clips, result.evaluated, result.empty) == (0, 1, 1)
    assert result.as_dict()["agreement"]["exact_share"] is None
    assert str(result).startswith(
        "No clip has labels and a tag\n1 rows evaluated (1 without labels), 1 EMPTY"
    )
