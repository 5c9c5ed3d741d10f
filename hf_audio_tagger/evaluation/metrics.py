"""Ranking metrics of scores against labels, as AudioSet's papers compute them. numpy alone.

`truths` says whether a clip has a class, `scores` how sure a model is. Equal scores are one step of a curve,
as in scikit-learn. A class with no positive (or no negative) clip has no value: nan.
"""

from statistics import NormalDist

import numpy as np

PAIRS_AT_ONCE = 4_096  # of a clip and one of its labels, in `compute_lwlrap`


def compute_curve(truths: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each distinct score, best first: the score, and the positives and clips of at least that score.

    >>> [one.tolist() for one in compute_curve(np.array([1, 0, 1, 0]), np.array([0.5, 0.5, 0.9, 0.1]))]
    [[0.9, 0.5, 0.1], [1, 2, 2], [1, 3, 4]]
    """
    order = np.argsort(-scores, kind="stable")
    scores, truths = scores[order], truths[order]
    lasts = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1) if len(scores) else np.zeros(0, int)
    return scores[lasts], np.cumsum(truths)[lasts], lasts + 1


def measure_ranking(truths: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """Average precision and area under the ROC.

    The first is the mean of precision over the steps of recall, without interpolation; the second is the
    probability that a positive clip has a higher score than a negative one, where equal scores count half.

    >>> measure_ranking(np.array([1, 0, 1, 0]), np.array([0.5, 0.5, 0.5, 0.1])) == (2 / 3, 3 / 4)
    True
    """
    _, hits, clips = compute_curve(truths, scores)
    if not len(hits) or not hits[-1]:
        return float("nan"), float("nan")
    steps, misses = np.diff(hits, prepend=0), clips - hits
    precision = float(np.sum(steps * (hits / clips)) / hits[-1])
    if not misses[-1]:
        return precision, float("nan")
    above = misses - np.diff(misses, prepend=0) / 2  # negatives of a higher score, and half of the equal ones
    return precision, float(1 - np.sum(steps * above) / (hits[-1] * misses[-1]))


def compute_d_prime(area: float) -> float:
    """How far apart two normal distributions of width 1 are whose ROC has this area.

    >>> round(compute_d_prime(0.9785620310764190), 12)
    2.863664393197
    >>> compute_d_prime(1.0)
    inf
    """
    if not 0 < area < 1:
        return float({0.0: "-inf", 1.0: "inf"}.get(area, "nan"))
    return 2**0.5 * NormalDist().inv_cdf(area)


def compute_lwlrap(truths: np.ndarray, scores: np.ndarray) -> float:
    """Label-weighted label-ranking average precision: how well a clip's own labels rank among all classes.

    For each label of each clip, the share of the clip's labels among the classes that score at least as high;
    the mean over all labels of all clips.

    >>> compute_lwlrap(np.array([[1, 0, 1]]), np.array([[0.9, 0.5, 0.1]])) == (1 + 2 / 3) / 2
    True
    """
    clips, classes = np.nonzero(truths)
    total = 0.0
    for start in range(0, len(clips), PAIRS_AT_ONCE):
        some = clips[start : start + PAIRS_AT_ONCE]
        own = scores[some, classes[start : start + PAIRS_AT_ONCE]]
        is_above = scores[some] >= own[:, None]
        total += float(((is_above & (truths[some] > 0)).sum(axis=1) / is_above.sum(axis=1)).sum())
    return total / len(clips) if len(clips) else float("nan")
