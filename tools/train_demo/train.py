"""Train the demonstration checkpoint: `python -m tools.train_demo.train [--out FOLDER] [--steps N]`.

A small Audio Spectrogram Transformer is trained from scratch on the sounds of `hf_audio_tagger.demo.sounds`.
Features of synthesized clips are computed once, by two processes; each training example is cut out of them.
All random numbers are seeded.
"""

import argparse
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

from hf_audio_tagger.demo import CHECKPOINT
from hf_audio_tagger.demo.sounds import LABELS, synthesize
from tools.train_demo.evaluate import (
    FIRST_TEST_SEED,
    MODEL_RATE_HZ,
    Score,
    evaluate,
    resample,
    sequence_trials,
    single_trials,
    through_video,
)

SEED = 20
CLIPS_A_LABEL = 80
FRAMES = 1024  # of 10 ms
SHORTEST_FRAMES = 95
BATCH_SIZE = 32
PEAK_LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.02
WARMUP_STEPS = 100

SHARE_THROUGH_VIDEO = 0.6
SHARE_LOW_PASS = 0.2
SHARE_FROM_START = 0.5  # of examples that keep the clip's first frames, with the codec's priming
SHARE_WHOLE = 0.3  # of examples that are as long as the window
SHARE_TWO_SOUNDS = 0.15


# Features


def low_pass(waveform: np.ndarray, rate_hz: int, cutoff_hz: float) -> np.ndarray:
    """Remove frequencies above the cutoff, as lossy codecs do at low bit rates."""
    spectrum = np.fft.rfft(waveform)
    spectrum[np.fft.rfftfreq(len(waveform), 1 / rate_hz) > cutoff_hz] = 0
    return np.fft.irfft(spectrum, n=len(waveform)).astype(np.float32)


@dataclass(frozen=True)
class Recording:
    """How training clips are recorded: by microphones and encoders that differ."""

    seed: int
    seconds: float
    rates_hz: tuple[int, ...]
    low_pass_hz: tuple[float, float]  # like encoders at low bit rates
    model_rate_hz: int

    def make(self, index: int) -> np.ndarray:
        """Training clip `index`; labels alternate."""
        rng = np.random.default_rng((self.seed, index))
        rate_hz = int(rng.choice(self.rates_hz))
        sound = synthesize(LABELS[index % len(LABELS)], self.seconds, rate_hz, index)
        if rng.random() < SHARE_LOW_PASS:
            sound = low_pass(sound, rate_hz, float(rng.uniform(*self.low_pass_hz)))
        carry = through_video if rng.random() < SHARE_THROUGH_VIDEO else resample
        return carry(sound, rate_hz, self.model_rate_hz)


# A clip is a little longer than a window: every frame of the features is sound.
RECORDING = Recording(
    SEED, 10.5, (16_000, 22_050, 32_000, 44_100, 44_100, 48_000, 48_000), (5_500.0, 8_000.0), MODEL_RATE_HZ
)


def clip_features(index: int, extractor: ASTFeatureExtractor) -> np.ndarray:
    """(frames, mel bins) in float16 of training clip `index`."""
    features = extractor(RECORDING.make(index), sampling_rate=MODEL_RATE_HZ, return_tensors="np")
    return features["input_values"][0].astype(np.float16)


def all_features(clips: int, extractor: ASTFeatureExtractor, processes: int = 2) -> torch.Tensor:
    """(clips, frames, mel bins), computed by processes of one thread each."""
    features = torch.empty(clips, FRAMES, extractor.num_mel_bins, dtype=torch.float16)
    with ProcessPoolExecutor(
        processes,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=torch.set_num_threads,
        initargs=(1,),
    ) as pool:
        made = pool.map(partial(clip_features, extractor=extractor), range(clips), chunksize=18)
        for index, clip in enumerate(made):
            features[index] = torch.from_numpy(clip)
            if (index + 1) % 300 == 0:
                print(f"features {index + 1}/{clips}", flush=True)
    return features


# Examples


@dataclass(frozen=True)
class Batch:
    inputs: torch.Tensor  # (examples, frames, mel bins)
    targets: torch.Tensor  # (examples, labels), 0 or 1


def padding_value(extractor: ASTFeatureExtractor) -> float:
    """The value that the extractor pads a short clip with: a zero, normalized."""
    return (0.0 - extractor.mean) / (2 * extractor.std)


def draw_batch(features: torch.Tensor, padding: float, rng: np.random.Generator) -> Batch:
    """Parts of random clips; some are followed by a second sound and have two labels."""
    inputs = torch.full((BATCH_SIZE, FRAMES, features.shape[2]), padding)
    targets = torch.zeros(BATCH_SIZE, len(LABELS))

    def stretch(length: int, from_start: bool) -> tuple[torch.Tensor, int]:
        clip = int(rng.integers(len(features)))
        begin = 0 if from_start else int(rng.integers(FRAMES - length + 1))
        return features[clip, begin : begin + length].float(), clip % len(LABELS)

    for row in range(BATCH_SIZE):
        whole = rng.random() < SHARE_WHOLE
        length = FRAMES if whole else int(rng.integers(SHORTEST_FRAMES, FRAMES + 1))
        inputs[row, :length], label = stretch(length, rng.random() < SHARE_FROM_START)
        targets[row, label] = 1
        if length >= 4 * SHORTEST_FRAMES and rng.random() < SHARE_TWO_SOUNDS:
            change = int(rng.integers(2 * SHORTEST_FRAMES, length - 2 * SHORTEST_FRAMES + 1))
            inputs[row, change:length], label = stretch(length - change, from_start=False)
            targets[row, label] = 1
    return Batch(inputs, targets)


