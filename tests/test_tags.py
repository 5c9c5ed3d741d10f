"""Logits to scores, tags, top-k and segments; numpy alone is the judge."""

import subprocess
import sys

import numpy as np
import pytest

from hf_audio_tagger.scores import ScoreSum, Segment, compute_scores, rank_labels

LABELS = ("a", "b", "c", "d")


def tally(logits: np.ndarray, multi_label: bool = True, hop: float = 10.0, length: float = 10.0) -> ScoreSum:
    made = ScoreSum(LABELS, multi_label, with_segments=True)
    starts = np.arange(len(logits)) * hop
    made.add([(start, start + length) for start in starts], logits.astype(np.float32), None)
    return made


def test_scores_are_sigmoids_or_a_softmax() -> None:
    logits = np.array([[-3.0, 0.0, 2.0, 5.0]], np.float32)
    assert np.allclose(compute_scores(logits, True), 1 / (1 + np.exp(-logits.astype(np.float64))))
    softmax = np.exp(logits) / np.exp(logits).sum()
    assert np.allclose(compute_scores(logits, False), softmax)
    windows = np.array([[-3.0, 0.0, 2.0, 5.0], [4.0, 4.0, 1.0, 0.0]], np.float32)
    for window, scores in zip(windows, compute_scores(windows, False), strict=True):  # each for itself
        assert np.allclose(scores, np.exp(window) / np.exp(window).sum())
    extreme = np.array([[-2000.0, 2000.0, 0.0, 1.0]], np.float32)
    with np.errstate(all="raise", under="ignore"):
        assert np.isfinite(compute_scores(extreme, True)).all()
        assert np.isfinite(compute_scores(extreme, False)).all()


def test_order_is_by_logit_where_scores_tie_and_by_index_where_logits_do() -> None:
    logits = np.array([[40.0, 41.0, 41.0, 39.0]])  # every sigmoid is 1.0 in float64, too
    assert (compute_scores(logits, True) == 1.0).all()
    assert rank_labels(compute_scores(logits, True)[0], logits[0]).tolist() == [1, 2, 0, 3]
    top = tally(logits).result(top_k=4, threshold=None).top
    assert top is not None
    assert [label for label, _ in top] == ["b", "c", "a", "d"]


def test_the_first_labels_are_those_of_the_whole_order() -> None:
    """With many ties, so that some of equal score and logit are beyond the first ones."""
    rng = np.random.default_rng(3)
    for _ in range(50):
        scores, logits = rng.integers(0, 5, 40) / 4, rng.integers(0, 3, 40).astype(float)
        order = sorted(range(40), key=lambda index: (-scores[index], -logits[index], index))
        assert rank_labels(scores, logits).tolist() == order
        for count in (1, 3, 39, 40, 41):
            assert rank_labels(scores, logits, count).tolist() == order[:count]


def test_the_tag_is_the_highest_mean_score_and_not_the_highest_mean_logit() -> None:
    logits = np.array([[8.0, 1.0, -9.0, -9.0], [-8.0, 1.0, -9.0, -9.0], [-9.0, 1.0, -9.0, -9.0]])
    scores = 1 / (1 + np.exp(-logits))
    expected = LABELS[int(scores.mean(axis=0).argmax())]
    result = tally(logits).result(top_k=2, threshold=None)
    assert result.tag == expected == "b"
    assert result.top is not None
    assert np.allclose([score for _, score in result.top], np.sort(scores.mean(axis=0))[::-1][:2])


def test_windows_may_come_in_any_portions() -> None:
    logits = np.random.default_rng(1).normal(size=(7, 4)) * 3
    pooled = np.random.default_rng(2).normal(size=(7, 5)).astype(np.float32)
    spans = [(float(n), float(n + 1)) for n in range(7)]
    whole, parts = (ScoreSum(LABELS, True, with_segments=True) for _ in range(2))
    whole.add(spans, logits, pooled)
    for rows in (slice(0, 1), slice(1, 5), slice(5, 7)):
        parts.add(spans[rows], logits[rows], pooled[rows])
    one, other = whole.result(4, None), parts.result(4, None)
    assert one.tag == other.tag
    assert one.segments == other.segments
    assert one.embedding is not None
    assert one.embedding.dtype == np.float32
    assert np.allclose(one.embedding, pooled.mean(axis=0), atol=1e-6)
    assert np.allclose(other.embedding, one.embedding)


