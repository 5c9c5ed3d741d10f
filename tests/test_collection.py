"""Labelling a collection: the files, going on where a run ended, reading them, and the best moments."""

import json
import subprocess
import sys
import wave
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset, Features, Json, List, Value
from random_weights import RATE_HZ, answers, patches_of, sigmoid, write_vggish, write_yamnet, yamnet_network

from hf_audio_tagger import (
    ColumnError,
    MediaError,
    ModelError,
    SettingsError,
    build_tagger,
    export_predictions,
    load_predictions,
    ontology,
    top_moments,
)
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.models import vggish
from hf_audio_tagger.runs import Progress, Watcher
from hf_audio_tagger.tagger import Tagger

OFFSET = 0.001  # of YAMNet's log
SOUNDS = {"Siren": 4.0, "White noise": 2.3, "Clicking": 0.3}  # seconds; the last is less than a patch


def write_wav(path: Path, sound: np.ndarray, rate_hz: int = RATE_HZ) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(as_stored(sound).tobytes())
    return path


def as_stored(sound: np.ndarray) -> np.ndarray:
    return np.round(sound * 32_767).astype(np.int16)


def made(label: str, seconds: float, seed: int = 0) -> np.ndarray:
    return synthesize(label, seconds, RATE_HZ, seed)


def expected_logits(sound: np.ndarray) -> np.ndarray:
    """What YAMNet says of the patches of a sound that went through a wav file."""
    stored = (as_stored(sound) / 32_768).astype(np.float32)
    return answers(yamnet_network(), patches_of(stored), OFFSET)[1]


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Tagger:
    file = write_yamnet(tmp_path_factory.mktemp("weights") / "yamnet.pth")
    return build_tagger("yamnet", weights=file, on_error="record")


@pytest.fixture
def recordings(tmp_path: Path, clips: dict[str, Path]) -> Path:
    """A folder of audio and video, with one file that is broken and one that is silent."""
    folder = tmp_path / "recordings"
    for label, seconds in SOUNDS.items():
        write_wav(folder / "field" / f"{label}.wav", made(label, seconds))
    for name in ("EMPTY", "broken", "Dial tone"):
        (folder / clips[name].name).write_bytes(clips[name].read_bytes())
    return folder


class AudioSetReader:
    """How torch_audioset's tools find the arrays, and what they take the values for."""

    def __init__(self, root: Path) -> None:
        self.root, meta = root, json.loads((root / "audio_pred.json").read_text())
        self.model, self.categories = meta["model"], meta["model_categories"]
        self.predictions = {prediction["id"]: prediction for prediction in meta["predictions"]}

    def logits(self, id: str | int) -> np.ndarray:
        values = np.load(self.root / "audio_pred" / self.predictions[id]["category_tsr_fname"])
        assert values.dtype == np.float32
        return values

    def interval(self, id: str | int, patch: int) -> tuple[float, float]:
        unit = self.predictions[id]["per_chunk_length"]
        return patch * unit, (patch + 1) * unit


# The files


def test_a_folder_is_labelled_as_torch_audioset_does(
    recordings: Path, tmp_path: Path, tagger: Tagger
) -> None:
    done = export_predictions(recordings, tmp_path / "out", tagger=tagger)
    reader = AudioSetReader(tmp_path / "out")
    assert reader.model == "yamnet"
    assert len(reader.categories) == 521
    assert reader.categories[:2] == [
        {"name": "Speech", "id": "/m/09x0r"},
        {"name": "Child speech, kid speaking", "id": "/m/0ytgt"},
    ]
    assert list(reader.predictions) == sorted([f"field/{label}.wav" for label in SOUNDS] + ["dial_tone.mp4"])
    for label, seconds in SOUNDS.items():
        prediction = reader.predictions[f"field/{label}.wav"]
        logits = expected_logits(made(label, seconds))
        np.testing.assert_allclose(reader.logits(prediction["id"]), logits, atol=2e-3)
        assert prediction["per_chunk_length"] == 0.48  # the reader makes times by it
        assert prediction["scanned_num_chunks"] == len(logits)
        assert prediction["scanned_segment"] == [0.0, pytest.approx(seconds)]
        assert prediction["meta"] == ""
    assert reader.logits("dial_tone.mp4").shape == (12, 521)
    assert (done.clips, done.labelled, done.without_sound, done.failed) == (6, 4, 1, 1)
    assert (done.patches, done.processed_now) == (sum(len(reader.logits(id)) for id in reader.predictions), 6)
    assert done.failures is not None
    (failure,) = map(json.loads, Path(done.failures).read_text().splitlines())
    assert failure["id"] == "broken.mp4"
    assert "broken.mp4" in failure["error"]
    assert json.loads((tmp_path / "out" / "audio_pred.json").read_text())["without_sound"] == [
        "without_sound.mp4"
    ]


