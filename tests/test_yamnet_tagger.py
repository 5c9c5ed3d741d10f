"""YAMNet and VGGish through `ds.map`: the same columns and promises as any other model."""

import shutil
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset, Features, List, Value
from datasets.fingerprint import Hasher
from random_weights import (
    RATE_HZ,
    answers,
    patches_of,
    sigmoid,
    vggish_network,
    write_vggish,
    write_yamnet,
    yamnet_network,
)

from hf_audio_tagger import ModelError, build_tagger, has_sound, ontology
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.models.networks import vggish

YAMNET_OFFSET, VGGISH_OFFSET = 0.001, 0.01
PATCH_SECONDS, HOP_SECONDS = 0.975, 0.48
SIREN_THEN_NOISE = ("Siren", "White noise", "Clicking")

Clips = dict[str, Path]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_yamnet(tmp_path_factory.mktemp("weights") / "yamnet.pth")


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    return yamnet_network()


@pytest.fixture
def thin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vggish, "HIDDEN", 32)


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    """5.3 s: three classes after each other, which the random network tells apart."""
    parts = [synthesize(label, 2.0, RATE_HZ, seed) for seed, label in enumerate(SIREN_THEN_NOISE)]
    return np.concatenate(parts)[: round(5.3 * RATE_HZ)]


def rows_of(*sounds: np.ndarray) -> Dataset:
    cells = [{"array": sound, "sampling_rate": RATE_HZ} for sound in sounds]
    features = Features({"audio": {"array": List(Value("float32")), "sampling_rate": Value("int32")}})
    return Dataset.from_dict({"audio": cells}, features=features)


def best_first(values: np.ndarray) -> np.ndarray:
    return np.argsort(-values, kind="stable")


def names_of(classes: tuple[Any, ...]) -> list[str]:
    return [category.name for category in classes]


def test_yamnet_columns_are_what_its_patches_come_to(
    weights: Path, network: torch.nn.Module, sound: np.ndarray
) -> None:
    tagger = build_tagger("yamnet", weights=weights, top_k=4, segments=True, embeddings=True)
    (row,) = rows_of(sound).map(tagger).remove_columns("audio").to_list()
    embeddings, logits = answers(network, patches_of(sound), YAMNET_OFFSET)
    labels, scores = names_of(ontology.yamnet_classes()), sigmoid(logits)
    mean = scores.mean(axis=0)

    assert len(logits) == 11  # 5.3 s: the tenth patch ends at 5.295 s
    assert row["video_audio_tags"] == [labels[mean.argmax()]]
    (top,) = row["video_audio_top"]
    assert [one["label"] for one in top] == [labels[index] for index in best_first(mean)[:4]]
    assert [one["score"] for one in top] == pytest.approx(sorted(mean)[:-5:-1], abs=1e-4)
    np.testing.assert_allclose(row["video_audio_embedding"][0], embeddings.mean(axis=0), atol=1e-3)
    assert len(row["video_audio_embedding"][0]) == 1024

    leaders = [labels[index] for index in logits.argmax(axis=1)]
    (segments,) = row["video_audio_segments"]
    assert [one["label"] for one in segments] == [label for label, _ in groupby(leaders)]
    assert len(segments) > 1, "the sound does not tell segments apart"
    assert (segments[0]["start"], segments[-1]["end"]) == (0.0, pytest.approx(5.3))
    for before, after in pairwise(segments):
        assert before["end"] == after["start"]
        patch = after["start"] / HOP_SECONDS
        assert patch == pytest.approx(round(patch), abs=1e-3)
        assert leaders[round(patch)] == after["label"] != leaders[round(patch) - 1]


def test_windows_default_to_all_patches(weights: Path, network: torch.nn.Module, sound: np.ndarray) -> None:
    _, logits = answers(network, patches_of(sound), YAMNET_OFFSET)
    scores = sigmoid(logits)

    def score(label: str, **settings: Any) -> float:
        tagger = build_tagger("yamnet", weights=weights, top_k=521, **settings)
        (result,) = tagger.classify({"array": sound, "sampling_rate": RATE_HZ})
        assert result.top is not None
        return dict(result.top)[label]

    everywhere = scores.mean(axis=0)[0]
    assert score("Speech") == pytest.approx(everywhere, abs=1e-4)
    assert score("Speech", windows="first") == pytest.approx(scores[0, 0], abs=1e-4)
    assert score("Speech", windows=11) == pytest.approx(everywhere, abs=1e-4)
    total, size = len(sound), 15_600
    middles = [round((share + 0.5) * total / 2 - size / 2) for share in range(2)]
    two = np.stack([sound[start : start + size] for start in middles])
    _, logits_of_two = answers(network, two, YAMNET_OFFSET)
    assert score("Speech", windows=2) == pytest.approx(sigmoid(logits_of_two)[:, 0].mean(), abs=1e-4)
    apart = patches_of(sound, hop=round(0.975 * RATE_HZ))
    _, logits_apart = answers(network, apart, YAMNET_OFFSET)
    assert score("Speech", hop_seconds=0.975) == pytest.approx(sigmoid(logits_apart)[:, 0].mean(), abs=1e-4)


