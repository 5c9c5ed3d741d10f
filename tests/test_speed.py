"""Timing engines and dtypes, and choosing for this machine; the estimate of a run."""

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from hf_audio_tagger import build_tagger, fastest_settings, speed
from hf_audio_tagger.cli import app
from hf_audio_tagger.errors import SettingsError
from hf_audio_tagger.models.spec import has_native_bfloat16
from hf_audio_tagger.runs import Estimate, estimate_run
from hf_audio_tagger.sources import open_source
from hf_audio_tagger.speed import Timing, list_choices, time_clips, time_windows

RATE_HZ = 16_000
DEMO = build_tagger("demo")


def use_machine(monkeypatch: pytest.MonkeyPatch, *, bfloat16: bool, openvino: bool) -> None:
    """Make this machine one with or without bfloat16 units and OpenVINO."""
    monkeypatch.setattr(speed, "has_native_bfloat16", lambda device: bfloat16)
    monkeypatch.setattr(speed, "find_spec", lambda name: object() if openvino else None)


def noise(seconds: float, seed: int = 0) -> dict[str, Any]:
    samples = np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE_HZ)).astype(np.float32)
    return {"array": samples, "sampling_rate": RATE_HZ}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 rows of two short clips each, as wav files that ten rows share."""
    import wave

    folder = tmp_path_factory.mktemp("clips")
    for index in range(8):
        with wave.open(str(folder / f"{index}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE_HZ)
            file.writeframes((noise(0.5, index)["array"] * 20_000).astype("<i2").tobytes())
    rows = [{"audio": [f"{row % 8}.wav", f"{(row + 1) % 8}.wav"]} for row in range(40)]
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


# The choice for this machine


@pytest.mark.parametrize(
    ("bfloat16", "openvino", "engine", "dtype"),
    [
        (True, True, "openvino", "bfloat16"),
        (True, False, "torch", "bfloat16"),
        (False, True, "openvino", "float32"),
        (False, False, "torch", "float32"),
    ],
)
def test_choice_follows_the_machine(
    bfloat16: bool, openvino: bool, engine: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_machine(monkeypatch, bfloat16=bfloat16, openvino=openvino)
    assert fastest_settings("demo", device="cpu") == {"engine": engine, "dtype": dtype}


def test_choice_can_be_passed_on_and_the_defaults_stay() -> None:
    here = fastest_settings("demo")
    tagger = build_tagger("demo", **here)
    assert (tagger.engine, tagger.dtype) == (here["engine"], here["dtype"])
    assert (DEMO.engine, DEMO.dtype) == ("torch", "float32")


def test_openvino_is_not_chosen_for_a_network_that_it_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import Wav2Vec2Config

    Wav2Vec2Config(num_labels=2).save_pretrained(tmp_path)
    use_machine(monkeypatch, bfloat16=False, openvino=True)
    assert fastest_settings(str(tmp_path), device="cpu")["engine"] == "torch"


def test_choices_are_those_of_this_machine() -> None:
    found = {(choice.engine, choice.dtype) for choice in list_choices(replace(DEMO, device="cpu"))}
    engines = {"torch", "openvino"} if find_spec("openvino") else {"torch"}
    dtypes = {"float32", "bfloat16"} if has_native_bfloat16(torch.device("cpu")) else {"float32"}
    assert found == {(engine, dtype) for engine in engines for dtype in dtypes}


# Timing


def test_timing_counts_clips_and_keeps_their_tags() -> None:
    clips = [noise(1.0, seed) for seed in range(3)]
    timing = time_clips(DEMO, clips)
    assert timing.tags == tuple(DEMO.tag(clips))
    assert timing.seconds_per_clip == timing.seconds / 3 > 0
    assert timing.error is None


def test_timing_again_reads_no_remembered_result(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = str(table.parent / "0.wav")
    DEMO.tag(clip)
    counts = []
    original = speed.Tagger._classify_new

    def count(tagger: Any, media: list[Any], rank: int | None) -> Any:
        counts.append(len(media))
        return original(tagger, media, rank)

    monkeypatch.setattr(speed.Tagger, "_classify_new", count)
    DEMO.tag(clip)
    assert sum(counts) == 0  # it is remembered
    time_clips(DEMO, [clip])
    assert counts[-1] == 1


def test_a_choice_that_fails_is_reported_and_the_others_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    use_machine(monkeypatch, bfloat16=False, openvino=False)
    broken = replace(DEMO, dtype="float16")
    monkeypatch.setattr(speed, "list_choices", lambda tagger: [broken, DEMO])
    original = speed.Tagger.classify

    def classify(tagger: Any, video: Any) -> Any:
        if tagger.dtype == "float16":
            raise RuntimeError("no kernel for Half")
        return original(tagger, video)

    monkeypatch.setattr(speed.Tagger, "classify", classify)
    failed, timed = time_windows(DEMO)
    assert failed.error == "no kernel for Half"
    assert timed.error is None
    assert timed.seconds > 0
    assert timed.sound_seconds == pytest.approx(10.25, abs=0.02)


# The estimate of a run


def test_estimate_of_a_run(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_machine(monkeypatch, bfloat16=True, openvino=False)
    estimate = estimate_run(open_source(str(table)), DEMO)
    assert estimate.rows == 40
    assert estimate.clips_per_row == 2
    assert len(estimate.as_asked.tags) == 16  # two clips of each of eight rows
    (other,) = estimate.others
    assert (other.engine, other.dtype) == ("torch", "bfloat16")
    assert 0 <= estimate.count_equal_tags(other) <= 16
    asked = estimate.as_asked
    assert estimate.find_seconds(asked) == pytest.approx(asked.loading_seconds + 80 * asked.seconds / 16)
    assert estimate_run(open_source(str(table)), DEMO, rows=10).rows == 10
    assert json.loads(json.dumps(estimate.as_dict()))["timings"][1]["dtype"] == "bfloat16"


def test_loading_counts_for_the_settings_that_were_asked_for(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first clip loads the model; when all are timed, it is loaded."""
    use_machine(monkeypatch, bfloat16=False, openvino=False)
    first = Timing("torch", "float32", 70.0, 0.1, tags=("Dog",))
    monkeypatch.setattr("hf_audio_tagger.runs.estimate.time_clips", lambda *_: first)
    estimate = estimate_run(open_source(str(table)), DEMO)
    assert 70 <= estimate.as_asked.loading_seconds < 100
    assert estimate.find_seconds(estimate.as_asked) > 70


