"""Long sound, all of it: what decoding and the model take, in each engine and dtype."""

from contextlib import ExitStack
from statistics import median
from typing import Any

from ..child import Answer, Child, Subject, start
from ..machine import has_bfloat16
from ..outcome import Figure, Outcome, Row
from .bench import Bench

PLAIN = "float32"
SIDE_BY_SIDE = 3  # long videos, which together are as long as one alone
LONGEST_AST_SECONDS = 480  # 47 windows


def yamnet(bench: Bench) -> Outcome:
    video = bench.materials.long_video(bench.scale.hour_seconds)
    settings: dict[str, dict[str, Any]] = {PLAIN: {}, "float32, openvino": {"engine": "openvino"}}
    if has_bfloat16():
        settings["bfloat16"] = {"dtype": "bfloat16"}
        settings["bfloat16, openvino"] = {"dtype": "bfloat16", "engine": "openvino"}
    table: list[Row] = []
    hour = bench.scale.hour_seconds
    several = [bench.materials.long_video(hour // SIDE_BY_SIDE, seed) for seed in range(1, SIDE_BY_SIDE + 1)]
    shares, seconds, cores = {}, {}, {}
    for name, tagger in settings.items():
        given = {"weights": bench.materials.yamnet_weights(), "warm": bench.warm, "tagger": tagger}
        job = {"video": video, "patches": bench.scale.patches}
        with ExitStack() as stack:
            child = start(Subject("yamnet", given), bench.materials.logs, stack)
            decoding = child.ask({**job, "part": "decoding"})
            patches = decoding.values["patches"]
            model = patches / child.ask({**job, "part": "batched"}).values["patches_a_second"]
            if name == PLAIN:
                alone = patches / child.ask({**job, "part": "one by one"}).values["patches_a_second"]
                batches_gain = alone / model
            whole = ask_best(child, {**job, "part": "whole"}, bench.scale.rounds)
            together = ask_best(child, {"videos": several, "part": "side by side"}, bench.scale.rounds)
        shares[name] = decoding.seconds / (decoding.seconds + model)
        seconds[name] = whole.seconds
        cores[name] = together.cpu_seconds / together.seconds
        table.append(
            {
                "setting": name,
                "decoding and windows alone, s": decoding.seconds,
                "model alone, s": model,
                "end to end, s": whole.seconds,
                "CPU s": whole.cpu_seconds,
                f"{SIDE_BY_SIDE} side by side, s": together.seconds,
                "their CPU s": together.cpu_seconds,
                "peak MB": round(whole.peak_mb),
            }
        )
    best, fastest = max(shares, key=shares.__getitem__), min(seconds, key=seconds.__getitem__)
    figures = [
        Figure(f"decoding's share of {hour} s of video ({best})", shares[best], "", at_least=0.5),
        Figure("batches over a patch at a time", batches_gain, "times", at_least=5),
        Figure(f"seconds of sound heard in a second ({PLAIN})", hour / seconds[PLAIN], ""),
        Figure(f"seconds of sound heard in a second ({fastest})", hour / seconds[fastest], "", at_least=600),
        Figure(f"CPU seconds a second, {SIDE_BY_SIDE} side by side", cores[fastest], "", at_least=1.9),
    ]
    note = (
        f"{patches} patches; the model alone was timed on {bench.scale.patches} of them. End to end and side "
        f"by side: the best of {bench.scale.rounds} rounds."
    )
    return Outcome(table, figures, [note])


def ask_best(child: Child, job: dict[str, Any], rounds: int) -> Answer:
    """The round that took least time: others share the machine."""
    return min((child.ask(job) for _ in range(rounds)), key=lambda answer: answer.seconds)


def long(bench: Bench) -> Outcome:
    """Every window of a long video, beside the network alone on as many windows: the median of the rounds."""
    seconds = min(bench.scale.hour_seconds, LONGEST_AST_SECONDS)
    video = bench.materials.long_video(seconds)
    dtype = "bfloat16" if has_bfloat16() else PLAIN
    table: list[Row] = []
    overs = {}
    for engine in ("torch", "openvino"):
        tagger = {"model": bench.weights, "engine": engine, "dtype": dtype}
        with ExitStack() as stack:
            given = {"tagger": tagger, "warm": bench.warm}
            child = start(Subject("every_window", given), bench.materials.logs, stack)
            windows = child.ask({"part": "count", "video": video}).values["windows"]
            jobs = {"whole": {"video": video}, "network": {"windows": windows}}
            answers: dict[str, list[Answer]] = {part: [] for part in jobs}
            for turn in range(bench.scale.rounds):
                for part in list(jobs)[:: -1 if turn % 2 else 1]:
                    answers[part].append(child.ask({"part": part, **jobs[part]}))
        rounds = list(zip(answers["whole"], answers["network"], strict=True))
        overs[engine] = median(whole.seconds / network.seconds for whole, network in rounds)
        table.append(
            {
                "engine": engine,
                "whole, s": median(whole.seconds for whole, _ in rounds),
                "network alone, s": median(network.seconds for _, network in rounds),
                "whole, CPU s": median(whole.cpu_seconds for whole, _ in rounds),
                "network alone, CPU s": median(network.cpu_seconds for _, network in rounds),
                "peak MB": round(max(whole.peak_mb for whole, _ in rounds)),
            }
        )
    figures = [
        Figure(f"whole over the network alone ({engine}, {dtype})", over, "times", at_most=1.03)
        for engine, over in overs.items()
    ]
    return Outcome(table, figures, [f"{windows} windows of {seconds} s."])
