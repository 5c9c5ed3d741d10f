"""Sounds to label, and how torch_audioset's tools read the result."""

import json
import wave
from pathlib import Path

import numpy as np
from random_weights import RATE_HZ, answers, patches_of, yamnet_network

from hf_audio_tagger.demo.sounds import synthesize

OFFSET = 0.001  # of YAMNet's log
SOUNDS = {"Siren": 4.0, "White noise": 2.3, "Clicking": 0.3}  # seconds; the last is less than a patch


def write_wav(path: Path, sound: np.ndarray, rate_hz: int = RATE_HZ) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(as_stored(sound).tobytes())
    return path


def as_stored(sound: np.ndarray) -> np.ndarray:
    return np.round(sound * 32_767).astype(np.int16)


def made(label: str, seconds: float, seed: int = 0) -> np.ndarray:
    return synthesize(label, seconds, RATE_HZ, seed)


def expected_logits(sound: np.ndarray) -> np.ndarray:
    """What YAMNet says of the patches of a sound that went through a wav file."""
    stored = (as_stored(sound) / 32_768).astype(np.float32)
    return answers(yamnet_network(), patches_of(stored), OFFSET)[1]


class AudioSetReader:
    """How torch_audioset's tools find the arrays, and what they take the values for."""

    def __init__(self, root: Path) -> None:
        self.root, meta = root, json.loads((root / "audio_pred.json").read_text())
        self.model, self.categories = meta["model"], meta["model_categories"]
        self.predictions = {prediction["id"]: prediction for prediction in meta["predictions"]}

    def logits(self, id: str | int) -> np.ndarray:
        values = np.load(self.root / "audio_pred" / self.predictions[id]["category_tsr_fname"])
        assert values.dtype == np.float32
        return values

    def interval(self, id: str | int, patch: int) -> tuple[float, float]:
        unit = self.predictions[id]["per_chunk_length"]
        return patch * unit, (patch + 1) * unit
