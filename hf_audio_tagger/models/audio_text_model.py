"""Models that compare sound with text: the labels are texts, and a logit is how well a window fits one."""

from collections.abc import Callable, Hashable, Sequence
from typing import Protocol
from weakref import WeakValueDictionary

import numpy as np
import torch

from ..activity import add_windows
from ..choices import NONE
from ..label_texts import TEMPLATE, name_labels, write_texts
from ..process import on_every_core
from .family import ModelOutput
from .spec import ModelSpec

LARGE_PARAMETERS = 20_000_000  # for a larger model one window fills the CPU caches
SMALL_MODEL_WINDOWS = 4
TEXTS_AT_ONCE = 64

# A label's score of its own is its share beside these: 0.5 where it fits as well as all of them together.
BACKGROUND = (
    "This is a sound.",
    "This is an audio recording.",
    "The sound of something.",
    "Something can be heard.",
)


class AudioTextPair(Protocol):
    """Two networks with one space for their embeddings, which a family's file loads."""

    rate_hz: int
    window_samples: int
    frame_samples: int
    embedding_size: int
    parameters: int  # of the network for sound
    device: torch.device
    has_own_scores: bool  # trained for the sigmoid of each label's logit; else for the softmax over texts
    scale: float
    bias: float  # a logit is scale * product + bias
    is_normalized: bool  # a product is that of embeddings of length 1

    def embed_audio(self, windows: Sequence[np.ndarray]) -> list[np.ndarray]:
        """For each window float32 (frames, size); one frame, if the model embeds whole windows."""

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Texts → float32 (texts, size)."""


class AudioTextModel:
    """A pair with labels. Without labels it has embeddings only, and logits with zero columns.

    With `labels_hold` "one" the logits are those of a softmax over the labels. With "several" a score is the
    sigmoid of a logit; a last label, "none", has the negative of the highest one, so it leads where no other
    label reaches a score of 0.5.
    """

    default_windows = "first"

    def __init__(self, pair: AudioTextPair, spec: ModelSpec) -> None:
        self.pair = pair
        self.rate_hz, self.window_samples = pair.rate_hz, pair.window_samples
        self.hop_samples, self.frame_samples = pair.window_samples, pair.frame_samples
        self.embedding_size: int | None = pair.embedding_size
        self.device = pair.device
        # Without labels there is nothing that scores could add up over.
        self.multi_label = spec.labels is None or hold_several(spec, pair.has_own_scores)
        self.labels = list_labels(spec, pair.has_own_scores)
        self.texts = self.embed_labels(spec)
        self.has_background = self.multi_label and not pair.has_own_scores
        self.background = self.embed(BACKGROUND) if self.has_background else None
        # As for AST: a large model gains nothing from more windows at a time.
        is_large = pair.parameters > LARGE_PARAMETERS
        self.chunk_windows = (1 if is_large else SMALL_MODEL_WINDOWS) if self.device.type == "cpu" else None

    def embed_labels(self, spec: ModelSpec) -> np.ndarray:
        """The embedding of each label: that of its text, or the mean direction of its texts."""
        texts = write_texts(spec.labels or (), spec.template or TEMPLATE)
        if not texts:
            return np.zeros((0, self.pair.embedding_size), np.float32)
        embeddings = iter(self.embed([text for each in texts for text in each]))
        means = [np.mean([next(embeddings) for _ in each], axis=0) for each in texts]
        return np.stack(
            [
                normalize(mean) if len(each) > 1 and self.pair.is_normalized else mean
                for mean, each in zip(means, texts, strict=True)
            ]
        )

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """The embeddings of texts, as products with embeddings of sounds take them."""
        parts = [texts[start : start + TEXTS_AT_ONCE] for start in range(0, len(texts), TEXTS_AT_ONCE)]
        if not parts:
            return np.zeros((0, self.pair.embedding_size), np.float32)
        embeddings = np.concatenate([self.pair.embed_texts(part) for part in parts])
        return normalize(embeddings) if self.pair.is_normalized else embeddings

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """The embeddings of texts, float32 (texts, size) of length 1."""
        return normalize(self.embed(texts))

    def predict(self, windows: Sequence[np.ndarray]) -> ModelOutput:
        """Windows are split into chunks, one per core if possible."""
        if not len(windows):
            sizes = len(self.labels), self.pair.embedding_size
            return ModelOutput(*(np.zeros((0, size), np.float32) for size in sizes))
        size = self.chunk_windows or len(windows)
        chunks = [windows[start : start + size] for start in range(0, len(windows), size)]
        if len(chunks) < torch.get_num_threads():
            chunks = [windows]
        return ModelOutput.concatenate(on_every_core(self.predict_chunk, chunks))

    def predict_chunk(self, windows: Sequence[np.ndarray]) -> ModelOutput:
        found = [self.compare(frames) for frames in self.pair.embed_audio(windows)]
        add_windows(len(windows))
        logits, embeddings = (np.stack(rows).astype(np.float32) for rows in zip(*found, strict=True))
        return ModelOutput(logits, embeddings)

    def compare(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A window's logits and its embedding."""
        embedding = normalize(normalize(frames).mean(axis=0))
        if not self.labels:
            return np.zeros(0, np.float32), embedding
        if self.pair.is_normalized:
            frames = normalize(frames)
        logits = self.compute_logits(frames, self.texts)
        if self.background is not None:
            logits = logits - np.logaddexp.reduce(self.compute_logits(frames, self.background))
        if self.multi_label:
            logits = np.append(logits, -logits.max())
        return logits, embedding

    def compute_logits(self, frames: np.ndarray, texts: np.ndarray) -> np.ndarray:
        """The highest logit of each text: a sound that is in one frame is in the window."""
        logits: np.ndarray = (self.pair.scale * (frames @ texts.T) + self.pair.bias).max(axis=0)
        return logits


def hold_several(spec: ModelSpec, has_own_scores: bool) -> bool:
    return has_own_scores if spec.labels_hold is None else spec.labels_hold == "several"


def list_labels(spec: ModelSpec, has_own_scores: bool) -> tuple[str, ...]:
    """The labels as the model's classes."""
    if spec.labels is None:
        return ()
    return name_labels(spec.labels) + ((NONE,) if hold_several(spec, has_own_scores) else ())


def normalize(embeddings: np.ndarray) -> np.ndarray:
    """Embeddings of length 1."""
    lengths = np.linalg.norm(embeddings, axis=-1, keepdims=True)
    return (embeddings / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32)


_pairs: WeakValueDictionary[Hashable, AudioTextPair] = WeakValueDictionary()


def share_pair(key: Hashable, load: Callable[[], AudioTextPair]) -> AudioTextPair:
    """A pair that a loaded model of this process uses already, with other labels; else a new one."""
    pair = _pairs.get(key)
    if pair is None:
        pair = _pairs[key] = load()
    return pair
