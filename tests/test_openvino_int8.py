"""dtype="int8" in OpenVINO, against float32 of torch and of transformers itself."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets.fingerprint import Hasher

from hf_audio_tagger import ModelError, SettingsError, build_tagger
from hf_audio_tagger.demo.sounds import LABELS, synthesize
from hf_audio_tagger.models import ModelSpec, get_model, load

CPU = torch.device("cpu")


def test_logits_are_those_of_transformers_but_for_rounding(tmp_path: Path, weights_cache: Path) -> None:
    pytest.importorskip("openvino")
    from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

    torch.manual_seed(3)
    sizes: dict[str, Any] = {"hidden_size": 96, "num_attention_heads": 4, "intermediate_size": 384}
    config = ASTConfig(num_hidden_layers=3, max_length=128, num_labels=50, **sizes)  # type: ignore[call-arg]
    model, extractor = ASTForAudioClassification(config).eval(), ASTFeatureExtractor(max_length=128)
    torch.nn.init.normal_(model.classifier.dense.weight)
    model.save_pretrained(tmp_path)
    extractor.save_pretrained(tmp_path)
    sounds = [synthesize(label, 1.3, 16_000, 9) for label in LABELS]
    with torch.inference_mode():
        inputs = extractor(sounds, sampling_rate=16_000, return_tensors="pt")
        theirs = model(**inputs).logits.numpy()
    ours = load(ModelSpec(str(tmp_path), engine="openvino", dtype="int8"), CPU).predict(sounds).logits
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.998
    assert np.abs(ours - theirs).max() > 1e-4  # it is no float32
    ranks = [(row > row[their.argmax()]).sum() for row, their in zip(ours, theirs, strict=True)]
    assert max(ranks) <= 2
    # The weights of large products take a byte and not four: all but the last layer's and the classifier's.
    (file,) = weights_cache.rglob("network.bin")
    assert file.stat().st_size < 0.6 * 4 * sum(value.numel() for value in model.parameters())


def test_the_demo_gives_the_same_tags() -> None:
    pytest.importorskip("openvino")
    sounds = [synthesize(LABELS[n % len(LABELS)], 2.0 + n % 3, 16_000, 8_000 + n) for n in range(54)]
    torchs = get_model(ModelSpec("demo")).predict(sounds).logits.argmax(1)
    ours = get_model(ModelSpec("demo", engine="openvino", dtype="int8")).predict(sounds).logits.argmax(1)
    assert (torchs == ours).mean() >= 0.98


def test_it_has_a_fingerprint_of_its_own() -> None:
    dtypes = ("float32", "bfloat16", "int8")
    hashes = {Hasher.hash(build_tagger("demo", engine="openvino", dtype=dtype)) for dtype in dtypes}
    assert len(hashes) == len(dtypes)


def test_what_does_not_compute_it_says_what_does() -> None:
    with pytest.raises(SettingsError, match="engine='openvino'"):
        build_tagger("demo", dtype="int8")
    for model in ("yamnet", "vggish"):
        with pytest.raises(SettingsError, match="dtype must be one of 'float32', 'bfloat16'"):
            build_tagger(model, engine="openvino", dtype="int8")


def test_without_openvino_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ModelError, match=r'dtype="int8".*hf-audio-tagger\[openvino\]'):
        load(ModelSpec("demo", engine="openvino", dtype="int8"), CPU)
