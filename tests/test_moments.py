"""A labelled collection as a dataset, and its best moments."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset, List, Value
from labelled import AudioSetReader, made, write_wav
from random_weights import sigmoid, write_yamnet

from hf_audio_tagger import (
    ColumnError,
    SettingsError,
    build_tagger,
    export_predictions,
    load_predictions,
    ontology,
    top_moments,
)
from hf_audio_tagger.tagger import Tagger


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Tagger:
    file = write_yamnet(tmp_path_factory.mktemp("weights") / "yamnet.pth")
    return build_tagger("yamnet", weights=file, on_error="record")


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A folder as torch_audioset's own tool leaves it."""
    root, random = tmp_path / "torch_audioset", np.random.default_rng(5)
    (root / "audio_pred").mkdir(parents=True)
    names = ("Speech", "Dog", "Bark", "Vehicle", "Bus", "Siren")
    predictions = []
    for id, patches in (("x1", 40), ("b2", 17), ("short", 3), ("a3", 60)):
        logits = random.normal(scale=2, size=(patches, len(names))).astype(np.float32)
        np.save(root / "audio_pred" / f"{id}.npy", logits)
        predictions.append(
            {"id": id, "category_tsr_fname": f"{id}.npy", "per_chunk_length": 0.96, "meta": {"of": id}}
        )
    categories = [{"name": name, "id": ontology[name].id} for name in names]
    payload = {"model": "vggish", "model_categories": categories, "predictions": predictions}
    (root / "audio_pred.json").write_text(json.dumps(payload))
    return root


def test_what_torch_audioset_wrote_is_read(foreign: Path) -> None:
    ds = load_predictions(foreign)
    assert ds["id"][:] == ["x1", "b2", "short", "a3"]
    assert ds.features["scores"] == List(List(Value("float32"), length=6))
    assert ds.features["label"].feature.names == ["Speech", "Dog", "Bark", "Vehicle", "Bus", "Siren"]
    for row in ds:
        logits = np.load(foreign / "audio_pred" / f"{row['id']}.npy")
        np.testing.assert_allclose(row["scores"], sigmoid(logits), atol=1e-6)
        assert row["label"] == logits.argmax(axis=1).tolist()
        assert row["start"] == pytest.approx([0.96 * patch for patch in range(len(logits))])
        assert row["end"] == pytest.approx([0.96 * (patch + 1) for patch in range(len(logits))])
        assert row["meta"] == {"of": row["id"]}


def test_changed_files_are_read_again(foreign: Path) -> None:
    assert load_predictions(foreign)[2]["scores"][0][0] != 0.5
    np.save(foreign / "audio_pred" / "short.npy", np.zeros((4, 6), np.float32))
    assert load_predictions(foreign)[2]["scores"] == [[0.5] * 6] * 4


def test_folders_that_hold_no_predictions_are_told(foreign: Path, tmp_path: Path) -> None:
    index = json.loads((foreign / "audio_pred.json").read_text())

    def written(**changes: Any) -> Path:
        (foreign / "audio_pred.json").write_text(json.dumps({**index, **changes}))
        return foreign

    with pytest.raises(SettingsError, match=r"holds no audio_pred\.json"):
        load_predictions(tmp_path)
    with pytest.raises(SettingsError, match="not an index of predictions"):
        load_predictions(written(predictions=[{"id": "x"}]))
    outside = {**index["predictions"][0], "category_tsr_fname": "../../secret.npy"}
    with pytest.raises(SettingsError, match="outside of the folder"):
        load_predictions(written(predictions=[outside]))
    missing = {**index["predictions"][0], "category_tsr_fname": "gone.npy"}
    with pytest.raises(SettingsError, match=r"gone\.npy"):
        load_predictions(written(predictions=[missing]))
    with pytest.raises(SettingsError, match="same name"):
        load_predictions(written(model_categories=index["model_categories"][:1] * 6))


