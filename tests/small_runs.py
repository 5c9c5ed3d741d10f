"""A run that takes no time: ten clips of a third of a second, one of them broken, in shards of four rows."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hf_audio_tagger import build_tagger
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.demo.videos import write_video
from hf_audio_tagger.runs import Progress, RunPlan, Watcher

LABELS = ("Siren", "White noise", "Clicking", "Dial tone")
ROWS = 10
SHARD = 4  # rows: 3 shards, the last one short
BROKEN = 5
TAGGER = build_tagger("demo", batch_size=2, device="cpu", on_error="record")


def clip_path(folder: Path, number: int) -> Path:
    return folder / f"{number:02d}.mp4"


def write_clip(path: Path, seed: int) -> None:
    """A clip that sounds like one of the labels; another seed, another sound and size."""
    write_video(path, synthesize(LABELS[seed % len(LABELS)], 0.3 + 0.01 * seed, 16_000, seed), 16_000)


def write_clips(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for number in range(ROWS):
        write_clip(clip_path(folder, number), number)
    clip_path(folder, BROKEN).write_bytes(b"this is no video" * 50)
    return folder


def write_embedded(clips: Path, path: Path) -> Path:
    """The same clips as bytes in cells of one Parquet file: then shards hold media."""
    cells = [{"bytes": clip_path(clips, n).read_bytes(), "path": f"{n}.mp4"} for n in range(ROWS)]
    pq.write_table(pa.table({"video": cells}), path)
    return path


def rows_of(dest: Path) -> list[dict[str, Any]]:
    """All rows in order, read by pyarrow and not by the package."""
    paths = sorted((dest / "data").glob("*.parquet"))
    return pa.concat_tables([pq.read_table(path) for path in paths]).to_pylist()


class Seeing(Watcher):
    """Keeps what a run tells; stops it like Ctrl-C once so many rows were heard."""

    def __init__(self, stop_after: int = 10**9) -> None:
        self.stop_after = stop_after
        self.plans: list[RunPlan] = []
        self.seen: list[Progress] = []
        self.notes: list[str] = []

    def planned(self, plan: RunPlan) -> None:
        self.plans.append(plan)

    def progressed(self, progress: Progress) -> None:
        self.seen.append(progress)
        if progress.processed_now >= self.stop_after:
            raise KeyboardInterrupt

    def noted(self, text: str) -> None:
        self.notes.append(text)
