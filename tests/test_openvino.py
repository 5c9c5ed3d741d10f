"""The OpenVINO engine against torch."""

from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset

from hf_audio_tagger import ModelError, ProcessError, SettingsError, build_tagger
from hf_audio_tagger.demo.sounds import LABELS, synthesize
from hf_audio_tagger.models import ModelSpec, listener

pytest.importorskip("openvino")


@pytest.fixture(scope="module")
def windows() -> list[np.ndarray]:
    """200 short sounds of all classes."""
    return [synthesize(LABELS[n % len(LABELS)], 2.0 + n % 3, 16_000, 4_000 + n) for n in range(200)]


def test_float32_is_within_a_thousandth_of_torch(windows: list[np.ndarray]) -> None:
    torchs = listener(ModelSpec("demo")).hear(windows[:40])
    ours = listener(ModelSpec("demo", engine="openvino")).hear(windows[:40])
    assert np.abs(ours.logits - torchs.logits).max() < 1e-3
    assert ours.embeddings is not None
    assert torchs.embeddings is not None
    assert np.abs(ours.embeddings - torchs.embeddings).max() < 1e-3
    alone = listener(ModelSpec("demo", engine="openvino")).hear(windows[:1])
    assert np.abs(alone.logits - ours.logits[:1]).max() < 1e-5


def test_bfloat16_gives_the_same_top_tags(windows: list[np.ndarray]) -> None:
    torchs = listener(ModelSpec("demo")).hear(windows).logits.argmax(1)
    ours = listener(ModelSpec("demo", engine="openvino", dtype="bfloat16")).hear(windows).logits.argmax(1)
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


def test_what_it_cannot_compute_is_told(clips: dict[str, Path]) -> None:
    with pytest.raises(SettingsError, match="float16"):
        build_tagger("demo", engine="openvino", dtype="float16").tag(clips["Siren"])
    with pytest.raises(SettingsError, match="yamnet"):
        build_tagger("yamnet", engine="openvino")


def test_without_openvino_the_extra_is_named(clips: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from hf_audio_tagger import models

    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr(models, "_loaded", type(models._loaded)())
    with pytest.raises(ModelError, match=r"hf-audio-tagger\[openvino\]"):
        build_tagger("demo", engine="openvino").tag(clips["Siren"])