def test_equal_tags_are_counted() -> None:
    asked = Timing("torch", "float32", 1.0, 8.0, tags=("Dog", "Cat", None, "EMPTY"))
    other = Timing("openvino", "bfloat16", 2.0, 4.0, tags=("Dog", "Dog", None, "EMPTY"))
    estimate = Estimate(100, 1.0, 2, asked, (other,))
    assert estimate.count_equal_tags(other) == 3
    assert estimate.find_seconds(other) == 2.0 + 100 * 1.0 / 2
    assert Estimate(None, 1.0, 1, asked, ()).find_seconds(asked) is None


def test_long_clips_are_timed_less_often(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_machine(monkeypatch, bfloat16=False, openvino=False)
    monkeypatch.setattr("hf_audio_tagger.runs.estimate.LONGEST_SECONDS", 0.0)
    assert len(estimate_run(open_source(str(table)), DEMO).as_asked.tags) == 1


def test_rows_without_videos_cannot_be_timed(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"audio": "", "name": "a"}\n', "utf-8")
    with pytest.raises(SettingsError, match="no videos to time"):
        estimate_run(open_source(str(path)), DEMO)


# The shell


def test_doctor_times_the_engines_and_prints_the_line_to_paste(monkeypatch: pytest.MonkeyPatch) -> None:
    use_machine(monkeypatch, bfloat16=True, openvino=False)  # converting takes seconds
    done = CliRunner().invoke(app, ["doctor", "--model", "demo", "--json"])
    findings = {one["subject"]: one for one in json.loads(done.stdout)["findings"]}
    assert "s a window of 10.3 s" in findings["torch float32"]["detail"]
    assert "--engine " in findings["fastest here"]["detail"]
    assert "build_tagger(engine=" in findings["fastest here"]["detail"]
    assert "GiB" in findings["memory"]["detail"]
    assert "GiB free in" in findings["disk (cache)"]["detail"]
    skipped = CliRunner().invoke(app, ["doctor", "--model", "demo", "--json", "--skip-speed"])
    assert "Speed" not in {one["section"] for one in json.loads(skipped.stdout)["findings"]}


def test_fast_is_not_taken_beside_an_engine(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["tag", str(tmp_path), "--fast", "--engine", "torch", "--model", "demo"])
    assert done.exit_code == 1
    assert "--fast chooses --engine and --dtype" in done.stderr
