"""Metrics of random scores with ties, ours and scikit-learn's."""

import time

import numpy as np

from benchmarks.subjects.serving import Job, Run, serve

SEED = 20_261
STEPS = 5_000  # distinct scores: several clips of a class have the same
SHARE = 0.005  # of positives in a class


def make_arrays(clips: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(SEED)
    truths = rng.random((clips, classes)) < SHARE
    truths[np.arange(classes) % clips, np.arange(classes)] = True
    return truths, rng.integers(0, STEPS, (clips, classes)) / STEPS


def measure_ours(truths: np.ndarray, scores: np.ndarray) -> list[float]:
    from hf_audio_tagger.evaluation.evaluate import Scored, measure_scores

    names = [f"class {place}" for place in range(truths.shape[1])]
    found = measure_scores(Scored(truths, scores), names)
    by_class = [value for one in found["classes"] for value in (one.ap, one.auc)]
    return [*by_class, found["lwlrap"], found["mean_ap"], found["mean_auc"]]


def measure_theirs(truths: np.ndarray, scores: np.ndarray) -> list[float]:
    from sklearn import metrics

    pairs = [
        (metrics.average_precision_score(*column), metrics.roc_auc_score(*column))
        for column in zip(truths.T, scores.T, strict=True)
    ]
    ranked = metrics.label_ranking_average_precision_score(truths, scores, sample_weight=truths.sum(axis=1))
    means = np.mean(pairs, axis=0).tolist()
    return [*(value for pair in pairs for value in pair), float(ranked), *means]


WAYS = {"hf_audio_tagger": measure_ours, "scikit-learn": measure_theirs}


def prepare(_: Job) -> Run:
    def run(job: Job) -> Job:
        arrays, measure = make_arrays(job["clips"], job["classes"]), WAYS[job["way"]]
        measure(*(array[:500, :3] for array in arrays))  # imports
        started, cpu_started = time.perf_counter(), time.process_time()
        values = measure(*arrays)
        taken = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - cpu_started}
        return {**taken, "values": values}

    return run


if __name__ == "__main__":
    serve(prepare)