def test_on_error_raise_ends_the_run_with_the_file(recordings: Path, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"broken\.mp4"):
        export_predictions(recordings, tmp_path / "out", tagger=build_tagger("demo"))
    assert not (tmp_path / "out" / "audio_pred.json").exists()


IDS = [
    *("plain-1_b", "UPPER", "upper", "a/b", "a_b", "../up", "/etc/passwd", "..", ".", "", ".hidden"),
    *(
        "nul",
        "CON",
        "com1.wav",
        "LPT9",
        "trailing.",
        "trailing ",
        " x",
        "a\0b",
        "new\nline",
        "tab\t",
        "*?<>|:",
    ),
    *(
        "\u00e9",
        "e\u0301",
        "日本語",
        "x" * 300,
        "x" * 301,
        "C:\\x",
        "ß",
        "SS",
        "K",
        "\u212a",
        "-rf",
        "~",
        "$HOME",
    ),
]


def test_ids_that_are_unsafe_as_names_are_made_safe_without_collisions(
    tmp_path: Path, tagger: Tagger
) -> None:
    sounds = [made("White noise", 0.2, seed) for seed in range(len(IDS) + 1)]
    cells = [{"array": sound, "sampling_rate": RATE_HZ} for sound in sounds]
    first = tmp_path / "first"
    rows = {"id": IDS, "audio": cells[:-1]}
    features = Features(
        {
            "id": Value("string"),
            "audio": {"array": List(Value("float32")), "sampling_rate": Value("int32")},
        }
    )
    export_predictions(Dataset.from_dict(rows, features=features), first, tagger=tagger)
    names = [prediction["category_tsr_fname"] for prediction in AudioSetReader(first).predictions.values()]

    # An id that looks like a name that was made is told from it too.
    taken = next(name for name in names if name.startswith("a_b-")).removesuffix(".npy")
    rows = {"id": [*IDS, taken], "audio": cells}
    export_predictions(Dataset.from_dict(rows, features=features), tmp_path / "out", tagger=tagger)
    reader = AudioSetReader(tmp_path / "out")
    assert list(reader.predictions) == [*IDS, taken]
    names = [prediction["category_tsr_fname"] for prediction in reader.predictions.values()]
    assert len({name.casefold() for name in names}) == len(names)
    there = {path.name for path in (tmp_path / "out" / "audio_pred").iterdir()}
    assert there == set(names)
    for name in names:
        stem = name.removesuffix(".npy")
        assert set(stem) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ._-")
        assert len(name) < 200
        assert stem[0] not in ". "
        assert stem[-1] not in ". "
        assert stem.split(".")[0].lower() not in {"nul", "con", "aux", "prn", "com1", "lpt9"}
    assert reader.predictions["plain-1_b"]["category_tsr_fname"] == "plain-1_b.npy"
    network = yamnet_network()
    patches = np.concatenate([patches_of(sound) for sound in sounds])
    expected = answers(network, patches, OFFSET)[1]
    for id, logits in zip(reader.predictions, expected, strict=True):
        np.testing.assert_allclose(reader.logits(id)[0], logits, atol=2e-3, err_msg=repr(id))


