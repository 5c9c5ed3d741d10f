"""Neighbours beside the bare matrix product, and metrics beside scikit-learn."""

from statistics import median

from ..child import Subject, ask_in_turn
from ..outcome import Figure, Outcome, Row
from .bench import Bench

WIDTH, NEIGHBORS = 768, 100
FEWER = 5  # times fewer rows, for memory over rows
CLIPS, CLASSES = 20_371, 527  # AudioSet's eval


def neighbors(bench: Bench) -> Outcome:
    """Both in turn, in one process each; the base is an Arrow file that is mapped."""
    base, queries = bench.scale.base_rows, bench.scale.queries
    path = str(bench.materials.cache / f"vectors-{base}.arrow")
    settings = {"path": path, "rows": base, "queries": queries, "width": WIDTH, "k": NEIGHBORS}
    subjects = {
        name: Subject("neighbors", settings) for name in ("nearest", "nearest, fewer rows", "bare product")
    }
    jobs: dict[str, dict[str, str | int]] = {
        "nearest": {"way": "search", "rows": base},
        "nearest, fewer rows": {"way": "search", "rows": base // FEWER},
        "bare product": {"way": "multiply", "rows": base},
    }
    runs = ask_in_turn(subjects, jobs, bench.scale.rounds, bench.materials.logs)
    cpu = {name: median(answer.cpu_seconds for answer in answers) for name, answers in runs.answers.items()}
    grown = {
        name: max(answer.values["grown_mb"] for answer in runs.answers[name])
        for name in ("nearest", "nearest, fewer rows")
    }
    rows: list[Row] = [
        {
            "measured": name,
            "rows": jobs[name]["rows"],
            "s": runs.seconds(name),
            "CPU s": cpu[name],
            "MB above its start": grown.get(name),
        }
        for name in runs.answers
    ]
    ratio, cpu_ratio = 1 / runs.times_faster("nearest", "bare product"), cpu["nearest"] / cpu["bare product"]
    growth = grown["nearest"] - grown["nearest, fewer rows"]
    figures = [
        Figure("time over the bare product", ratio, "times", at_most=1.7),
        Figure("CPU time over the bare product", cpu_ratio, "times", at_most=1.7),
        Figure(f"memory of {base:,} rows over {base // FEWER:,}", growth, "MB", at_most=30),
    ]
    return Outcome(rows, figures, runs.notes())


def evaluation(bench: Bench) -> Outcome:
    clips = CLIPS if bench.scale.name != "tiny" else 300
    subjects = {"hf_audio_tagger": Subject("evaluation", {}), "scikit-learn": Subject("evaluation", {})}
    jobs = {name: {"way": name, "clips": clips, "classes": CLASSES} for name in subjects}
    runs = ask_in_turn(subjects, jobs, bench.scale.rounds, bench.materials.logs)
    rows: list[Row] = [
        {"measured": name, "s": runs.seconds(name), "CPU s": min(answer.cpu_seconds for answer in answers)}
        for name, answers in runs.answers.items()
    ]
    ours = runs.answers["hf_audio_tagger"]
    figures = [
        Figure("AP, AUC and lwlrap, CPU time", min(answer.cpu_seconds for answer in ours), "s", at_most=4)
    ]
    if "scikit-learn" in runs.answers:
        pair = [runs.answers[name][0].values["values"] for name in ("hf_audio_tagger", "scikit-learn")]
        apart = max(abs(one - other) for one, other in zip(*pair, strict=True))
        figures.append(Figure("largest difference from scikit-learn", apart, "", at_most=1e-12))
    return Outcome(rows, figures, runs.notes())
