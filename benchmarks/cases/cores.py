"""More cores than this machine has: a model that only waits stands for them, all else is the package's."""

from contextlib import ExitStack
from math import ceil

from ..child import Child, Subject, start
from ..outcome import Figure, Outcome, Row
from .bench import Bench

CORES = (4, 16, 64)
PROCESS, WORKERS_EACH, GPU = "one process", "num_proc", "a GPU's batches"
WINDOWS_BY_MS = {1: 20, 30: 1, 1000: 1}  # of a core for a window: YAMNet's and AST's, roughly; windows a clip
BATCH, LONG_BATCH = 16, 4  # clips; fewer where a worker takes a second for each
START_SECONDS = 0.08  # at least, for each worker: all work at a time before the first one is through
GPU_BATCH, GPU_BATCH_MS = 128, 100  # AST-base at 1,280 clips a second

# What is held to 0.95. Others need more CPU time than 2 cores have, or than the GIL gives to one process.
FED = {(PROCESS, 4, 30), *((PROCESS, cores, 1000) for cores in CORES)}
FED |= {(WORKERS_EACH, cores, ms) for cores in CORES[:2] for ms in (30, 1000)}


def cores(bench: Bench) -> Outcome:
    """The efficiency: the model's time over the whole, in one process and in workers of a core each."""
    seconds = bench.scale.waiting_seconds
    counts = [count for count in CORES if count <= bench.scale.most_cores]
    rows: list[Row] = []
    with ExitStack() as stack:
        child = start(Subject("waiting", {}), bench.materials.logs, stack)
        for ms, windows in WINDOWS_BY_MS.items():
            batch = BATCH if ms < 1000 else LONG_BATCH
            rows += [measure_process(child, cores, ms, windows, batch, seconds) for cores in counts]
            rows += [measure_workers(child, cores, ms, windows, batch, seconds) for cores in counts]
        gpu = measure_process(child, 1, GPU_BATCH_MS / GPU_BATCH, 1, GPU_BATCH, seconds)
    rows.append({**gpu, "how": GPU, "ms a window": f"{GPU_BATCH_MS} / {GPU_BATCH}"})
    figures = [
        Figure(
            f"efficiency, {how}, {cores} cores, {ms} ms a window",
            float(row["efficiency"] or 0),
            "",
            at_least=0.95,
        )
        for row in rows
        if (key := (row["how"], row["cores"], row["ms a window"])) in FED
        for how, cores, ms in [key]
    ]
    serial = float(gpu["caller's CPU us a clip"] or 0)
    figures.append(Figure("the caller's own work for a clip of one window", serial, "us", at_most=1000))
    note = "Starting 64 workers takes 2 cores 4 to 6 s, which differ too much to judge the seconds after."
    return Outcome(rows, figures, [note])


def measure_process(child: Child, cores: int, ms: float, windows: int, batch: int, seconds: float) -> Row:
    """A process whose model waits as so many cores would take."""
    clip_seconds = ms / 1000 * windows / cores
    clips = batch * max(2, ceil(seconds / clip_seconds / batch))
    job = {"ms": ms, "windows": windows, "cores": cores, "batch": batch, "clips": clips, "in_workers": False}
    answer = child.ask(job)
    return {
        "how": PROCESS,
        "cores": cores,
        "ms a window": ms,
        "windows a clip": windows,
        "efficiency": clips * clip_seconds / answer.seconds,
        "us a clip beside the model": (answer.seconds / clips - clip_seconds) * 1e6,
        "CPU us a clip": answer.cpu_seconds / clips * 1e6,
        "caller's CPU us a clip": answer.values["thread_seconds"] / clips * 1e6,
    }


def measure_workers(child: Child, cores: int, ms: float, windows: int, batch: int, seconds: float) -> Row:
    """Workers of a core each. The slope between few and many clips: the start of the workers is left out."""
    clip_seconds = ms / 1000 * windows
    few = batch * max(1, ceil(START_SECONDS * cores / clip_seconds / batch))
    more = batch * max(1, ceil(seconds / clip_seconds / batch))
    job = {"ms": ms, "windows": windows, "cores": cores, "batch": batch, "in_workers": True}
    short, long = (child.ask({**job, "clips": cores * clips}) for clips in (few, few + more))
    taken = long.seconds - short.seconds
    return {
        "how": WORKERS_EACH,
        "cores": cores,
        "ms a window": ms,
        "windows a clip": windows,
        "efficiency": more * clip_seconds / taken if taken > 0 else None,  # on a machine too busy to tell
        "us a clip beside the model": (taken / more - clip_seconds) * 1e6,
        "CPU us a clip": (long.cpu_seconds - short.cpu_seconds) / (cores * more) * 1e6,
        "s to start": max(0.0, short.seconds - few * clip_seconds),
    }
