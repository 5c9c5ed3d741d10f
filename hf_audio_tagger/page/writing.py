"""The second reading: clips become the files of data, part by part."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from .agreement import Agreement
from .clips import Clip
from .columns import Columns
from .lines import LineFiles, make_line
from .media import MediaFiles, MediaPlan, Shown, describe_shown, show_clips
from .scripts import make_script
from .sounds import NO_SOUND, Sounds

CLIPS_IN_A_PART = 250  # of what one sees

Neighbors = Mapping[int, list[tuple[int, float]]]


class Writer:
    """Writes the data of clips to `folder`/data, and keeps the numbers for its head."""

    def __init__(self, folder: Path, label_column: str | None, in_one_file: bool) -> None:
        self.folder, self.data = folder, folder / "data"
        self.data.mkdir()
        self.sounds = Sounds()
        self.columns = Columns(self.sounds)
        self.agreement = None if label_column is None else Agreement(label_column, self.sounds)
        self.files = MediaFiles(folder, in_one_file)
        self.lines = LineFiles(self.data)
        self.with_media = self.failed_previews = self.posters = 0

    def write(
        self, clips: Iterable[Clip], plan: MediaPlan, neighbors: Neighbors, advance: Callable[[int], Any]
    ) -> None:
        """Write all clips; then the columns, whose numbers depend on all of them."""
        shown = show_clips(clips, plan)
        for part, some in enumerate(take_parts(shown)):
            self.write_part(part, some, neighbors)
            advance(len(some))
        self.lines.close()

    def write_part(self, part: int, some: list[tuple[Clip, Shown]], neighbors: Neighbors) -> None:
        objects: list[dict[str, Any]] = []
        posters: list[np.ndarray] = []
        for clip, shown in some:
            clip.seconds = pick_seconds(clip, shown)
            poster = None
            if shown.poster is not None:
                poster = len(posters)
                posters.append(shown.poster)
            differs = self.agreement is not None and self.agreement.add(clip)
            self.columns.add(clip, differs, shown.has_media)
            objects.append(self.describe(clip, neighbors) | describe_shown(clip, shown, self.files, poster))
            self.lines.add(make_line(clip))
            self.with_media += shown.has_media
            self.failed_previews += bool(shown.problems)
        self.posters += len(posters)
        sheet = self.files.add_sheet(part, posters)
        self.write_script(f"clips-{part:05}", "clips", part, {"sheet": sheet, "clips": objects})

    def describe(self, clip: Clip, neighbors: Neighbors) -> dict[str, Any]:
        """What one sees of a clip, without what is empty."""
        number = self.sounds.number
        segments = sorted(clip.segments, key=lambda one: one[0])
        values: dict[str, Any] = {
            "name": clip.name,
            "top": [[number(label), as_score(score)] for label, score in clip.top],
            "segments": [
                [round(start, 3), round(end, 3), number(label), as_score(score)]
                for start, end, label, score in segments
            ],
            "labels": [number(label) for label in clip.labels or ()],
            "metadata": clip.metadata,
            "error": clip.error,
            "neighbors": [[other, round(score, 4)] for other, score in neighbors.get(clip.number, ())],
        }
        for name, place in {"top": 0, "segments": 2}.items():
            values[name] = [one for one in values[name] if one[place] != NO_SOUND]
        values["labels"] = [one for one in values["labels"] if one != NO_SOUND]
        return {name: value for name, value in values.items() if value not in (None, [])}

    def write_columns(self) -> list[dict[str, Any]]:
        """The columns of all clips; returns the failures."""
        failures = self.columns.list_failures()
        for part, values in enumerate(self.columns.list_parts()):
            self.write_script(f"columns-{part:03}", "columns", part, values)
        return failures

    def write_script(self, name: str, function: str, *values: Any) -> None:
        (self.data / f"{name}.js").write_bytes(make_script(function, *values))


def take_parts(clips: Iterator[tuple[Clip, Shown]]) -> Iterator[list[tuple[Clip, Shown]]]:
    while some := list(islice(clips, CLIPS_IN_A_PART)):
        yield some


def pick_seconds(clip: Clip, shown: Shown) -> float | None:
    """A clip's length: as its row says, else its file's header, else the end of its last segment."""
    if shown.seconds is not None and (clip.seconds is None or shown.seconds > clip.seconds):
        return shown.seconds
    return clip.seconds


def as_score(score: float | None) -> float | None:
    return None if score is None or not math.isfinite(score) else round(float(np.float32(score)), 4)