def test_meta_is_copied_as_it_is(tmp_path: Path, tagger: Tagger) -> None:
    metas = [{"a": [1, None, {"b": "é"}]}, "just text", '{"text": "that is JSON"}', 3.5, None, ["x", 2]]
    rows = {
        "id": list(range(7, 13)),
        "audio": [{"array": made("Siren", 0.3), "sampling_rate": RATE_HZ}] * 6,
        "meta": [json.dumps(meta) for meta in metas],
    }
    ds = Dataset.from_dict(rows).cast_column("meta", Json())
    export_predictions(ds, tmp_path / "out", tagger=tagger)
    reader = AudioSetReader(tmp_path / "out")
    assert [(id, one["meta"]) for id, one in reader.predictions.items()] == list(
        zip(range(7, 13), metas, strict=True)
    )
    loaded = load_predictions(tmp_path / "out")
    assert loaded["id"][:] == list(range(7, 13))
    assert loaded["meta"][:] == metas


def test_any_model_with_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "in"
    write_wav(folder / "a.wav", np.concatenate([made("Siren", 10.24), made("White noise", 4.0)]))
    export_predictions(folder, tmp_path / "demo", tagger=build_tagger("demo"))
    loaded = load_predictions(tmp_path / "demo")
    names = loaded.features["label"].feature.names
    assert [names[label] for label in loaded[0]["label"]] == ["Siren", "White noise"]
    assert (loaded[0]["start"], loaded[0]["end"]) == ([0.0, 10.24], [10.255, 14.24])

    monkeypatch.setattr(vggish, "HIDDEN", 32)
    file = write_vggish(tmp_path / "vggish_orig.pth", classifies=False)
    with pytest.raises(ModelError, match="no classifier"):
        export_predictions(folder, tmp_path / "vggish", tagger=build_tagger("vggish", weights=file))


def test_a_model_of_one_label_at_a_time_keeps_its_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hf_audio_tagger.models import get_model

    tagger = build_tagger("demo")
    heard = get_model(tagger.spec)
    write_wav(tmp_path / "in" / "a.wav", made("Siren", 3.0))
    logits = heard.predict([(as_stored(made("Siren", 3.0)) / 32_768).astype(np.float32)]).logits[0]
    monkeypatch.setattr(heard, "multi_label", False)
    export_predictions(tmp_path / "in", tmp_path / "out", tagger=tagger)
    softmax = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(load_predictions(tmp_path / "out")[0]["scores"][0], softmax, atol=1e-4)


# Going on where a run ended


@pytest.fixture
def small(tmp_path: Path) -> Path:
    for number in range(5):
        write_wav(tmp_path / "in" / f"{number}.wav", made("Siren", 1.0 + number / 4, number))
    return tmp_path / "in"


def contents(folder: Path) -> dict[str, bytes]:
    files = [folder / "audio_pred.json", *(folder / "audio_pred").iterdir()]
    return {path.name: path.read_bytes() for path in files}


def test_nothing_is_done_twice(small: Path, tmp_path: Path, tagger: Tagger) -> None:
    out = tmp_path / "out"
    assert export_predictions(small, out, tagger=tagger).processed_now == 5
    times = {path.name: path.stat().st_mtime_ns for path in (out / "audio_pred").iterdir()}
    assert export_predictions(small, out, tagger=tagger).processed_now == 0
    assert {path.name: path.stat().st_mtime_ns for path in (out / "audio_pred").iterdir()} == times

    write_wav(small / "2.wav", made("White noise", 3.0))  # has changed
    write_wav(small / "new.wav", made("White noise", 2.0))
    (out / "audio_pred" / "4.wav.npy").unlink()
    (small / "0.wav").unlink()
    done = export_predictions(small, out, tagger=tagger)
    assert (done.processed_now, done.labelled) == (3, 5)
    reader = AudioSetReader(out)
    assert list(reader.predictions) == ["1.wav", "2.wav", "3.wav", "4.wav", "new.wav"]
    np.testing.assert_allclose(reader.logits("2.wav"), expected_logits(made("White noise", 3.0)), atol=2e-3)


class Impatient(Watcher):
    def progressed(self, progress: Progress) -> None:
        if progress.done_rows == 2:
            raise KeyboardInterrupt


