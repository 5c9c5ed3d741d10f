"""The OpenVINO engine against torch."""

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from natural_sounds import RATE_HZ, make_music, make_noise, make_speech
from random_weights import write_vggish, write_yamnet

from hf_audio_tagger import ModelError, ProcessError, SettingsError, build_tagger, models
from hf_audio_tagger.activity import COMPILING, WORKING, Meter, measured_by, scoring
from hf_audio_tagger.demo.sounds import LABELS, synthesize
from hf_audio_tagger.models import ModelSpec, get_model, load
from hf_audio_tagger.models.engines.conversion import NetworkSource
from hf_audio_tagger.models.engines.openvino import OpenvinoNetwork
from hf_audio_tagger.process import core_share, one_ahead

pytest.importorskip("openvino")


@pytest.fixture(scope="module")
def windows() -> list[np.ndarray]:
    """200 short sounds of all classes."""
    return [synthesize(LABELS[n % len(LABELS)], 2.0 + n % 3, 16_000, 4_000 + n) for n in range(200)]


def test_float32_is_within_a_thousandth_of_torch(windows: list[np.ndarray]) -> None:
    torchs = get_model(ModelSpec("demo")).predict(windows[:40])
    ours = get_model(ModelSpec("demo", engine="openvino")).predict(windows[:40])
    assert np.abs(ours.logits - torchs.logits).max() < 1e-3
    assert ours.embeddings is not None
    assert torchs.embeddings is not None
    assert np.abs(ours.embeddings - torchs.embeddings).max() < 1e-3
    alone = get_model(ModelSpec("demo", engine="openvino")).predict(windows[:1])
    assert np.abs(alone.logits - ours.logits[:1]).max() < 1e-5


def test_bfloat16_gives_the_same_top_tags(windows: list[np.ndarray]) -> None:
    torchs = get_model(ModelSpec("demo")).predict(windows).logits.argmax(1)
    ours = get_model(ModelSpec("demo", engine="openvino", dtype="bfloat16")).predict(windows).logits.argmax(1)
    assert (torchs == ours).mean() >= 0.99


def test_the_tagger_takes_it(clips: dict[str, Path]) -> None:
    tagger = build_tagger("demo", engine="openvino")
    assert tagger.tag([clips["Siren"], clips["EMPTY"], clips["Music"]]) == ["Siren", "EMPTY", "Music"]
    assert tagger.labels == build_tagger("demo").labels


@pytest.mark.timeout(60)
def test_a_fork_of_a_parent_that_used_it_is_told(clips: dict[str, Path]) -> None:
    tagger = build_tagger("demo", engine="openvino")
    tagger.tag(clips["Clicking"])
    rows = Dataset.from_dict({"video": [str(clips["Siren"]), str(clips["Music"])]})
    with pytest.raises(ProcessError, match="spawn"):
        rows.map(tagger, num_proc=2)


