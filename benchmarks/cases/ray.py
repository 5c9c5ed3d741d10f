"""A cluster of processes on this machine: two workers beside `num_proc=2`, and four nodes beside one."""

from contextlib import ExitStack
from statistics import median

from ..child import Subject, start
from ..outcome import Figure, Outcome, Row
from .bench import Bench

SHARD_ROWS = 8
NODES = (1, 4)


def ray(bench: Bench) -> Outcome:
    """Speeds after the start: neither Ray's nor the model's is in them.

    Jobs sleep where nodes are compared, since their processes share the cores of this machine.
    """
    is_tiny = bench.scale.name == "tiny"
    videos = bench.materials.variants(bench.materials.clip(12), 8 * bench.scale.clips)
    tagger = {**bench.ours().settings["tagger"], "batch_size": 2}
    tagging = {"part": "tagging", "tagger": tagger, "videos": videos, "shard_rows": SHARD_ROWS}
    ways = {"num_proc=2": False, "two workers of a cluster": True}
    seconds, jobs = (0.2, 2) if is_tiny else (0.5, 40)
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    with ExitStack() as stack:
        # One each: where Ray is loaded, worker processes are spawned instead of forked.
        children = {name: start(Subject("ray_runs", {}), bench.materials.logs, stack) for name in ways}
        for turn in range(bench.scale.rounds):
            for name in list(ways)[:: -1 if turn % 2 else 1]:
                answer = children[name].ask({**tagging, "is_on_ray": ways[name]})
                speeds[name].append(answer.values["rows_a_second"])
        sleeping = {"part": "sleeping", "sleep_seconds": seconds, "jobs": jobs}
        *_, child = children.values()
        paces = {nodes: child.ask({**sleeping, "nodes": nodes}).values["jobs_a_second"] for nodes in NODES}
    table: list[Row] = []
    for name, found in speeds.items():
        table.append({"measured": f"clips, {name}", "a second": median(found)})
    for count, pace in paces.items():
        name, share = f"jobs that sleep {seconds} s, nodes: {count}", pace * seconds / count
        table.append({"measured": name, "a second": pace, "share of the time in jobs": share})
    local, there = speeds.values()
    times_faster = median(one / other for one, other in zip(there, local, strict=True))
    one, four = (paces[nodes] for nodes in NODES)
    figures = [
        Figure("two workers of a cluster over num_proc=2", times_faster, "times", at_least=0.9),
        Figure("four nodes over one", four / one, "times", at_least=3.6),
    ]
    return Outcome(table, figures)
