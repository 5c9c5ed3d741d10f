"""Logits → scores, tags, top-k and segments. Pure numpy."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .choices import EMPTY as EMPTY


@dataclass(frozen=True)
class Segment:
    """A part of a clip in which one label has the highest score."""

    start: float  # seconds
    end: float
    label: str
    score: float  # mean over its windows


@dataclass(frozen=True)
class ClipResult:
    """The result of one clip: its entry in every column."""

    tag: str | None
    top: tuple[tuple[str, float], ...] | None = None
    segments: tuple[Segment, ...] | None = None
    embedding: np.ndarray | None = None
    error: str | None = None


def compute_scores(logits: np.ndarray, multi_label: bool) -> np.ndarray:
    """Sigmoid for multi-label models, else softmax. In float64, because float32 saturates.

    >>> compute_scores(np.array([[0.0, 0.0]]), multi_label=False).tolist()
    [[0.5, 0.5]]
    """
    logits = logits.astype(np.float64)
    if multi_label:
        small = np.exp(-np.abs(logits))  # at most 1, so that nothing overflows
        return np.where(logits < 0, small, 1.0) / (1.0 + small)
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def rank_labels(mean_scores: np.ndarray, mean_logits: np.ndarray, count: int | None = None) -> np.ndarray:
    """Label indices by mean score, then by logit where scores tie, then by index; only the first `count`.

    For one window this is the order of its logits, since a score grows with its logit.
    """
    indices = np.arange(len(mean_scores))
    if count is not None and count < len(indices):  # only those are sorted that may be among the first
        indices = np.flatnonzero(mean_scores >= np.partition(mean_scores, -count)[-count])
    order = np.lexsort((-mean_logits[indices], -mean_scores[indices]))  # a stable sort
    return indices[order][:count]


class ScoreSum:
    """Running sums over a clip's windows; their size does not depend on the clip's length."""

    def __init__(self, labels: Sequence[str], multi_label: bool, with_segments: bool) -> None:
        self.labels, self.multi_label, self.with_segments = labels, multi_label, with_segments
        self.count = 0
        self.score_sum = np.zeros(len(labels))
        self.logit_sum = np.zeros(len(labels))
        self.embedding_sum: np.ndarray | float = 0.0
        self.segments: list[Segment] = []
        self.last_windows = 0  # in the last segment

    def add(
        self, spans: Sequence[tuple[float, float]], logits: np.ndarray, embeddings: np.ndarray | None
    ) -> None:
        """Add the next windows of the clip, in order, with their start and end in seconds."""
        scores = compute_scores(logits, self.multi_label)
        self.count += len(logits)
        self.score_sum += scores.sum(axis=0)
        self.logit_sum += logits.sum(axis=0, dtype=np.float64)
        if embeddings is not None:
            self.embedding_sum = self.embedding_sum + embeddings.sum(axis=0, dtype=np.float64)
        if self.with_segments:
            for span, window_scores, window_logits in zip(spans, scores, logits, strict=True):
                leader = int(rank_labels(window_scores, window_logits, 1)[0])
                self.extend(Segment(*span, self.labels[leader], float(window_scores[leader])))

    def extend(self, new: Segment) -> None:
        """Extend the last segment if the label is the same, else begin a new one."""
        last = self.segments[-1] if self.segments else None
        if last is not None and last.label == new.label:
            self.last_windows += 1
            mean = last.score + (new.score - last.score) / self.last_windows
            self.segments[-1] = replace(last, end=new.end, score=mean)
            return
        if last is not None:  # windows may overlap: a segment ends where the next one starts
            self.segments[-1] = replace(last, end=min(last.end, new.start))
        self.segments.append(new)
        self.last_windows = 1

    def result(self, top_k: int | None, threshold: float | np.ndarray | None) -> ClipResult:
        """The clip's tag, which has the highest mean score over its windows, and other requested results."""
        mean_scores = self.score_sum / self.count
        order = rank_labels(mean_scores, self.logit_sum / self.count, top_k or 1)
        top = embedding = None
        if top_k is not None:
            best = order[:top_k]
            if threshold is not None:  # one for all labels, or one for each
                best = best[(mean_scores >= threshold)[best]]
            top = tuple((self.labels[index], float(mean_scores[index])) for index in best)
        if not isinstance(self.embedding_sum, float):
            embedding = (self.embedding_sum / self.count).astype(np.float32)
        tag = self.labels[order[0]] if self.labels else None  # a model without a classifier
        return ClipResult(tag, top, tuple(self.segments) if self.with_segments else None, embedding)
