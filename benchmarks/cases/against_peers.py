"""AST on clips and on an hour, beside the peers and the bare model."""

from dataclasses import replace

from ..child import Runs, ask_in_turn
from ..machine import has_bfloat16
from ..outcome import Figure, Outcome
from .bench import (
    BARE,
    LEAN,
    OURS,
    OURS_OPENVINO,
    PEER,
    PIPELINE,
    Bench,
    compare_tags,
    make_rows,
)

ROWS_A_VIDEO = 5


def clips(bench: Bench) -> Outcome:
    videos = bench.materials.clips(bench.scale.clips)
    subjects = {
        OURS: bench.ours(),
        OURS_OPENVINO: bench.ours(engine="openvino"),
        PEER: bench.peer(),
        PIPELINE: bench.pipeline(),
        BARE: bench.bare(videos, lean=False),
    }
    runs = ask_in_turn(subjects, {"videos": videos}, bench.scale.rounds, bench.materials.logs)
    return over_peer(runs, len(videos), [OURS, OURS_OPENVINO], "best float32 setting", 1.35)


def bfloat16(bench: Bench) -> Outcome:
    if not has_bfloat16():
        return Outcome(left_out="this processor has no bfloat16 instructions, and emulates them slowly")
    videos = bench.materials.clips(bench.scale.clips)
    in_torch, in_openvino = f"{OURS}, bfloat16", f"{OURS_OPENVINO}, bfloat16"
    in_int8 = f"{OURS_OPENVINO}, int8"
    subjects = {
        in_torch: bench.ours(dtype="bfloat16"),
        in_openvino: bench.ours(dtype="bfloat16", engine="openvino"),
        in_int8: bench.ours(dtype="int8", engine="openvino"),
        PEER: bench.peer(),
        f"{BARE}, bfloat16": bench.bare(videos, lean=False, dtype="bfloat16"),
    }
    runs = ask_in_turn(subjects, {"videos": videos}, bench.scale.rounds, bench.materials.logs)
    outcome = over_peer(runs, len(videos), [in_torch, in_openvino], "best bfloat16 setting", 2.7)
    if not {PEER, in_int8} <= runs.answers.keys():
        return outcome
    speed = Figure(f"speed over {PEER}, int8", runs.times_faster(in_int8, PEER), "times", at_least=4)
    return replace(outcome, figures=[*outcome.figures, speed])


def over_peer(runs: Runs, clips: int, ours: list[str], setting: str, at_least: float) -> Outcome:
    figures = []
    if PEER in runs.answers:
        best = runs.fastest(ours)
        speed = runs.times_faster(best, PEER)
        figures = [Figure(f"speed over {PEER}, {setting} ({best})", speed, "times", at_least)]
    return Outcome(make_rows(runs, clips, PEER), figures, compare_tags(runs, PEER) + runs.notes())


def overhead(bench: Bench) -> Outcome:
    videos = bench.materials.clips(bench.scale.clips)
    subjects = {OURS: bench.ours(), LEAN: bench.bare(videos, lean=True), BARE: bench.bare(videos, lean=False)}
    runs = ask_in_turn(subjects, {"videos": videos}, bench.scale.rounds + 1, bench.materials.logs)
    over = 1 / runs.times_faster(OURS, LEAN)
    figures = [
        Figure("time over the bare lean model's", over, "times", at_most=1.05),
        Figure("lean over transformers' own forward pass", runs.times_faster(LEAN, BARE), "times"),
    ]
    return Outcome(make_rows(runs, len(videos), LEAN), figures, runs.notes())


def hour(bench: Bench) -> Outcome:
    """Only beginnings are heard. Each process meets one video, so that its peak is that video's."""
    long, short = bench.materials.long_video(bench.scale.hour_seconds), bench.materials.clip(12, seed=7)
    on_hour, on_short = f"{OURS}, an hour", f"{OURS}, 12 s"
    subjects = {on_hour: bench.ours(), on_short: bench.ours(), PEER: bench.peer()}
    jobs = {name: {"videos": [short if name == on_short else long]} for name in subjects}
    runs = ask_in_turn(subjects, jobs, bench.scale.rounds + 2, bench.materials.logs)
    memory_ratio = runs.peak_mb(on_hour) / runs.peak_mb(on_short)
    figures = [
        Figure("an hour over 12 s, time", 1 / runs.times_faster(on_hour, on_short), "times", at_most=1.1),
        Figure("an hour over 12 s, peak memory", memory_ratio, "times", at_most=1.1),
    ]
    if PEER in runs.answers:
        memory_share = runs.peak_mb(on_hour) / runs.peak_mb(PEER)
        figures += [
            Figure(f"an hour, speed over {PEER}", runs.times_faster(on_hour, PEER), "times", 6.5),
            Figure(f"an hour, peak memory over {PEER}'s", memory_share, "times", at_most=0.24),
        ]
    return Outcome(make_rows(runs, 1, PEER), figures, runs.notes())


def repeats(bench: Bench) -> Outcome:
    """Captions: every video stands in several rows, one after another."""
    videos = bench.materials.clips(bench.scale.clips)[: bench.scale.videos]
    rows = [video for video in videos for _ in range(ROWS_A_VIDEO)]
    subjects = {OURS: bench.ours(), OURS_OPENVINO: bench.ours(engine="openvino"), PEER: bench.peer()}
    rounds = min(2, bench.scale.rounds)  # the peer takes a minute for each
    runs = ask_in_turn(subjects, {"videos": rows}, rounds, bench.materials.logs)
    return over_peer(runs, len(rows), [OURS, OURS_OPENVINO], "each video in 5 rows", 6.5)