@pytest.mark.parametrize(("threshold", "count"), [(None, 3), (0.0, 3), (0.6, 2), (0.9999, 0)])
def test_threshold_trims_the_top_down_to_nothing(threshold: float | None, count: int) -> None:
    result = tally(np.array([[2.0, 1.0, -1.0, -3.0]])).result(top_k=3, threshold=threshold)
    assert result.top is not None
    assert len(result.top) == count
    assert result.tag == "a"


def leads(*labels: str) -> np.ndarray:
    logits = np.full((len(labels), len(LABELS)), -2.0)
    for row, label in zip(logits, labels, strict=True):
        row[LABELS.index(label)] = 2.0
    return logits


def test_equal_neighbours_are_joined_in_order() -> None:
    score = 1 / (1 + np.exp(-2.0))
    segments = tally(leads("a", "a", "b", "a", "a", "a")).result(None, None).segments
    assert segments is not None
    assert [(one.start, one.end, one.label) for one in segments] == [
        (0, 20, "a"),
        (20, 30, "b"),
        (30, 60, "a"),
    ]
    assert np.allclose([one.score for one in segments], score)


def test_a_segments_score_is_the_mean_of_its_windows() -> None:
    logits = np.array([[1.0, -9, -9, -9], [2.0, -9, -9, -9], [4.0, -9, -9, -9]])
    segments = tally(logits).result(None, None).segments
    assert segments is not None
    assert len(segments) == 1
    assert np.isclose(segments[0].score, (1 / (1 + np.exp(-logits[:, 0]))).mean())


def test_each_segments_score_is_of_its_own_windows() -> None:
    logits = np.array([[1.0, -9], [2.0, -9], [3.0, -9], [-9, 1.0], [-9, 4.0], [5.0, -9], [2.0, -9]])
    scores = 1 / (1 + np.exp(-logits))
    segments = tally(np.pad(logits, ((0, 0), (0, 2)), constant_values=-9.0)).result(None, None).segments
    assert segments is not None
    means = [scores[:3, 0].mean(), scores[3:5, 1].mean(), scores[5:, 0].mean()]
    assert np.allclose([one.score for one in segments], means)


def test_what_was_not_asked_for_is_null_and_not_empty() -> None:
    quiet = ScoreSum(LABELS, True, with_segments=False)
    quiet.add([(0.0, 10.0)], leads("a"), None)
    result = quiet.result(None, 0.1)
    assert (result.tag, result.top, result.segments, result.embedding) == ("a", None, None, None)


def test_a_mean_embedding_is_summed_in_double_precision() -> None:
    pooled = np.array([[3e8], [1.5], [1.5], [-3e8]], np.float32)
    clip = ScoreSum(LABELS, True, with_segments=False)
    clip.add([(0.0, 1.0)] * 4, leads("a", "a", "a", "a"), pooled)
    assert clip.result(None, None).embedding == np.float32(0.75)


def test_overlapping_windows_meet_where_the_next_one_begins() -> None:
    segments = tally(leads("a", "b", "b"), hop=0.5, length=1.0).result(None, None).segments
    assert segments is not None
    assert [(one.start, one.end) for one in segments] == [(0.0, 0.5), (0.5, 2.0)]
    apart = tally(leads("a", "b"), hop=3.0, length=1.0).result(None, None).segments
    assert apart == (Segment(0.0, 1.0, "a", apart[0].score), Segment(3.0, 4.0, "b", apart[1].score))


def test_no_torch_is_needed() -> None:
    code = "import sys, hf_audio_tagger.scores; assert not {'torch', 'datasets'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
