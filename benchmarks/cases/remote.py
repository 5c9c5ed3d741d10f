"""Clips behind a web server: what the first window costs, and what many at a time gain."""

from contextlib import ExitStack

from ..child import Subject, start
from ..outcome import Figure, Outcome, Row
from .bench import Bench

CONTAINERS = (
    "mp4, index first",
    "mp4, index last",
    "mp4, fragments",
    "mp4, fragments, index last",
    "mkv",
    "webm",
)
DELAY_SECONDS = 0.1
CLIPS = 32
CLIP_SECONDS = 60


def remote(bench: Bench) -> Outcome:
    """Clips of 3.4 Mb/s on loopback; then each request takes 100 ms, which is what a store far away takes."""
    is_tiny = bench.scale.name == "tiny"
    seconds, clips = (12, 4) if is_tiny else (CLIP_SECONDS, CLIPS)
    rows: list[Row] = []
    with ExitStack() as stack:
        child = start(Subject("remote", {}), bench.materials.logs, stack)
        for container in CONTAINERS:
            found = child.ask({"part": "window", "container": container, "clip_seconds": seconds}).values
            rows.append(
                {
                    "first window of": container,
                    "its span, MB": found["span"] / 1e6,
                    "read, MB": found["sent_bytes"] / 1e6,
                    "times its span": found["sent_bytes"] / found["span"],
                    "requests": found["requests"],
                }
            )
        job = {"part": "together", "clips": clips, "delay_seconds": DELAY_SECONDS, "clip_seconds": 3}
        times = child.ask(job).values
    figures = [
        Figure(
            "bytes over the window's span",
            max(float(row["times its span"] or 0) for row in rows),
            "times",
            at_most=1.5,
        ),
        Figure(
            "requests for the first window", max(float(row["requests"] or 0) for row in rows), "", at_most=8
        ),
        Figure(
            f"{clips} clips at a time over one after another, 100 ms a request",
            times["apart"] / times["together"],
            "times",
            at_least=10,
        ),
    ]
    notes = [
        f"{clips} clips one after another: {times['apart']:.2f} s; at a time: {times['together']:.2f} s."
    ]
    return Outcome(rows, figures, notes)