@pytest.mark.parametrize("family", ["yamnet", "vggish", "vggish without classifier"])
@pytest.mark.parametrize("count", [1, 40])
def test_patches_give_the_outputs_of_torch(
    family: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hf_audio_tagger.models.networks.vggish.HIDDEN", 64)
    if family == "yamnet":
        file = write_yamnet(tmp_path / "yamnet.pth")
    else:
        file = write_vggish(tmp_path / "vggish.pth", classifies=family == "vggish")
    spec = ModelSpec(family.split()[0], weights=str(file))
    patches = [synthesize(LABELS[n % len(LABELS)], 0.975, 16_000, n) for n in range(count)]
    torchs = load(spec, torch.device("cpu")).predict(patches)
    ours = load(replace(spec, engine="openvino"), torch.device("cpu")).predict(patches)
    assert ours.logits.shape == torchs.logits.shape
    assert np.abs(ours.logits - torchs.logits).max(initial=0) < 1e-3
    assert ours.embeddings is not None
    assert torchs.embeddings is not None
    assert np.abs(ours.embeddings - torchs.embeddings).max() < 1e-3


def test_another_model_is_refused(whisper_folder: Path) -> None:
    with pytest.raises(ModelError, match="whisper"):
        load(ModelSpec(str(whisper_folder), engine="openvino"), torch.device("cpu"))


def test_bfloat16_scores_of_the_packaged_yamnet() -> None:
    sounds = (make_speech(3.0), make_music(3.0), make_noise(3.0))
    clips = [{"array": sound, "sampling_rate": RATE_HZ} for sound in sounds]
    settings: dict[str, Any] = {"top_k": 521, "device": "cpu"}
    torchs = build_tagger("yamnet", **settings).classify(clips)
    ours = build_tagger("yamnet", **settings, engine="openvino", dtype="bfloat16").classify(clips)
    for their, our in zip(torchs, ours, strict=True):
        assert their.top[0][0] == our.top[0][0]
        scores = dict(our.top)
        assert all(abs(scores[label] - score) < 0.03 for label, score in their.top)


def test_what_it_cannot_compute_is_told(clips: dict[str, Path]) -> None:
    with pytest.raises(SettingsError, match="float16"):
        build_tagger("demo", engine="openvino", dtype="float16").tag(clips["Siren"])
    with pytest.raises(SettingsError, match="cpu"):
        load(ModelSpec("demo", engine="openvino"), torch.device("meta"))


def test_without_openvino_the_extra_is_named(clips: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from hf_audio_tagger import models

    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr(models, "_loaded", type(models._loaded)())
    with pytest.raises(ModelError, match=r"hf-audio-tagger\[openvino\]"):
        build_tagger("demo", engine="openvino").tag(clips["Siren"])


def test_it_says_that_it_compiles_and_counts_each_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    stages: list[str] = []
    counts: list[int] = []

    def note(is_new_stage: bool) -> None:
        if is_new_stage:
            stages.append(meter.read().stage)
        else:
            counts.append(meter.read().windows)

    meter = Meter(note)
    sound = {"array": synthesize("Siren", 75.0, 16_000, 1), "sampling_rate": 16_000}
    monkeypatch.setattr(models, "_loaded", OrderedDict())
    with measured_by(meter):
        build_tagger("demo", engine="openvino", windows="all", hop_seconds=5.0, device="cpu").classify(sound)
    assert COMPILING in stages
    assert stages[-1] == WORKING
    assert counts[-1] == 14  # 75 s, less a window of 10.255 s, in steps of 5 s
    assert len(set(counts)) >= 7  # one by one, or two on two cores


def test_parts_are_made_while_the_network_runs() -> None:
    """So that a front end keeps no core waiting, and no more than the parts at work are in memory."""
    rows, meter = torch.rand(12, 3, 4), Meter()
    source = NetworkSource(torch.nn.Flatten, (3, 4), 0, identity=None)
    network = OpenvinoNetwork(source, torch.device("cpu"), "float32")
    scored = []

    def make_parts() -> Iterator[torch.Tensor]:
        for row in rows.split(1):
            scored.append(meter.read().windows)
            yield row

    with measured_by(meter), scoring(12, 1.0, 12.0):
        (outputs,) = network.run(make_parts(), 12)
    assert torch.equal(outputs, rows.flatten(1))
    assert all(count >= taken - core_share() for taken, count in enumerate(scored))


def test_a_front_end_that_fails_ends_the_call_and_no_more() -> None:
    """The lock and the requests are free for the next call, and the thread of the front end has ended."""
    rows = torch.rand(12, 3, 4)
    source = NetworkSource(torch.nn.Flatten, (3, 4), 0, identity=None)
    network = OpenvinoNetwork(source, torch.device("cpu"), "float32")

    def check(row: torch.Tensor) -> torch.Tensor:
        if row is parts[5]:
            raise ModelError("a window is too long")
        return row

    parts = rows.split(1)
    with pytest.raises(ModelError, match="too long"):
        network.run(one_ahead(check, parts), 12)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]
    (outputs,) = network(rows)
    assert torch.equal(outputs, rows.flatten(1))


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="threads are bound to cores on Linux")
def test_its_threads_may_use_every_core() -> None:
    """Bound ones would share the first cores with those of every other worker."""
    network = OpenvinoNetwork(
        NetworkSource(partial(torch.nn.Linear, 500, 500), (500,), 0, identity=None),
        torch.device("cpu"),
        "float32",
    )
    rows = torch.rand(64, 500)
    for count in (64, 1):
        network(rows[:count])  # compiles, and binds threads meanwhile
    found: set[frozenset[int]] = set()
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            for thread in os.listdir("/proc/self/task"):
                with suppress(OSError):
                    found.add(frozenset(os.sched_getaffinity(int(thread))))

    looking = threading.Thread(target=look)
    looking.start()
    for _ in range(50):
        for count in (64, 1):
            network(rows[:count])
    ended.set()
    looking.join()
    assert found == {frozenset(os.sched_getaffinity(0))}


@pytest.mark.parametrize("rows_a_request", [1, 3])
def test_a_rest_for_half_of_the_cores_needs_no_second_compiled_network(
    monkeypatch: pytest.MonkeyPatch, rows_a_request: int
) -> None:
    monkeypatch.setattr("hf_audio_tagger.models.engines.openvino.core_share", lambda: 2)
    source = NetworkSource(torch.nn.Flatten, (3, 4), 0, identity=None)
    network = OpenvinoNetwork(source, torch.device("cpu"), "float32", rows_a_request)
    rows = torch.rand(20, 3, 4)
    for count in (3 * rows_a_request, 4 * rows_a_request, 4 * rows_a_request + 1, 5 * rows_a_request):
        (outputs,) = network(rows[:count])
        assert torch.equal(outputs, rows[:count].flatten(1))
    assert "request" not in vars(network)
    (outputs,) = network(rows[:1])
    assert torch.equal(outputs, rows[:1].flatten(1))
