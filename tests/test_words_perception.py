"""Labels in a user's own words with Perception Encoder's audio model, against its forward pass."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, PeAudioFeatureExtractor, PeAudioFrameLevelModel, PeAudioModel
from word_models import LABELS, RATE_HZ, as_cell, make_sounds, save_pe_audio

from hf_audio_tagger import build_tagger

LENGTHS = (3.3, 0.7, 1.0)  # no whole frames, and whole ones


@pytest.fixture(scope="module", params=[False, True], ids=["windows", "frames"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pe_audio(tmp_path_factory.mktemp("pe"), is_frame_level=request.param)


@pytest.fixture(scope="module")
def sounds() -> list[np.ndarray]:
    return make_sounds(3, LENGTHS, seed=8)


@pytest.fixture(scope="module")
def expected(folder: Path, sounds: list[np.ndarray]) -> list[Any]:
    """Of each sound alone, the output of the model for all labels; frames come last, if there are any."""
    config = (folder / "config.json").read_text()
    kind = PeAudioFrameLevelModel if "FrameLevel" in config else PeAudioModel
    model, extractor = kind.from_pretrained(folder).eval(), PeAudioFeatureExtractor()
    texts = [f"This is a sound of {label}." for label in LABELS]
    tokens = AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
    outputs = []
    for sound in sounds:
        inputs = extractor([sound], sampling_rate=RATE_HZ, return_tensors="pt")
        with torch.inference_mode():
            outputs.append(
                model(
                    input_ids=tokens["input_ids"],
                    attention_mask=tokens["attention_mask"],
                    input_values=inputs["input_values"],
                    padding_mask=inputs["padding_mask"],
                )
            )
    return outputs


def find_logits(output: Any) -> np.ndarray:
    logits: np.ndarray = output.logits_audio_text.reshape(len(LABELS), -1).amax(1).double().numpy()
    return logits


def test_each_label_has_the_sigmoid_of_its_logit(
    folder: Path, sounds: list[np.ndarray], expected: list[Any]
) -> None:
    """Of frames the highest. Sounds of other lengths in the batch change nothing."""
    tagger = build_tagger(folder, labels=LABELS, top_k=9)
    assert tagger.labels == (*LABELS, "none")
    results = tagger.classify([as_cell(sound) for sound in sounds])
    for result, output in zip(results, expected, strict=True):
        scores = dict(zip(LABELS, 1 / (1 + np.exp(-find_logits(output))), strict=True))
        scores["none"] = 1 - max(scores.values())
        assert dict(result.top or ()) == pytest.approx(scores, abs=1e-5)
        assert result.tag == max(scores, key=scores.__getitem__)


def test_one_label_of_several_has_the_softmax(
    folder: Path, sounds: list[np.ndarray], expected: list[Any]
) -> None:
    tagger = build_tagger(folder, labels=LABELS, labels_hold="one", top_k=9)
    assert tagger.labels == tuple(LABELS)
    results = tagger.classify([as_cell(sound) for sound in sounds])
    for result, output in zip(results, expected, strict=True):
        powers = np.exp(find_logits(output))
        scores = dict(zip(LABELS, powers / powers.sum(), strict=True))
        assert dict(result.top or ()) == pytest.approx(scores, abs=1e-5)


def test_embeddings_have_length_one(folder: Path, sounds: list[np.ndarray], expected: list[Any]) -> None:
    tagger = build_tagger(folder, embeddings=True)
    for result, output in zip(tagger.classify([as_cell(one) for one in sounds]), expected, strict=True):
        frames = torch.nn.functional.normalize(output.audio_embeds.reshape(-1, 32), dim=-1)
        mean = torch.nn.functional.normalize(frames.mean(0), dim=-1)
        assert result.embedding == pytest.approx(mean.numpy(), abs=1e-5)
    texts = tagger.embed_texts([f"This is a sound of {label}." for label in LABELS])
    theirs = torch.nn.functional.normalize(expected[0].text_audio_embeds, dim=-1)
    assert texts == pytest.approx(theirs.numpy(), abs=1e-5)


def test_a_sound_shorter_than_a_frame_is_enough(folder: Path) -> None:
    tagger = build_tagger(folder, labels=LABELS)
    assert tagger.tag(as_cell(make_sounds(1, (0.01,))[0])) in tagger.labels
