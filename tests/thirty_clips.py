"""A run of thirty clips of a second: two without sound, two that are broken, in shards of seven rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hf_audio_tagger import build_tagger
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.demo.videos import write_video
from hf_audio_tagger.runs import Progress, RunPlan, Watcher

LABELS = ("Siren", "Sine wave", "White noise", "Clicking", "Dial tone", "Music")
ROWS = 30
SHARD = 7  # rows: 5 shards, the last one short
TAGGER = build_tagger("demo", top_k=3, embeddings=True, batch_size=3, device="cpu", on_error="record")


def write_thirty_clips(folder: Path) -> Path:
    for number in range(ROWS):
        path = folder / f"{number:02d}.mp4"
        if number in (4, 17):
            path.write_bytes(b"this is no video" * 50)
        elif number in (9, 20):
            write_video(path, None, 16_000)
        else:
            write_video(path, synthesize(LABELS[number % 6], 1.0, 16_000, number), 16_000)
    return folder


def rows_of(dest: Path) -> list[dict[str, Any]]:
    """All rows in order, read by pyarrow and not by the package."""
    paths = sorted((dest / "data").glob("*.parquet"))
    return pa.concat_tables([pq.read_table(path) for path in paths]).to_pylist()


class Interrupting(Watcher):
    """Does something once so many rows were heard."""

    def __init__(self, after_rows: int, action: Callable[[], object]) -> None:
        self.after_rows, self.action = after_rows, action
        self.plans: list[RunPlan] = []
        self.seen: list[Progress] = []

    def planned(self, plan: RunPlan) -> None:
        self.plans.append(plan)

    def progressed(self, progress: Progress) -> None:
        self.seen.append(progress)
        if progress.processed_now >= self.after_rows:
            self.after_rows = 10**9
            self.action()


def interrupt() -> None:
    raise KeyboardInterrupt