def batches(features: torch.Tensor, padding: float, steps: int) -> Iterator[Batch]:
    rng = np.random.default_rng(SEED)
    for _ in range(steps):
        yield draw_batch(features, padding, rng)


# The model


def new_model() -> ASTForAudioClassification:
    """Under a million parameters; with patches of 32 x 32 a window has 128 tokens."""
    torch.manual_seed(SEED)
    config = ASTConfig(
        hidden_size=96,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=384,
        patch_size=32,
        frequency_stride=32,
        time_stride=32,
        max_length=FRAMES,
        num_mel_bins=128,
        id2label=dict(enumerate(LABELS)),
        label2id={label: index for index, label in enumerate(LABELS)},
        initializer_range=0.06,  # transformers expects a width of 768; this is 96
        problem_type="multi_label_classification",
    )
    return ASTForAudioClassification(config)


def train(model: ASTForAudioClassification, features: torch.Tensor, padding: float, steps: int) -> None:
    """Train the model in place. Labels are independent: a window may have two sounds."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.SequentialLR(
        optimizer,
        [
            torch.optim.lr_scheduler.LinearLR(optimizer, 0.05, total_iters=WARMUP_STEPS),
            torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps - WARMUP_STEPS)),
        ],
        milestones=[WARMUP_STEPS],
    )
    model.train()
    started = time.monotonic()
    for step, batch in enumerate(batches(features, padding, steps), start=1):
        logits = model(input_values=batch.inputs).logits
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, batch.targets)
        descend(loss, model, optimizer, schedule)
        if step % 50 == 0 or step == steps:
            accuracy = batch.targets.gather(1, logits.argmax(1, keepdim=True)).mean()
            seconds = time.monotonic() - started
            print(
                f"step {step}/{steps}: loss {loss.item():.4f}, "
                f"top label right {accuracy.item():.3f}, {seconds:.0f} s",
                flush=True,
            )


def descend(loss: torch.Tensor, model: torch.nn.Module, optimizer: Any, schedule: Any) -> None:
    """A step of training."""
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    schedule.step()


# Output


def model_card(scores: dict[str, Score], clips: int, steps: int, parameters: int) -> str:
    labels = "\n".join(f"- {label}" for label in LABELS)
    measured = "\n".join(
        f"| {name} | {score.trials} | {score.accuracy:.1%} |" for name, score in scores.items()
    )
    return f"""---
library_name: transformers
pipeline_tag: audio-classification
license: apache-2.0
---
# A demonstration checkpoint

An Audio Spectrogram Transformer of {parameters:,} parameters that names synthesized sounds.
It is for trying `hf_audio_tagger` without a download, and for its tests.
It was never shown a recording: do not use it on real data.

## Labels
{len(LABELS)} of AudioSet's names; a score is the sigmoid of a logit.

{labels}

## Training
`python -m tools.train_demo.train`: from scratch, {steps} steps of {BATCH_SIZE} examples,
cut out of {clips} clips that `hf_audio_tagger.demo.sounds` made. Pitch, tempo, level, length,
rate and background differ from clip to clip; some clips are low-passed, and most went through
AAC in an mp4.

## Accuracy
The right label has the highest logit, on clips of other seeds that went through AAC in an mp4 at
44.1 or 48 kHz, mono or stereo:

| clips | windows | accuracy |
|---|---|---|
{measured}

These are the same generators that the model learned from, so the figures say that the checkpoint
works, and nothing about recordings.
"""


def save(folder: Path, model: ASTForAudioClassification, extractor: ASTFeatureExtractor, card: str) -> None:
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)
    (folder / "README.md").write_text(card, encoding="utf-8")
    # The weights are written with mode 0600, but everyone must be able to read a package.
    (folder / "model.safetensors").chmod(0o644)


def measure(model: ASTForAudioClassification, extractor: ASTFeatureExtractor, clips: int) -> dict[str, Score]:
    """Compute and print scores on seeds outside the training set."""
    kinds = {
        "one sound, 2 to 12 s": single_trials(clips),
        "one sound, 10 s": single_trials(clips // 2, (10.0, 10.0), FIRST_TEST_SEED + 100_000),
        "20 s, two windows, a sound each": sequence_trials(clips // 6, FIRST_TEST_SEED + 200_000),
    }
    scores = {}
    for name, trials in kinds.items():
        scores[name] = evaluate(model, extractor, trials)
        print(f"{name}: {scores[name]}", flush=True)
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the demonstration checkpoint.")
    parser.add_argument("--out", type=Path, default=CHECKPOINT, help="folder to write to")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--clips-a-label", type=int, default=CLIPS_A_LABEL)
    parser.add_argument("--trials", type=int, default=360, help="clips to measure with, 6 at least")
    options = parser.parse_args()

    torch.set_num_threads(2)
    extractor = ASTFeatureExtractor(num_mel_bins=128, max_length=FRAMES)
    clips = options.clips_a_label * len(LABELS)
    features = all_features(clips, extractor)
    model = new_model()
    train(model, features, padding_value(extractor), options.steps)
    scores = measure(model, extractor, options.trials)
    parameters = sum(weights.numel() for weights in model.parameters())
    save(options.out, model, extractor, model_card(scores, clips, options.steps, parameters))


if __name__ == "__main__":
    main()
