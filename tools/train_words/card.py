"""The README of the packaged audio-text pair."""

from pathlib import Path

from safetensors import safe_open

from hf_audio_tagger.demo.sounds import LABELS
from tools.train_demo.evaluate import Score


def write_card(folder: Path, scores: dict[str, Score], clips: int, steps: int) -> None:
    with safe_open(folder / "model.safetensors", "pt") as weights:
        parameters = sum(weights.get_tensor(name).numel() for name in weights.keys())  # noqa: SIM118
    labels = "\n".join(f"- {label}" for label in LABELS)
    measured = "\n".join(f"| {name} | {one.trials} | {one.accuracy:.1%} |" for name, one in scores.items())
    text = f"""---
library_name: transformers
pipeline_tag: zero-shot-audio-classification
license: apache-2.0
---
# A demonstration of labels in a user's own words

A CLAP of {parameters:,} parameters, in float16, that compares synthesized sounds with texts.
It is for trying `labels=` and `find` of `hf_audio_tagger` without a download, and for their tests.
It was never shown a recording, and knows no words but those of the sounds below: do not use it on real data.

## Sounds
{labels}

Each has a few dozen wordings, such as "police siren" or "ambulance passing by" for Siren.

## Training
`python -m tools.train_words.train`: from scratch, {steps} steps, with parts of {clips} clips that
`hf_audio_tagger.demo.sounds` made, texts of `tools/train_words/texts.py`, and AudioSet's names of
other sounds as texts that fit none of them.

## Accuracy
The clip's own text has the highest score among texts of several sounds, on clips of other seeds that went
through AAC in an mp4 at 44.1 or 48 kHz, mono or stereo, 2 to 14 s long:

| among | clips | accuracy |
|---|---|---|
{measured}

These are the same generators that the model learned from, and the unseen wordings are made of words that it
knows, so the figures say that the checkpoint works, and nothing about recordings.
"""
    (folder / "README.md").write_text(text, encoding="utf-8")
