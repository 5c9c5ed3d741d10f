"""The nodes of a Ray cluster, and whether each can do the jobs."""

import pickle
from collections.abc import Callable, Sequence
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ..._version import __version__
from ...errors import RunError
from ...text import one_line, safe_text
from ..cluster import Node
from ..contract import Probe

PROBE_SECONDS = 25.0  # for all nodes to answer
MOST_SHOWN = 10  # nodes with problems


def read_nodes() -> list[Node]:
    """The nodes that are alive."""
    found = []
    for one in ray.nodes():
        if one["Alive"]:
            resources = one["Resources"]
            name = one.get("NodeName") or one["NodeManagerHostname"]
            address = one["NodeManagerAddress"]
            shown = safe_text(name if name == address else f"{name} ({address})")
            found.append(Node(one["NodeID"], shown, resources.get("CPU", 0.0), resources.get("GPU", 0.0)))
    return found


def check_nodes(nodes: Sequence[Node], probe: Probe, folder: str) -> None:
    """Call a probe on each node, and raise an error that names those with problems."""
    payload = ray.put((pickle.dumps(probe), folder))
    examine = ray.remote(num_cpus=0, max_retries=0)(make_examination(__version__))
    asked = {}
    for node in nodes:
        there = NodeAffinitySchedulingStrategy(node.id, soft=False)
        asked[examine.options(scheduling_strategy=there).remote(payload)] = node
    answered, _ = ray.wait(list(asked), num_returns=len(asked), timeout=PROBE_SECONDS)
    problems = []
    for answer, node in asked.items():
        found = [f"it has not answered within {PROBE_SECONDS:.0f} s"]
        if answer in answered:
            try:
                found = ray.get(answer)
            except ray.exceptions.TaskUnschedulableError:
                found = []  # it is gone, and gets no worker either
            except Exception as error:
                found = [f"{type(error).__name__}: {one_line(error, 300)}"]
        problems += [f"Node {node.name}: {'; '.join(found)}."] if found else []
    if problems:
        more = f" So have {len(problems) - MOST_SHOWN:,} others." if len(problems) > MOST_SHOWN else ""
        raise RunError(f"{' '.join(problems[:MOST_SHOWN])}{more} Nothing has been tagged on the cluster.")


def make_examination(version: str) -> Callable[[Any], list[str]]:
    """What a node is asked. A function within a function travels by value: a node may lack this module."""

    def examine(payload: tuple[bytes, str]) -> list[str]:
        import contextlib
        import importlib
        import os
        import pickle

        try:
            there = importlib.import_module("hf_audio_tagger").__version__
        except ImportError as error:
            return [f"hf_audio_tagger cannot be imported there ({error}); install {version}"]
        if there != version:
            return [f"it has hf_audio_tagger {there}, and this machine {version}; install the same"]
        probe, folder = payload
        with contextlib.suppress(OSError):  # the probe tells where relative paths lead nowhere
            os.chdir(folder)
        return list(pickle.loads(probe)())

    return examine
