"""Logits → scores, tags, top-k and segments. Pure numpy."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

EMPTY = "EMPTY"  # the tag of a clip without an audio stream


@dataclass(frozen=True)
class Segment:
    """A stretch of a clip in which one label leads."""

    start: float  # seconds
    end: float
    label: str
    score: float  # mean over the stretch's windows


@dataclass(frozen=True)
class ClipResult:
    """What is said of one clip: one video's share of every column."""

    tag: str | None
    top: tuple[tuple[str, float], ...] | None = None
    segments: tuple[Segment, ...] | None = None
    embedding: np.ndarray | None = None
    error: str | None = None


def compute_scores(logits: np.ndarray, multi_label: bool) -> np.ndarray:
    """Sigmoids where several labels can hold at once, else the softmax. Float64: float32 saturates.

    >>> compute_scores(np.array([[0.0, 0.0]]), multi_label=False).tolist()
    [[0.5, 0.5]]
    """
    logits = logits.astype(np.float64)
    if multi_label:
        return np.exp(-np.logaddexp(0.0, -logits))
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def best_first(mean_scores: np.ndarray, mean_logits: np.ndarray) -> np.ndarray:
    """Label indices by mean score, then by logit where scores tie, then by index.

    For one window this is the order of its logits: a score grows with its logit.
    """
    return np.lexsort((np.arange(len(mean_scores)), -mean_logits, -mean_scores))


class ScoreSum:
    """One clip's windows, summed as they come: its size does not grow with the clip's length."""

    def __init__(self, labels: Sequence[str], multi_label: bool, with_segments: bool) -> None:
        self.labels, self.multi_label, self.with_segments = labels, multi_label, with_segments
        self.count = 0
        self.score_sum = np.zeros(len(labels))
        self.logit_sum = np.zeros(len(labels))
        self.embedding_sum: np.ndarray | float = 0.0
        self.joined: list[Segment] = []
        self.joined_windows = 0  # in the last segment

    def add(
        self, spans: Sequence[tuple[float, float]], logits: np.ndarray, embeddings: np.ndarray | None
    ) -> None:
        """The next windows of the clip, in order, with their start and end in seconds."""
        scores = compute_scores(logits, self.multi_label)
        self.count += len(logits)
        self.score_sum += scores.sum(axis=0)
        self.logit_sum += logits.sum(axis=0, dtype=np.float64)
        if embeddings is not None:
            self.embedding_sum = self.embedding_sum + embeddings.sum(axis=0, dtype=np.float64)
        if self.with_segments:
            for span, window_scores, window_logits in zip(spans, scores, logits, strict=True):
                leader = int(best_first(window_scores, window_logits)[0])
                self.join(Segment(*span, self.labels[leader], float(window_scores[leader])))

    def join(self, new: Segment) -> None:
        """Lengthen the last segment where the same label leads, else begin a new one."""
        if not self.joined:
            self.joined, self.joined_windows = [new], 1
            return
        last = self.joined[-1]
        if last.label == new.label:
            mean = last.score + (new.score - last.score) / (self.joined_windows + 1)
            self.joined[-1] = replace(last, end=new.end, score=mean)
            self.joined_windows += 1
            return
        # Windows may overlap: the border lies where the new one begins to be heard.
        self.joined[-1] = replace(last, end=min(last.end, new.start))
        self.joined.append(new)
        self.joined_windows = 1

    def result(self, top_k: int | None, threshold: float | None) -> ClipResult:
        """The clip's tag, the highest mean score over its windows, and what else was asked for."""
        mean_scores = self.score_sum / self.count
        order = best_first(mean_scores, self.logit_sum / self.count)
        top = None
        if top_k is not None:
            chosen = [
                index for index in order[:top_k] if threshold is None or mean_scores[index] >= threshold
            ]
            top = tuple((self.labels[index], float(mean_scores[index])) for index in chosen)
        segments = tuple(self.joined) if self.with_segments else None
        embedding = None
        if not isinstance(self.embedding_sum, float):
            embedding = (self.embedding_sum / self.count).astype(np.float32)
        tag = self.labels[order[0]] if self.labels else None  # a network without a classifier names nothing
        return ClipResult(tag, top, segments, embedding)
