"""What must stay flat: memory over clips, cost over rows, decoding, workers, start-up."""

from contextlib import ExitStack
from statistics import fmean

from ..child import Subject, ask_in_turn, start
from ..outcome import Figure, Outcome, Row
from .bench import Bench

SETTLED_CLIPS = 200  # libraries, caches and the memo have filled by then
CLIPS_AT_ONCE = 50


def leak(bench: Bench) -> Outcome:
    clips = bench.materials.tiny_clips(bench.scale.tiny_clips)
    rows: list[Row] = []
    figures = []
    for decoder in ("auto", "pyav"):
        with ExitStack() as stack:
            child = start(bench.ours(model="demo", decoder=decoder), bench.materials.logs, stack)
            resident = {
                first + CLIPS_AT_ONCE: child.ask({"videos": clips[first : first + CLIPS_AT_ONCE]}).values[
                    "resident_mb"
                ]
                for first in range(0, len(clips), CLIPS_AT_ONCE)
            }
        later = {count: mb for count, mb in resident.items() if count >= SETTLED_CLIPS}
        growth = max(later.values()) - later[SETTLED_CLIPS]
        figures.append(
            Figure(
                f"growth after the first {SETTLED_CLIPS} of {len(clips)}, {decoder}", growth, "MB", at_most=30
            )
        )
        shown = [count for count in later if count % (len(clips) // 5) == 0 or count == SETTLED_CLIPS]
        rows.append({"decoder": decoder, **{f"MB after {count}": round(later[count]) for count in shown}})
    return Outcome(rows, figures)


def decode(bench: Bench) -> Outcome:
    """The safety probe, 10.24 s of sound and the resampler: what a clip costs before the model."""
    source = bench.materials.clip(50, seed=3)
    videos = bench.materials.variants(source, 10 * bench.scale.clips)
    names = {
        f"{decoder}, {threads} thread{'s' * (threads > 1)}": (decoder, threads)
        for decoder in ("torchcodec", "pyav")
        for threads in (1, 2)
    }
    subjects = {
        name: Subject("first_window", {"decoder": decoder, "threads": threads, "warm": source})
        for name, (decoder, threads) in names.items()
    }
    runs = ask_in_turn(subjects, {"videos": videos}, 2 * bench.scale.rounds + 1, bench.materials.logs)
    rows: list[Row] = [
        {
            "decoder": name,
            "ms a clip": 1000 * runs.seconds(name) / len(videos),
            "best round, ms a clip": 1000 * min(one.seconds for one in answers) / len(videos),
            "CPU ms a clip": 1000 * min(one.cpu_seconds for one in answers) / len(videos),
        }
        for name, answers in runs.answers.items()
    ]
    fast = "torchcodec, 2 threads"
    figures = []
    if fast in runs.answers:
        figures = [
            Figure(f"10.24 s of a 50 s mp4, {fast}", 1000 * runs.seconds(fast) / len(videos), "ms", at_most=8)
        ]
    return Outcome(rows, figures, runs.notes())


def rows(bench: Bench) -> Outcome:
    """Ten times the rows, ten times the time: nothing is quadratic, and no cache grows."""
    few, many = bench.scale.rows, 10 * bench.scale.rows
    with ExitStack() as stack:
        child = start(Subject("many_rows", {}), bench.materials.logs, stack)
        # Few rows before and after many: the machine's drift falls on both.
        counts = (few, few, many, few, few)
        answers = [child.ask({"rows": count}) for count in counts]
    seconds = {
        count: fmean(answer.seconds for answer, rows in zip(answers, counts, strict=True) if rows == count)
        for count in (few, many)
    }
    ratio = seconds[many] / seconds[few]
    table: list[Row] = [
        {"rows": count, "seconds": taken, "ms a row": 1000 * taken / count}
        for count, taken in seconds.items()
    ]
    return Outcome(table, [Figure(f"cost of {many} rows over {few}", ratio, "times", at_most=10.5)])


def workers(bench: Bench) -> Outcome:
    """`num_proc` and threads. The slope between few and many clips is the speed, the rest is the start."""
    many = bench.materials.variants(bench.materials.clip(50, seed=3), 3 * bench.scale.clips)
    few = many[:2]
    ways = {
        "one process, 2 threads": (None, "2"),
        "one process, 1 thread": (None, "1"),
        "num_proc=2, a thread each": (2, "1"),
        "num_proc=2, 2 threads each": (2, "2"),
        "num_proc=2, as it chooses": (2, ""),
    }
    table: list[Row] = []
    for name, (num_proc, threads) in ways.items():
        ours = bench.ours()
        subject = Subject(
            "tagger",
            {"tagger": ours.settings["tagger"], "num_proc": num_proc},
            environment={"OMP_NUM_THREADS": threads},
        )
        with ExitStack() as stack:
            child = start(subject, bench.materials.logs, stack)
            child.ask({"videos": few})  # the file system's cache, and in one process the model
            short, long = child.ask({"videos": few}).seconds, child.ask({"videos": many}).seconds
        slope = (long - short) / (len(many) - len(few))
        table.append(
            {
                "how": name,
                "clips a second": 1 / slope if slope > 0 else None,  # on a machine too busy to tell
                "s to start": max(0.0, short - slope * len(few)),
                f"s for {len(many)} clips": long,
            }
        )
    return Outcome(table)