def test_a_run_that_was_cut_goes_on_and_ends_like_another(
    small: Path, tmp_path: Path, tagger: Tagger
) -> None:
    with pytest.raises(KeyboardInterrupt):
        export_predictions(small, tmp_path / "cut", tagger=tagger, watcher=Impatient())
    assert not (tmp_path / "cut" / "audio_pred.json").exists()
    assert len(list((tmp_path / "cut" / "audio_pred").iterdir())) == 2
    journal = tmp_path / "cut" / ".hf_audio_tagger" / "label.jsonl"
    journal.write_bytes(journal.read_bytes() + b'{"name": "2.wav", "id": "2.w')  # killed while writing
    (tmp_path / "cut" / "audio_pred" / ".2.wav.npy.4321.tmp").write_bytes(b"half of it")
    assert export_predictions(small, tmp_path / "cut", tagger=tagger).processed_now == 3
    export_predictions(small, tmp_path / "whole", tagger=tagger)
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


@pytest.mark.timeout(60)
def test_two_processes_do_what_one_does(recordings: Path, tmp_path: Path, tagger: Tagger) -> None:
    export_predictions(recordings, tmp_path / "one", tagger=tagger)
    done = export_predictions(recordings, tmp_path / "two", tagger=tagger, num_proc=2)
    assert (done.labelled, done.failed, done.processed_now) == (4, 1, 6)
    one, two = AudioSetReader(tmp_path / "one"), AudioSetReader(tmp_path / "two")
    assert one.predictions == two.predictions
    for id in one.predictions:
        np.testing.assert_allclose(one.logits(id), two.logits(id), atol=1e-4)


def test_other_settings_are_refused_until_overwritten(small: Path, tmp_path: Path, tagger: Tagger) -> None:
    out = tmp_path / "out"
    export_predictions(small, out, tagger=tagger)
    before = contents(out)
    other = build_tagger("yamnet", weights=tagger.weights, hop_seconds=0.96)
    with pytest.raises(SettingsError, match=r"hop_seconds was None, now 0\.96.*--overwrite"):
        export_predictions(small, out, tagger=other)
    assert contents(out) == before
    same = build_tagger("yamnet", weights=tagger.weights, top_k=3, segments=True, tag_column="t")
    assert export_predictions(small, out, tagger=same).processed_now == 0
    assert export_predictions(small, out, tagger=other, overwrite=True).processed_now == 5
    assert AudioSetReader(out).predictions["4.wav"]["scanned_num_chunks"] == 3  # 2 s by 0.96 s


def test_predictions_of_another_tool_are_not_overwritten(small: Path, tmp_path: Path, tagger: Tagger) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "audio_pred.json").write_text("{}")
    with pytest.raises(SettingsError, match="of unknown settings"):
        export_predictions(small, tmp_path / "out", tagger=tagger)
    assert (tmp_path / "out" / "audio_pred.json").read_text() == "{}"


def test_wrong_rows_and_settings_are_told_at_once(tmp_path: Path, tagger: Tagger) -> None:
    def export(rows: dict[str, Any], **more: Any) -> None:
        export_predictions(Dataset.from_dict(rows), tmp_path / "out", **{"tagger": tagger, **more})

    with pytest.raises(ColumnError, match="Rows 0 and 2 have the same id 'a' in 'id'"):
        export({"id": ["a", "b", "a"], "audio": ["1.wav", "2.wav", "3.wav"]})
    with pytest.raises(ColumnError, match=r"Rows 0 and 1 have the same id '1\.wav' in 'audio'"):
        export({"audio": ["1.wav", "1.wav"]})
    with pytest.raises(ColumnError, match="Row 1: an id must be text or a whole number; got None"):
        export({"id": ["a", None], "audio": ["1.wav", "2.wav"]})
    with pytest.raises(ColumnError, match=r"no column 'name'; there are 'audio'"):
        export({"audio": ["1.wav"]}, id_column="name")
    with pytest.raises(ColumnError, match=r"Row 0: the value in 'meta' cannot be written as JSON \(.*bytes"):
        export({"audio": ["1.wav"], "meta": [b"x"]})
    with pytest.raises(ColumnError, match="Row 0 has 2 clips"):
        export({"id": ["a"], "videos": [["1.wav", "2.wav"]]})
    with pytest.raises(SettingsError, match="windows='first' leaves patches out"):
        export({"audio": ["1.wav"]}, tagger=build_tagger("demo", windows="first"))
    stream = Dataset.from_dict({"audio": ["1.wav"]}).to_iterable_dataset()
    with pytest.raises(SettingsError, match="stream"):
        export_predictions(stream, tmp_path / "out", tagger=tagger)  # type: ignore[arg-type]


