"""The packaged audio-text pair "demo-words": right for sounds and wordings that it was not trained with."""

import io
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from transformers import ClapModel, ClapProcessor, pipeline
from typer.testing import CliRunner

from hf_audio_tagger import build_tagger
from hf_audio_tagger.cli import app
from hf_audio_tagger.demo import WORDS_CHECKPOINT
from hf_audio_tagger.demo.sounds import LABELS, synthesize
from hf_audio_tagger.demo.videos import write_video
from hf_audio_tagger.models.audio_text_model import BACKGROUND
from tools.train_words.texts import CONTENT, NEUTRAL, SENTENCES, UNSEEN

FIRST_SEED = 3_000_000  # those of training are below 1,000
MOST_BYTES = 3_000_000
NAMES = {label: f"This is a sound of {label.lower()}." for label in LABELS}


def make_clips(count: int, seconds: tuple[float, float]) -> Iterator[tuple[str, bytes]]:
    """Labels in turn, each with an mp4."""
    rng = random.Random(FIRST_SEED)
    for index in range(count):
        label, rate_hz = LABELS[index % len(LABELS)], rng.choice((44_100, 48_000))
        file = io.BytesIO()
        write_video(file, synthesize(label, rng.uniform(*seconds), rate_hz, FIRST_SEED + index), rate_hz)
        yield label, file.getvalue()


def pick_unseen(rng: random.Random, count: int = len(LABELS), label: str | None = None) -> dict[str, str]:
    """A wording that is in no training text for each label, or for some and `label`."""
    others = rng.sample([one for one in LABELS if one != label], count - (label is not None))
    return {one: rng.choice(UNSEEN[one]) for one in sorted([*others, *([label] if label else [])])}


def test_it_is_small_and_everyone_may_read_it() -> None:
    files = [*WORDS_CHECKPOINT.iterdir()]
    assert sum(file.stat().st_size for file in files) < MOST_BYTES
    assert all(file.stat().st_mode & 0o444 == 0o444 for file in files)


def test_the_unseen_wordings_are_in_no_training_text() -> None:
    for label, wordings in CONTENT.items():
        names = {*wordings["names"]}
        names |= {f"{detail} {name}" for detail in wordings["details"] for name in wordings["names"]}
        names |= {f"{name} {ending}" for name in names for ending in wordings["endings"]}
        made = names | {sentence.format(name) for sentence in SENTENCES for name in names}
        for text in UNSEEN[label]:
            bare = text.removeprefix("a ").removeprefix("an ").removeprefix("the ")
            assert not {text, bare} & made


@pytest.fixture(scope="module")
def clips() -> tuple[tuple[str, ...], list[bytes]]:
    """A short clip of each sound."""
    labels, files = zip(*make_clips(len(LABELS), (2.5, 3.5)), strict=True)
    return labels, [*files]


@pytest.mark.parametrize("texts", [NAMES, pick_unseen(random.Random(5))], ids=["names", "unseen wordings"])
def test_a_clip_of_each_sound_is_named_right(
    clips: tuple[tuple[str, ...], list[bytes]], texts: dict[str, str]
) -> None:
    tags = build_tagger("demo-words", labels=texts, device="cpu").tag(clips[1])
    assert sum(tag == label for tag, label in zip(tags, clips[0], strict=True)) >= 17


@pytest.mark.campaign
def test_200_clips_are_named_right_by_names_and_unseen_wordings_and_among_some() -> None:
    rng = random.Random(6)
    right = dict.fromkeys(("names", "unseen", "some"), 0)
    for label, clip in make_clips(200, (2.0, 12.0)):
        some = pick_unseen(rng, rng.randint(3, 6), label)
        for kind, texts in {"names": NAMES, "unseen": pick_unseen(rng), "some": some}.items():
            right[kind] += build_tagger("demo-words", labels=texts, device="cpu").tag(clip) == label
    assert min(right.values()) >= 190, right


def test_the_same_answers_as_the_pipeline_of_transformers() -> None:
    """Within float16's weights: this package computes in float32."""
    model = ClapModel.from_pretrained(WORDS_CHECKPOINT).float()
    processor = ClapProcessor.from_pretrained(WORDS_CHECKPOINT)
    classify = pipeline(
        "zero-shot-audio-classification",
        model=model,
        tokenizer=processor.tokenizer,
        feature_extractor=processor.feature_extractor,
    )
    words = ["siren", "bell", "wind"]
    sound = synthesize("Wind", 4.0, 48_000, FIRST_SEED)
    expected = {one["label"]: one["score"] for one in classify(sound, candidate_labels=words)}
    tagger = build_tagger("demo-words", labels=words, top_k=3, device="cpu")
    (result,) = tagger.classify({"array": sound, "sampling_rate": 48_000})
    assert result.top is not None
    assert dict(result.top) == pytest.approx(expected, abs=1e-5)


def test_what_fits_no_label_is_none(clips: tuple[tuple[str, ...], list[bytes]]) -> None:
    tagger = build_tagger("demo-words", labels=["siren", "bell", "wind"], labels_hold="several", device="cpu")
    expected = {"Siren": "siren", "Church bell": "bell", "Wind": "wind"}
    found = dict(zip(clips[0], tagger.tag(clips[1]), strict=True))
    assert {label: tag for label, tag in found.items() if label in expected} == expected
    assert sum(tag == "none" for label, tag in found.items() if label not in expected) >= 14  # of 15
    assert {*BACKGROUND} <= {*NEUTRAL}  # the model was trained with the texts that labels are compared with


def test_it_works_on_the_shell_without_a_network(
    clips: tuple[tuple[str, ...], list[bytes]], tmp_path: Path
) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(clips[1][clips[0].index("Siren")])
    result = CliRunner().invoke(
        app,
        ["tag", str(clip), "--model", "demo-words", "--labels", "siren,bell,wind"],
        env={"HF_HUB_OFFLINE": "1"},
    )
    assert result.exit_code == 0, result.output
    assert result.stdout.split("\t")[1] == "siren"
