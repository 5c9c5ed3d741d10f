"""Predictions on disk: what is read of long clips, and what is said of files that are not as they must be."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hf_audio_tagger import load_predictions
from hf_audio_tagger.errors import SettingsError
from hf_audio_tagger.predictions import loading
from hf_audio_tagger.scores import compute_scores

pytestmark = pytest.mark.timeout(60)

CLASSES = ("Speech", "Siren")
ABSENT = object()


def write_folder(folder: Path, logits: np.ndarray, **changes: Any) -> Path:
    """One clip's logits and its record, some of whose values are others or absent."""
    (folder / "audio_pred").mkdir()
    np.save(folder / "audio_pred" / "x.npy", logits, allow_pickle=True)
    record = {"id": "x", "category_tsr_fname": "x.npy", "per_chunk_length": 0.5, **changes}
    said = {
        "model": "m",
        "model_categories": [{"name": name} for name in CLASSES],
        "predictions": [{name: value for name, value in record.items() if value is not ABSENT}],
    }
    (folder / "audio_pred.json").write_text(json.dumps(said))
    return folder


def test_a_long_clip_is_scored_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "PATCHES_AT_ONCE", 7)
    logits = np.random.default_rng(0).normal(size=(23, 2)).astype(np.float32)
    row = load_predictions(write_folder(tmp_path, logits))[0]
    np.testing.assert_allclose(row["scores"], compute_scores(logits, multi_label=True), atol=1e-6)


def test_times_begin_at_the_scanned_segment_and_end_with_it(tmp_path: Path) -> None:
    segment = {"scanned_segment": [2.0, 3.2], "patch_length": 0.75}
    row = load_predictions(write_folder(tmp_path, np.zeros((3, 2), np.float32), **segment))[0]
    assert (row["start"], row["end"]) == ([2.0, 2.5, 3.0], [2.75, 3.2, 3.2])


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ABSENT},
        {"category_tsr_fname": ABSENT},
        {"category_tsr_fname": "x\0.npy"},
        {"category_tsr_fname": "/x.npy"},
        {"per_chunk_length": "long"},
        {"scanned_segment": "all"},
        {"scanned_segment": [0.0]},
        {"scanned_segment": [0.0, "end"]},
        {"patch_length": "long"},
    ],
)
def test_a_record_that_is_none_is_told(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r"audio_pred\.json is not an index of predictions"):
        load_predictions(write_folder(tmp_path, np.zeros((3, 2), np.float32), **changes))


@pytest.mark.parametrize(
    ("logits", "words"),
    [
        (np.zeros(3, np.float32), r"must have the shape \(patches, 2\); got \(3,\)"),
        (np.zeros((3, 4), np.float32), r"must have the shape \(patches, 2\); got \(3, 4\)"),
        (np.array([["a", "b"]]), "is not an array of numbers"),
        (np.zeros((3, 2), np.complex64), "is not an array of numbers"),
        (np.array([[{}, 1]], dtype=object), "is not an array of numbers"),
    ],
)
def test_an_array_that_holds_no_logits_is_told(tmp_path: Path, logits: np.ndarray, words: str) -> None:
    with pytest.raises(SettingsError, match=rf"x\.npy {words}"):
        load_predictions(write_folder(tmp_path, logits))


def test_an_archive_of_arrays_is_told(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, np.zeros((3, 2), np.float32))
    with open(folder / "audio_pred" / "x.npy", "wb") as file:
        np.savez(file, a=np.zeros((3, 2)))
    with pytest.raises(SettingsError, match=r"x\.npy is not an array of numbers"):
        load_predictions(folder)


class Executed:
    """Says so when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("is_array", [False, True])
def test_no_code_in_an_array_is_executed(tmp_path: Path, is_array: bool) -> None:
    code = Executed(tmp_path / "executed")
    folder = write_folder(tmp_path, np.array([[code, 1]], dtype=object))
    if not is_array:
        (folder / "audio_pred" / "x.npy").write_bytes(pickle.dumps(code))
    with pytest.raises(SettingsError, match="is not an array of numbers"):
        load_predictions(folder)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("size", [0, 8, 130])
def test_an_array_that_is_cut_is_told(tmp_path: Path, size: int) -> None:
    folder = write_folder(tmp_path, np.ones((3, 2), np.float32))
    path = folder / "audio_pred" / "x.npy"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(SettingsError, match=r"x\.npy is not an array of numbers"):
        load_predictions(folder)


def test_a_clip_without_patches_has_an_empty_row(tmp_path: Path) -> None:
    row = load_predictions(write_folder(tmp_path, np.zeros((0, 2), np.float32), id=7))[0]
    assert (row["id"], row["scores"], row["start"], row["label"]) == (7, [], [], [])
