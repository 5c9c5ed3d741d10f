"""Motion beside the peer's filter, and text areas of one detector beside those of the peer's own."""

import os
from pathlib import Path

from ..child import Runs, Subject, ask_in_turn
from ..outcome import Figure, Outcome, Row
from .bench import OURS, PEER, Bench

MEDIA_VARIABLE = "HF_AUDIO_TAGGER_MEDIA"  # a folder with the peer's clips, which are measured too
THRESHOLDS = (0.1, 0.2)  # of text areas
QUICK, EXACT = f"{OURS}, ppocr", f"{OURS}, easyocr"


def list_peers_clips() -> list[str]:
    folder = Path(os.environ.get(MEDIA_VARIABLE) or "/nonexistent")
    return sorted(map(str, folder.glob("*.mp4")))


def motion(bench: Bench) -> Outcome:
    videos = [*list_peers_clips(), *(bench.materials.clip(12, seed=seed) for seed in range(2))]
    subjects = {
        OURS: Subject("measures", {"measure": "motion_score"}),
        PEER: Subject("motion_peer", {}, bench.materials.peer_python),
    }
    runs = ask_in_turn(subjects, {"videos": videos}, 1, bench.materials.logs)
    figures = []
    if {OURS, PEER} <= runs.answers.keys():
        ours, theirs = (runs.answers[name][0] for name in (OURS, PEER))
        equal = sum(map(float.__eq__, ours.values["values"], theirs.values["values"]))
        figures = [
            Figure(f"scores of {len(videos)} that are equal", equal, "", at_least=len(videos)),
            Figure("CPU time over the peer's", ours.cpu_seconds / theirs.cpu_seconds, "times", at_most=0.333),
            Figure("peak memory", ours.peak_mb, "MB", at_most=200),
        ]
    return Outcome(list_costs(runs, len(videos)), figures, runs.notes())


def text(bench: Bench) -> Outcome:
    """EasyOCR's detector stands for the peer, which uses it: its numbers are equal on the peer's clips.

    Where these clips are, most pictures are theirs, a number each; the others are written on.
    """
    import numpy as np

    clips = list_peers_clips()
    videos = bench.materials.words(3 * bench.scale.clips)
    for clip in clips:
        videos += bench.materials.frames(clip, 5 * bench.scale.clips // len(clips))
    settings = {"measure": "text_area", "warm": videos[0]}
    subjects = {
        QUICK: Subject("measures", settings),
        EXACT: Subject("measures", {**settings, "options": {"detector": "easyocr"}}),
    }
    runs = ask_in_turn(subjects, {"videos": videos}, 1, bench.materials.logs)
    figures = []
    if {QUICK, EXACT} <= runs.answers.keys():
        quick, exact = (runs.answers[name][0] for name in (QUICK, EXACT))
        ours, theirs = (np.array(answer.values["values"]) for answer in (quick, exact))
        sides = [float(np.mean((ours > limit) == (theirs > limit))) for limit in THRESHOLDS]
        figures = [
            Figure("mean absolute difference", float(np.abs(ours - theirs).mean()), "", at_most=0.01),
            Figure("same side of 0.1 and of 0.2, the lesser share", min(sides), "", at_least=0.97),
            Figure("CPU time over easyocr's", quick.cpu_seconds / exact.cpu_seconds, "times", at_most=1 / 15),
        ]
    note = f"{len(videos)} videos, of them {3 * bench.scale.clips} with text that was written on them."
    return Outcome(list_costs(runs, len(videos)), figures, [note, *runs.notes()])


def list_costs(runs: Runs, videos: int) -> list[Row]:
    return [
        {
            "measured": name,
            "s a video": runs.seconds(name) / videos,
            "CPU s a video": answers[0].cpu_seconds / videos,
            "peak MB": round(runs.peak_mb(name)),
        }
        for name, answers in runs.answers.items()
    ]
