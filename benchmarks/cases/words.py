"""Models that compare sound with text, beside AST-base: a window, and the texts of fifty labels."""

from ..child import Subject, ask_in_turn
from ..outcome import Outcome, Row
from .bench import Bench

SIZES = ("CLAP, htsat-tiny", "CLAP, htsat-base", "AST-base")
LABELS = 50
WINDOWS = 4


def words(bench: Bench) -> Outcome:
    """Random weights of the published sizes."""
    is_tiny = bench.scale.name == "tiny"
    subjects = {size: Subject("words", {"size": size, "tiny": is_tiny, "labels": LABELS}) for size in SIZES}
    windows = ask_in_turn(subjects, {"windows": WINDOWS}, bench.scale.rounds, bench.materials.logs)
    rows: list[Row] = []
    for size, answers in windows.answers.items():
        first = answers[0].values
        cpu = min(answer.cpu_seconds for answer in answers) / WINDOWS
        rows.append(
            {
                "model": size,
                "parameters for sound, M": first["sound_millions"],
                "for text, M": first["text_millions"],
                "s a window": windows.seconds(size) / WINDOWS,
                "CPU s a window": cpu,
                "CPU s a second of sound": cpu / first["window_seconds"],
                f"CPU s for {LABELS} texts, once": first["text_cpu_seconds"],
                "peak MB": round(max(answer.peak_mb for answer in answers)),
            }
        )
    return Outcome(rows, [], windows.notes())