def test_short_sounds_are_one_patch(weights: Path, network: torch.nn.Module) -> None:
    tagger = build_tagger("yamnet", weights=weights, segments=True)
    for seconds in (0.005, 0.5, PATCH_SECONDS):
        short = synthesize("White noise", 1.0, RATE_HZ, 0)[: round(seconds * RATE_HZ)]
        (result,) = tagger.classify({"array": short, "sampling_rate": RATE_HZ})
        _, logits = answers(network, patches_of(short), YAMNET_OFFSET)
        assert result.tag == names_of(ontology.yamnet_classes())[logits[0].argmax()]
        assert result.segments is not None
        assert len(result.segments) == 1


@pytest.mark.timeout(60)
def test_files_with_errors_and_without_sound_in_two_processes(weights: Path, clips: Clips) -> None:
    tagger = build_tagger(
        "yamnet", weights=weights, top_k=2, segments=True, embeddings=True, on_error="record"
    )
    siren = tagger.tag(str(clips["Siren"]))  # in the parent first, on all its threads
    names = ["EMPTY", "broken", "Siren", "White noise", "EMPTY", "broken", "Dial tone", "Siren"]
    ds = Dataset.from_dict({"video": [str(clips[name]) for name in names]})
    tagged = ds.map(tagger, num_proc=2)
    assert tagged.features == tagger.features(ds.features)
    for name, row in zip(names, tagged, strict=True):
        (tag,), (top,), (error,) = (row[f"video_audio_{what}"] for what in ("tags", "top", "error"))
        (segments,), (embedding,) = row["video_audio_segments"], row["video_audio_embedding"]
        if name == "EMPTY":
            assert (tag, top, segments, embedding, error) == ("EMPTY", [], [], None, None)
        elif name == "broken":
            assert (tag, top, segments, embedding) == (None, None, None, None)
            assert "broken.mp4" in error
        else:
            assert (tag in ontology, len(top), top[0]["label"], error) == (True, 2, tag, None)
            assert (len(embedding), segments[0]["start"]) == (1024, 0.0)
            assert segments[-1]["end"] == pytest.approx(6.0, abs=0.1)
    assert tagged["video_audio_tags"][2] == tagged["video_audio_tags"][7] == [siren]


def test_fingerprint_is_of_the_weights_content(weights: Path, tmp_path: Path) -> None:
    def fingerprint(file: Path) -> str:
        return str(Hasher.hash(build_tagger("yamnet", weights=file)))

    copy = Path(shutil.copy(weights, tmp_path / "copy.pth"))
    assert fingerprint(copy) == fingerprint(weights)
    write_yamnet(copy, seed=1)
    assert fingerprint(copy) != fingerprint(weights)
    assert Hasher.hash(build_tagger("vggish", weights=copy)) != fingerprint(copy)


def test_other_weights_are_not_served_from_the_cache(weights: Path, tmp_path: Path, clips: Clips) -> None:
    file = Path(shutil.copy(weights, tmp_path / "yamnet.pth"))
    (tmp_path / "rows.jsonl").write_text(f'{{"video": "{clips["Siren"]}"}}\n')

    def embedding() -> Any:
        ds = Dataset.from_json(str(tmp_path / "rows.jsonl"))
        return ds.map(build_tagger("yamnet", weights=file, embeddings=True))["video_audio_embedding"][0]

    first = embedding()
    assert embedding() == first
    write_yamnet(file, seed=1)
    assert embedding() != first


