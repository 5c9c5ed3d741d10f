"""Recipes with filters and the mapper: the same bytes as the peer, and the time from start to end."""

import time
from pathlib import Path

from ..child import Subject, ask_once
from ..outcome import Figure, Outcome, Row
from ..recipes import RECIPES, WITH_MOTION, read_outputs, write_recipe
from .bench import OURS, PEER, Bench

FROM_START = "motion"  # the recipe that is timed from the start of a process


def recipes(bench: Bench) -> Outcome:
    folder = Path(bench.materials.made("recipes", "recipes"))
    names = list(WITH_MOTION)[:2] if bench.scale.name == "tiny" else list(RECIPES)
    subjects = {OURS: Subject("recipes", {}), PEER: Subject("recipes_peer", {}, bench.materials.peer_python)}
    rows: list[Row] = []
    seconds, outputs = {}, {}
    for name, subject in subjects.items():
        out = {recipe: f"{subject.module}_{recipe}" for recipe in names}
        paths = [str(write_recipe(folder, recipe, out[recipe])) for recipe in names]
        answer = ask_once(subject, {"recipes": paths}, bench.materials.logs)
        outputs[name] = {recipe: read_outputs(folder, out[recipe]) for recipe in names}
        alone = str(write_recipe(folder, FROM_START, f"{subject.module}_alone"))
        started = time.perf_counter()
        ask_once(subject, {"recipes": [alone]}, bench.materials.logs)
        seconds[name] = time.perf_counter() - started
        cells = {"s, all recipes": answer.seconds, "CPU s": answer.cpu_seconds, "peak MB": answer.peak_mb}
        rows.append({"measured": name, **cells, "s, one recipe and the start": seconds[name]})
    same = [name for name in names if outputs[OURS][name] == outputs[PEER][name] != {}]
    figures = [
        Figure(f"recipes of {len(names)} with equal bytes", len(same), "", at_least=len(names)),
        Figure(f"time over {PEER}'s, from the start", seconds[OURS] / seconds[PEER], "times", at_most=0.333),
    ]
    differing = [name for name in names if name not in same]
    return Outcome(rows, figures, [f"Other bytes: {', '.join(differing)}."] if differing else [])
