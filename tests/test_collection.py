"""Labelling a collection: the files, resuming a run, and the shell."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset, Features, Json, List, Value
from labelled import OFFSET, SOUNDS, AudioSetReader, as_stored, expected_logits, made, write_wav
from random_weights import RATE_HZ, answers, patches_of, write_vggish, write_yamnet, yamnet_network

from hf_audio_tagger import (
    ColumnError,
    MediaError,
    ModelError,
    SettingsError,
    build_tagger,
    export_predictions,
    load_predictions,
)
from hf_audio_tagger.models.networks import vggish
from hf_audio_tagger.runs import Progress, Watcher
from hf_audio_tagger.tagger import Tagger


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


@pytest.mark.campaign
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
    with pytest.raises(SettingsError, match=r"hop_seconds was None, now 0\.96.*overwrite=True"):
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


@pytest.mark.campaign  # takes ten seconds
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


@pytest.mark.campaign  # takes ten seconds
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
