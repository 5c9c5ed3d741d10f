"""AST in OpenVINO: what fewer bits gain and lose, the start of a process, and its memory."""

import tempfile
from contextlib import ExitStack
from statistics import median
from typing import TYPE_CHECKING

from ..child import Answer, Subject, ask_once, start
from ..machine import has_bfloat16
from ..outcome import Figure, Outcome, Row
from .bench import Bench

if TYPE_CHECKING:
    import numpy as np

FLOAT32, BFLOAT16, INT8 = "float32", "bfloat16", "int8"
START = {"part": "start"}


def int8(bench: Bench) -> Outcome:
    """Each dtype is started with an empty cache folder, then with the network that the first start kept."""
    import numpy as np

    dtypes = [FLOAT32, *[BFLOAT16] * has_bfloat16(), INT8]
    logs, rounds = bench.materials.logs, bench.scale.rounds
    windows = 2 * bench.scale.clips
    job = {"part": "compute", "windows": windows}
    firsts: dict[str, Answer] = {}
    starts: dict[str, Answer] = {}
    answers: dict[str, list[Answer]] = {dtype: [] for dtype in dtypes}
    with ExitStack() as stack:
        caches = {dtype: stack.enter_context(tempfile.TemporaryDirectory()) for dtype in dtypes}
        subjects = {dtype: make_subject(bench, dtype, caches[dtype]) for dtype in dtypes}
        for dtype in dtypes:
            firsts[dtype] = ask_once(subjects[dtype], START, logs)
        children = {dtype: start(subjects[dtype], logs, stack) for dtype in dtypes}
        for dtype in dtypes:
            starts[dtype] = children[dtype].ask(START)
            children[dtype].ask(job)  # compiles for a window on each core
        for _ in range(rounds):
            for dtype in dtypes:
                answers[dtype].append(children[dtype].ask(job))
    logits = {dtype: np.array(answers[dtype][0].values["logits"]) for dtype in dtypes}
    seconds = {dtype: median(one.seconds for one in answers[dtype]) / windows for dtype in dtypes}
    table: list[Row] = [
        {
            "dtype": dtype,
            "s a window": seconds[dtype],
            "CPU s a window": min(one.cpu_seconds for one in answers[dtype]) / windows,
            "correlation": float(np.corrcoef(logits[dtype].ravel(), logits[FLOAT32].ravel())[0, 1]),
            "worst rank of the tag": worst_rank(logits[dtype], logits[FLOAT32]),
            "first start, s": firsts[dtype].seconds,
            "second start, s": starts[dtype].seconds,
            "first start, peak MB": round(firsts[dtype].peak_mb),
            "converting process, peak MB": round(firsts[dtype].values["largest_child_mb"]),
            "peak MB": round(max(one.peak_mb for one in answers[dtype])),
        }
        for dtype in dtypes
    ]
    slowest = max(one.seconds for one in starts.values())
    largest = max(one.peak_mb for ones in answers.values() for one in ones)
    figures = [
        Figure("float32 over int8, time", seconds[FLOAT32] / seconds[INT8], "times", at_least=2.5),
        Figure("second start", slowest, "s", at_most=5),
        Figure("peak memory", largest, "MB", at_most=1800),
    ]
    note = f"{windows} windows; the weights are random, and the classifier amplifies what differs."
    return Outcome(table, figures, [note])


def make_subject(bench: Bench, dtype: str, cache: str) -> Subject:
    tagger = {"model": bench.weights, "engine": "openvino", "dtype": dtype, "device": "cpu"}
    return Subject("openvino", {"tagger": tagger}, environment={"HF_AUDIO_TAGGER_CACHE": cache})


def worst_rank(logits: "np.ndarray", exact: "np.ndarray") -> int:
    """The lowest place, from 1, at which the class that is exactly the first comes."""
    import numpy as np

    firsts = exact.argmax(axis=1)[:, None]
    return int((logits > np.take_along_axis(logits, firsts, axis=1)).sum(axis=1).max()) + 1