def all_windows(root: Path, columns: list[int], width: int) -> Iterator[tuple[float, str, float, float]]:
    for prediction in AudioSetReader(root).predictions.values():
        scores = sigmoid(np.load(root / "audio_pred" / prediction["category_tsr_fname"]))
        heard = scores[:, columns].max(axis=1)
        size = min(width, len(heard))
        for first in range(len(heard) - size + 1):
            mean = float(sum(heard[first : first + size]) / size)
            yield mean, prediction["id"], first * 0.96, (first + size) * 0.96


def greedy(root: Path, columns: list[int], k: int, width: int) -> list[tuple[str, float, float, float]]:
    """The definition, one window after the other."""
    chosen: list[tuple[str, float, float, float]] = []
    for score, id, start, end in sorted(all_windows(root, columns, width), key=lambda one: -one[0]):
        overlaps = any(
            id == other and start < until - 1e-6 and end > since + 1e-6 for other, since, until, _ in chosen
        )
        if not overlaps:
            chosen.append((id, start, end, score))
    return chosen[:k]


@pytest.mark.parametrize(
    ("sound", "columns"),
    [
        ("Siren", [5]),
        ("Vehicle", [3]),  # a class: itself alone
        (ontology["Vehicle"], [3, 4]),  # a category: with what is below
        ("/m/0bt9lr", [1, 2]),
        ("Animal", [1, 2]),  # no class of this model, but above two
    ],
)
@pytest.mark.parametrize(("k", "width"), [(1, 5), (7, 5), (1_000, 5), (12, 1), (5, 30)])
def test_top_moments_are_those_of_the_definition(
    foreign: Path, sound: Any, columns: list[int], k: int, width: int
) -> None:
    moments = top_moments(load_predictions(foreign), sound, k, patches=width)
    expected = greedy(foreign, columns, k, width)
    assert [(one.clip, one.start, one.end) for one in moments] == [
        (id, pytest.approx(start), pytest.approx(end)) for id, start, end, _ in expected
    ]
    assert [one.score for one in moments] == pytest.approx([score for *_, score in expected], abs=1e-6)


def test_equal_moments_are_in_the_order_of_clips_and_time(foreign: Path) -> None:
    for name in ("x1", "b2", "short", "a3"):
        np.save(foreign / "audio_pred" / f"{name}.npy", np.zeros((12, 6), np.float32))
    moments = top_moments(load_predictions(foreign), "Dog", k=5)
    places = [("x1", 0.0), ("x1", 4.8), ("b2", 0.0), ("b2", 4.8), ("short", 0.0)]
    assert [(one.clip, one.start) for one in moments] == [(id, pytest.approx(at)) for id, at in places]
    some = load_predictions(foreign).select([3, 1]).filter(lambda id: id != "b2", input_columns="id")
    assert [one.clip for one in top_moments(some, "Dog", k=5)] == ["a3", "a3"]


def test_overlapping_patches_make_no_overlapping_moments(tmp_path: Path, tagger: Tagger) -> None:
    write_wav(tmp_path / "in" / "a.wav", np.concatenate([made("Siren", 9.0), made("Clicking", 9.0)]))
    export_predictions(tmp_path / "in", tmp_path / "out", tagger=tagger)
    moments = sorted(
        top_moments(load_predictions(tmp_path / "out"), "Speech", k=100), key=lambda one: one.start
    )
    assert len(moments) >= 3
    for before, after in pairwise(moments):
        assert before.end <= after.start
        assert before.end - before.start == pytest.approx(4 * 0.48 + 0.975, abs=0.05)
    assert moments[-1].end <= 18.0


def test_unknown_sounds_are_told_with_near_ones(foreign: Path) -> None:
    ds = load_predictions(foreign)
    with pytest.raises(SettingsError, match=r"'Sirene' is not one of the 6 classes: did you mean 'Siren'\?"):
        top_moments(ds, "Sirene")
    with pytest.raises(SettingsError, match="None of the 6 classes is 'Music' or below it"):
        top_moments(ds, "Music")
    with pytest.raises(SettingsError, match="k must be a whole number of at least 1; got 0"):
        top_moments(ds, "Siren", k=0)
    with pytest.raises(ColumnError, match="load_predictions gave"):
        top_moments(Dataset.from_dict({"id": ["a"]}), "Siren")
