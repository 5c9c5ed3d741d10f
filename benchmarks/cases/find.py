"""Rows by words: one text's vector against a million embeddings, once its model is loaded."""

from statistics import median

from ..child import Subject, ask_in_turn
from ..outcome import Figure, Outcome, Row
from .bench import Bench

WIDTH, FOUND = 512, 20  # of CLAP's embeddings
TIMES = 5  # the rows of the case `neighbors`
FEWER = 5  # times fewer rows, for memory over rows


def find(bench: Bench) -> Outcome:
    """An Arrow file that is mapped; read once before, so that it is in memory if it fits."""
    rows = TIMES * bench.scale.base_rows
    path = str(bench.materials.cache / f"vectors-{rows}-{WIDTH}.arrow")
    settings = {"path": path, "rows": rows, "queries": 1, "width": WIDTH, "k": FOUND}
    jobs: dict[str, dict[str, str | int]] = {
        "find": {"way": "find", "rows": rows},
        "find, fewer rows": {"way": "find", "rows": rows // FEWER},
    }
    subjects = {name: Subject("neighbors", settings) for name in jobs}
    runs = ask_in_turn(subjects, jobs, bench.scale.rounds, bench.materials.logs)
    grown = {
        name: max(answer.values["grown_mb"] for answer in answers) for name, answers in runs.answers.items()
    }
    table: list[Row] = [
        {
            "measured": name,
            "rows": jobs[name]["rows"],
            "s": runs.seconds(name),
            "CPU s": median(answer.cpu_seconds for answer in answers),
            "MB above its start": grown[name],
        }
        for name, answers in runs.answers.items()
    ]
    figures = [
        Figure(f"{rows:,} rows", runs.seconds("find"), "s", at_most=2),
        Figure(
            f"memory of {rows:,} rows over {rows // FEWER:,}",
            grown["find"] - grown["find, fewer rows"],
            "MB",
            at_most=30,
        ),
    ]
    return Outcome(table, figures, runs.notes())