BOUND = """
import re, sys
from hf_audio_tagger import build_tagger, export_predictions

def peak_mb():  # of this process; what getrusage tells begins with its parent's
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) / 1024

folder, weights = sys.argv[1:]
tagger = build_tagger("yamnet", weights=weights, batch_size=2)
export_predictions(f"{folder}/short", f"{folder}/short_out", tagger=tagger)
before = peak_mb()
done = export_predictions(f"{folder}/long", f"{folder}/long_out", tagger=tagger)
print(done.patches, peak_mb() - before)
"""


@pytest.mark.timeout(120)
def test_memory_does_not_grow_with_a_files_length(tmp_path: Path, tagger: Tagger) -> None:
    minute = np.random.default_rng(0).normal(scale=0.1, size=60 * 48_000).clip(-1, 1)
    write_wav(tmp_path / "short" / "minutes.wav", np.tile(minute, 2), 48_000)
    write_wav(tmp_path / "long" / "minutes.wav", np.tile(minute, 12), 48_000)
    ran = subprocess.run(
        [sys.executable, "-c", BOUND, str(tmp_path), str(tagger.weights)],
        capture_output=True,
        text=True,
        check=True,
    )
    patches, grown_mb = ran.stdout.split()
    assert int(patches) == 1499
    assert float(grown_mb) < 60  # ten minutes more are 115 MB as decoded; allocators' own swings take 30


# Reading them


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


# The best moments


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


# From the shell


@pytest.mark.timeout(120)
def test_label_from_the_shell(recordings: Path, tmp_path: Path, tagger: Tagger) -> None:
    from typer.testing import CliRunner

    from hf_audio_tagger.cli import app

    command = ["label", str(recordings), "--out", str(tmp_path / "o"), "--weights", str(tagger.weights)]
    first = subprocess.run(
        [sys.executable, "-m", "hf_audio_tagger", *command, "--json", "--num-proc", "2"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert first.returncode == 3, first.stderr
    summary = json.loads(first.stdout)
    assert (summary["labelled"], summary["failed"], summary["processed_now"]) == (4, 1, 6)
    (recordings / "broken.mp4").unlink()
    second = CliRunner().invoke(app, command)
    assert second.exit_code == 0, second.output
    assert "done before  5" in second.output  # one of them is without sound
    assert set(AudioSetReader(tmp_path / "o").predictions) == {
        *(f"field/{label}.wav" for label in SOUNDS),
        "dial_tone.mp4",
    }
    assert not (tmp_path / "o" / "audio_failures.jsonl").exists()


def test_wrong_use_from_the_shell(recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from hf_audio_tagger.cli import app

    monkeypatch.setenv("HF_AUDIO_TAGGER_CACHE", str(tmp_path / "no_weights_here"))
    runner = CliRunner()
    told = runner.invoke(app, ["label", "--help"])
    assert told.exit_code == 0
    for part in ("audio_pred.json", "--weights", "--engine", "--num-proc", "Exit codes"):
        assert part in told.output
    for arguments in (
        ["label", str(recordings)],
        ["label", str(tmp_path / "nothing"), "--out", str(tmp_path / "o")],
        ["label", str(recordings), "--out", str(tmp_path / "o"), "--model", "demo", "--hop-seconds", "-1"],
    ):
        assert runner.invoke(app, arguments).exit_code in (1, 2), arguments
