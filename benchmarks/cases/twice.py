"""What a memory of windows costs where none repeat, and what it gains where half of them do."""

from contextlib import ExitStack
from statistics import median

from ..child import Answer, Subject, start
from ..outcome import Figure, Outcome, Row
from .bench import Bench


def twice(bench: Bench) -> Outcome:
    """With the memory and without, in turn, in one process: CPU seconds, which other work changes least."""
    yamnet = {"model": "yamnet", "weights": bench.materials.yamnet_weights(), "device": "cpu"}
    ast = {"model": bench.weights, "device": "cpu"}
    outcomes = [
        compare(bench, "YAMNet", yamnet, bench.scale.patches // 8, 6 * bench.scale.rounds),
        compare(bench, "AST", ast, 1, bench.scale.rounds),
    ]
    return Outcome(
        [row for outcome in outcomes for row in outcome.table],
        [figure for outcome in outcomes for figure in outcome.figures],
    )


def compare(bench: Bench, name: str, tagger: dict[str, str], part_windows: int, rounds: int) -> Outcome:
    """`part_windows`: in a part of a clip where all are new; with repeats there are four times the clips."""
    answers: dict[tuple[bool, bool], list[Answer]] = {}
    with ExitStack() as stack:
        child = start(Subject("twice", {"tagger": tagger}), bench.materials.logs, stack)
        microseconds = child.ask({"what": "digest"}).values["microseconds"]
        warm_up = {"what": "hear", "part_windows": part_windows, "repeats": False, "has_memory": True}
        child.ask(warm_up)  # memory of this size is taken from the system once
        for turn in range(rounds):
            for repeats in (False, True):
                size = max(1, part_windows // 4) if repeats else part_windows
                for has_memory in (True, False)[:: -1 if turn % 2 else 1]:
                    job = {"what": "hear", "part_windows": size, "repeats": repeats, "has_memory": has_memory}
                    answers.setdefault((repeats, has_memory), []).append(child.ask(job))
    with_repeats = answers[True, True][0].values
    new_share = with_repeats["new_windows"] / with_repeats["windows"]
    cost, saved = (
        median(
            one.cpu_seconds / other.cpu_seconds
            for one, other in zip(answers[repeats, True], answers[repeats, False], strict=True)
        )
        for repeats in (False, True)
    )
    table: list[Row] = [
        {
            "model": name,
            "windows": f"{new_share:.0%} new" if repeats else "all new",
            "memory": "with" if has_memory else "without",
            "CPU ms a window": 1000 * median(one.cpu_seconds for one in found) / found[0].values["windows"],
            "s": median(one.seconds for one in found),
        }
        for (repeats, has_memory), found in sorted(answers.items())
    ]
    figures = [
        Figure(f"{name}: a window's digest", microseconds, "µs"),
        Figure(f"{name}: CPU time where all windows are new", cost, "times", at_most=1.01),
        Figure(f"{name}: speed where {new_share:.0%} are new", 1 / saved, "times", 0.9 / new_share),
    ]
    return Outcome(table, figures)
