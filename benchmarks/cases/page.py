"""A report's page of many made-up clips in a browser: its making, its first picture, its filters."""

from statistics import median

from ..child import Answer, Subject, ask_once
from ..outcome import Figure, Outcome, Row
from .bench import Bench

CLIPS, FEW_CLIPS = 100_000, 500
FIRST_PICTURE_SECONDS, FILTER_MS, CODE_KB = 2, 100, 200


def page(bench: Bench) -> Outcome:
    """The page is opened from disk, in a headless Chromium of this machine."""
    clips = CLIPS if bench.scale.name != "tiny" else FEW_CLIPS
    subject = Subject("page", {"folder": str(bench.materials.cache / f"page-{clips}"), "clips": clips})
    made = ask_once(subject, {"way": "make"}, bench.materials.logs)
    seen: list[Answer] = [
        ask_once(subject, {"way": "open"}, bench.materials.logs) for _ in range(bench.scale.rounds)
    ]
    first = [answer.values["first_seconds"] for answer in seen]
    filters = {
        name: median(answer.values["filters"][name] for answer in seen) for name in seen[0].values["filters"]
    }
    rows: list[Row] = [
        {"measured": f"report of {clips:,} clips, written", "s": made.seconds, "CPU s": made.cpu_seconds},
        {"measured": "the first clips with their details", "s": median(first)},
        {"measured": "all columns read", "s": median(answer.values["ready_seconds"] for answer in seen)},
        *({"measured": f"filter: {name}", "s": taken / 1000} for name, taken in filters.items()),
    ]
    figures = [
        Figure("first picture", median(first), "s", at_most=FIRST_PICTURE_SECONDS),
        Figure("slowest filter", max(filters.values()), "ms", at_most=FILTER_MS),
        Figure("the page's own code", made.values["code_kb"], "kB", at_most=CODE_KB),
    ]
    return Outcome(rows, figures)
