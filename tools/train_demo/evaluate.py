"""Measures a model's accuracy on synthesized sounds after encoding in a video."""

import io
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import av
import numpy as np
import torch
import torchaudio
from transformers import ASTFeatureExtractor, ASTForAudioClassification

from hf_audio_tagger.demo.sounds import LABELS, synthesize
from hf_audio_tagger.demo.videos import write_video

MODEL_RATE_HZ = 16_000
WINDOW_SAMPLES = 163_840  # 10.24 s: 1024 frames of 10 ms
FIRST_TEST_SEED = 1_000_000  # training seeds are lower


@dataclass(frozen=True)
class Trial:
    """A window at the model's rate, and its label."""

    label: str
    window: np.ndarray


@dataclass(frozen=True)
class Score:
    """The number of correct labels, and the confusions."""

    right: int
    trials: int
    mistakes: Counter[tuple[str, str]]  # (label, predicted)

    @property
    def accuracy(self) -> float:
        return self.right / self.trials

    def __str__(self) -> str:
        lines = [f"{self.right} of {self.trials} right ({self.accuracy:.1%})"]
        for (label, predicted), count in self.mistakes.most_common():
            lines.append(f"  {label} predicted as {predicted}: {count}")
        return "\n".join(lines)


def resample(waveform: np.ndarray, rate_hz: int, new_rate_hz: int = MODEL_RATE_HZ) -> np.ndarray:
    tensor = torch.from_numpy(np.ascontiguousarray(waveform, np.float32))
    return torchaudio.functional.resample(tensor, rate_hz, new_rate_hz).numpy()


def through_video(waveform: np.ndarray, rate_hz: int, new_rate_hz: int = MODEL_RATE_HZ) -> np.ndarray:
    """A sound after encoding in an mp4 and decoding, mono at a model's rate."""
    file = io.BytesIO()
    write_video(file, waveform, rate_hz)
    file.seek(0)
    with av.open(file, "r") as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
    return resample(np.concatenate(frames, axis=1).mean(axis=0), rate_hz, new_rate_hz)


def single_trials(
    count: int, seconds: tuple[float, float] = (2.0, 12.0), seed: int = FIRST_TEST_SEED
) -> Iterator[Trial]:
    """Clips of alternating labels and random lengths; mono and stereo, 44.1 and 48 kHz."""
    rng = np.random.default_rng(seed)
    for index in range(count):
        label = LABELS[index % len(LABELS)]
        rate_hz = int(rng.choice((44_100, 48_000)))
        sound = synthesize(label, float(rng.uniform(*seconds)), rate_hz, seed + index)
        if rng.random() < 0.3:
            sound = np.stack([sound, 0.6 * sound])
        yield Trial(label, through_video(sound, rate_hz)[:WINDOW_SAMPLES])


def sequence_trials(count: int, seed: int = FIRST_TEST_SEED) -> Iterator[Trial]:
    """Clips of 20 s whose sound changes where the second window begins: two trials a clip.

    The second window is 9.76 s long, so its tail is padding.
    """
    rng = np.random.default_rng(seed)
    for index in range(count):
        pair = [LABELS[int(i)] for i in rng.choice(len(LABELS), size=2, replace=False)]
        rate_hz = int(rng.choice((44_100, 48_000)))
        first = synthesize(pair[0], 10.24, rate_hz, seed + 2 * index)
        second = synthesize(pair[1], 9.76, rate_hz, seed + 2 * index + 1)
        sound = through_video(np.concatenate([first, second]), rate_hz)
        yield Trial(pair[0], sound[:WINDOW_SAMPLES])
        yield Trial(pair[1], sound[WINDOW_SAMPLES : 20 * MODEL_RATE_HZ])


def evaluate(
    model: ASTForAudioClassification, extractor: ASTFeatureExtractor, trials: Iterable[Trial]
) -> Score:
    """The share of trials in which the right label has the highest logit."""
    model.eval()
    right = total = 0
    mistakes: Counter[tuple[str, str]] = Counter()
    for trial in trials:
        inputs = extractor(trial.window, sampling_rate=MODEL_RATE_HZ, return_tensors="pt")
        with torch.inference_mode():
            predicted = LABELS[int(model(**inputs).logits.argmax())]
        total += 1
        if predicted == trial.label:
            right += 1
        else:
            mistakes[trial.label, predicted] += 1
    return Score(right, total, mistakes)
