"""Measures "demo-words" on clips after encoding in a video, with transformers alone: no code of the package.

Each clip is compared with a wording of each sound, or of a few of them. A window is the clip's first ten
seconds.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import ClapModel, ClapProcessor

from hf_audio_tagger.demo.sounds import LABELS, synthesize
from tools.train_demo.evaluate import FIRST_TEST_SEED, Score, through_video
from tools.train_words.texts import UNSEEN

RATE_HZ = 48_000
WINDOW_SAMPLES = 480_000
FEWEST, MOST = 3, 6  # labels of a subset
SEED = FIRST_TEST_SEED + 500_000
TEMPLATE = "This is a sound of {}."  # of transformers' pipeline


@dataclass(frozen=True)
class Trial:
    label: str
    sound: np.ndarray  # at 48 kHz, a window at most


def make_trials(count: int, seed: int = SEED) -> Iterator[Trial]:
    """Clips of alternating labels and random lengths; mono and stereo, 44.1 and 48 kHz."""
    rng = np.random.default_rng(seed)
    for index in range(count):
        label = LABELS[index % len(LABELS)]
        rate_hz = int(rng.choice((44_100, 48_000)))
        sound = synthesize(label, float(rng.uniform(2.0, 14.0)), rate_hz, seed + index)
        if rng.random() < 0.3:
            sound = np.stack([sound, 0.6 * sound])
        yield Trial(label, through_video(sound, rate_hz, RATE_HZ)[:WINDOW_SAMPLES])


def embed_sounds(model: ClapModel, processor: ClapProcessor, trials: list[Trial]) -> np.ndarray:
    rows = []
    for trial in trials:
        inputs = processor.feature_extractor(trial.sound, sampling_rate=RATE_HZ, return_tensors="pt")
        with torch.inference_mode():
            rows.append(model.get_audio_features(inputs["input_features"]).pooler_output[0].numpy())
    return np.stack(rows)


def embed_texts(model: ClapModel, processor: ClapProcessor, texts: list[str]) -> np.ndarray:
    inputs = processor.tokenizer(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        vectors: np.ndarray = model.get_text_features(**inputs).pooler_output.numpy()
    return vectors


def pick_texts(labels: list[str], kind: str, rng: np.random.Generator) -> list[str]:
    """A text for each label: its name, or a wording that no training text has; in a sentence or alone."""
    if kind == "names":
        return [TEMPLATE.format(label.lower()) for label in labels]
    texts = [str(rng.choice(UNSEEN[label])) for label in labels]
    return [TEMPLATE.format(text) for text in texts] if rng.random() < 0.5 else texts


def score(sounds: np.ndarray, trials: list[Trial], embed: "TextMemo", kind: str, some: bool) -> Score:
    """The share of clips whose own text is nearest."""
    rng = np.random.default_rng(SEED)
    right, mistakes = 0, Counter[tuple[str, str]]()
    for sound, trial in zip(sounds, trials, strict=True):
        labels = list(LABELS)
        if some:
            others = [label for label in LABELS if label != trial.label]
            count = int(rng.integers(FEWEST, MOST + 1)) - 1
            labels = [trial.label, *map(str, rng.choice(others, count, replace=False))]
        texts = pick_texts(labels, kind, rng)
        best = int((embed(texts) @ sound).argmax())
        if labels[best] == trial.label:
            right += 1
        else:
            mistakes[f"{trial.label} ({texts[labels.index(trial.label)]})", texts[best]] += 1
    return Score(right, len(trials), mistakes)


class TextMemo:
    """Embeddings of texts, each computed once."""

    def __init__(self, model: ClapModel, processor: ClapProcessor) -> None:
        self.model, self.processor = model, processor
        self.known: dict[str, np.ndarray] = {}

    def __call__(self, texts: list[str]) -> np.ndarray:
        for text in texts:
            if text not in self.known:
                self.known[text] = embed_texts(self.model, self.processor, [text])[0]
        return np.stack([self.known[text] for text in texts])


def measure(folder: Path, count: int) -> dict[str, Score]:
    """Compute and print scores on clips and texts outside the training set."""
    model = ClapModel.from_pretrained(folder, dtype=torch.float32).eval()
    processor = ClapProcessor.from_pretrained(folder)
    trials = list(make_trials(count))
    sounds, embed = embed_sounds(model, processor, trials), TextMemo(model, processor)
    scores = {}
    for name, kind, some in (
        ("the labels' names, all 18", "names", False),
        ("unseen wordings of all 18", "unseen", False),
        ("unseen wordings of 3 to 6", "unseen", True),
    ):
        scores[name] = score(sounds, trials, embed, kind, some)
        print(f"{name}: {scores[name]}", flush=True)
    return scores