def test_its_tags_can_be_asked_for_by_category(weights: Path, clips: Clips) -> None:
    videos = [str(clips[name]) for name in ("Siren", "White noise", "Dial tone", "Clicking", "EMPTY")]
    ds = Dataset.from_dict({"video": videos}).map(build_tagger("yamnet", weights=weights, top_k=5))
    (tag,) = ds["video_audio_tags"][0]
    for category in (tag, ontology[tag].at_level(1)[0].name):
        below = {one.name for one in (ontology[category], *ontology[category].descendants())}
        found = ds.filter(has_sound(category), input_columns="video_audio_tags")
        assert found["video"] == [row["video"] for row in ds if row["video_audio_tags"][0] in below]
        assert videos[0] in found["video"]
    best = ds["video_audio_top"][0][0][0]
    for score, count in ((best["score"], 1), (min(1.0, best["score"] + 1e-3), 0)):
        asked = has_sound(tag, min_score=score)
        assert len(ds.select([0]).filter(asked, input_columns="video_audio_top")) == count


# VGGish


@pytest.mark.usefixtures("thin")
def test_vggish_columns_are_what_its_patches_come_to(tmp_path: Path, sound: np.ndarray) -> None:
    file = write_vggish(tmp_path / "vggish.pth")
    tagger = build_tagger("vggish", weights=file, top_k=3, segments=True, embeddings=True)
    tagged = rows_of(sound).map(tagger)
    assert tagged.features == tagger.features(tagged.features)
    (row,) = tagged.remove_columns("audio").to_list()
    patches = patches_of(sound, hop=round(0.96 * RATE_HZ))
    embeddings, logits = answers(vggish_network(), patches, VGGISH_OFFSET)
    labels, mean = names_of(ontology.audioset_classes()), sigmoid(logits).mean(axis=0)
    assert tagger.labels == tuple(labels)
    assert len(patches) == 6
    assert row["video_audio_tags"] == [labels[best_first(mean)[0]]]
    assert [one["score"] for one in row["video_audio_top"][0]] == pytest.approx(
        sorted(mean)[:-4:-1], abs=1e-4
    )
    assert row["video_audio_segments"][0][-1]["end"] == pytest.approx(5.3)
    np.testing.assert_allclose(row["video_audio_embedding"][0], embeddings.mean(axis=0), rtol=1e-3, atol=1e-3)
    assert len(row["video_audio_embedding"][0]) == 128


@pytest.mark.usefixtures("thin")
def test_vggish_without_a_classifier_gives_embeddings_alone(
    tmp_path: Path, sound: np.ndarray, clips: Clips
) -> None:
    file = write_vggish(tmp_path / "vggish.pth", classifies=False)
    tagger = build_tagger("vggish", weights=file, embeddings=True)
    assert tagger.labels == ()
    (row,) = rows_of(sound).map(tagger).to_list()
    embeddings, _ = answers(vggish_network(False), patches_of(sound, round(0.96 * RATE_HZ)), VGGISH_OFFSET)
    assert row["video_audio_tags"] == [None]
    np.testing.assert_allclose(row["video_audio_embedding"][0], embeddings.mean(axis=0), rtol=1e-3, atol=1e-3)
    assert tagger.tag(str(clips["EMPTY"])) == "EMPTY"
    for settings in ({}, {"embeddings": True, "top_k": 1}, {"embeddings": True, "segments": True}):
        with pytest.raises(ModelError, match="no classifier"):
            build_tagger("vggish", weights=file, **settings).tag({"array": sound, "sampling_rate": RATE_HZ})


# The packaged weights on real clips

PUBLISHED = {
    "video1.mp4": {"Speech": 0.35, "Music": 0.21, "Ding": 0.02},
    "video3.mp4": {"Music": 0.64, "Speech": 0.08, "Singing": 0.01},
    "video4.mp4": {"Speech": 0.49, "Inside, small room": 0.02, "Inside, large room or hall": 0.01},
}


@pytest.mark.real_media
@pytest.mark.parametrize("name", PUBLISHED)
def test_packaged_weights_agree_with_the_published_scores(name: str, real_media: Path) -> None:
    tagger = build_tagger("yamnet", windows="all", hop_seconds=7_800 / RATE_HZ, top_k=521)
    (result,) = tagger.classify(str(real_media / name))
    assert result.top is not None
    expected = PUBLISHED[name]
    assert [label for label, _ in result.top[:3]] == list(expected)
    for label, score in expected.items():
        assert dict(result.top)[label] == pytest.approx(score, abs=0.03)
    tagged = Dataset.from_dict({"video": [str(real_media / name)]}).map(build_tagger("yamnet"))
    assert tagged["video_audio_tags"][0] == [next(iter(expected))]
