"""What a memory of windows costs where nothing repeats, and what it gains where half of all windows do."""

from contextlib import ExitStack
from statistics import median

from ..child import Answer, Subject, start
from ..outcome import Figure, Outcome, Row
from .bench import Bench


def twice(bench: Bench) -> Outcome:
    """With the memory and without, in turn, in one process: CPU seconds, which other work changes least."""
    on_cpu = {"device": "cpu"}
    taggers = {
        "YAMNet": (
            {"model": "yamnet", "weights": bench.materials.yamnet_weights(), **on_cpu},
            bench.scale.patches,
        ),
        "AST": ({"model": bench.weights, **on_cpu}, 2 * bench.scale.clips),
    }
    table: list[Row] = []
    figures: list[Figure] = []
    for name, (tagger, windows) in taggers.items():
        with ExitStack() as stack:
            child = start(Subject("twice", {"tagger": tagger}), bench.materials.logs, stack)
            microseconds = child.ask({"part": "digest"}).values["microseconds"]
            answers: dict[tuple[bool, bool], list[Answer]] = {}
            for turn in range(2 * bench.scale.rounds):
                for repeats in (False, True):
                    for has_memory in (True, False)[:: -1 if turn % 2 else 1]:
                        job = {"windows": windows, "repeats": repeats, "has_memory": has_memory}
                        answers.setdefault((repeats, has_memory), []).append(child.ask(job))
        ratios = {
            repeats: median(
                with_memory.cpu_seconds / without.cpu_seconds
                for with_memory, without in zip(answers[repeats, True], answers[repeats, False], strict=True)
            )
            for repeats in (False, True)
        }
        for (repeats, has_memory), found in answers.items():
            table.append(
                {
                    "model": name,
                    "windows": "half repeat" if repeats else "all differ",
                    "memory": "with" if has_memory else "without",
                    "CPU ms a window": 1000 * median(one.cpu_seconds for one in found) / windows,
                }
            )
        figures += [
            Figure(f"{name}: a window's digest", microseconds, "µs"),
            Figure(f"{name}: CPU time where all windows differ", ratios[False], "times", at_most=1.01),
            Figure(f"{name}: faster where half of them repeat", 1 / ratios[True], "times", at_least=1.8),
        ]
    return Outcome(table, figures)
