"""The summary of a run: its facts, and how it went."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Summary:
    """Counts of rows. Each is tagged, EMPTY (nothing but clips without sound), without videos, or failed."""

    dest: str
    rows: int
    tagged: int
    empty: int
    without_videos: int
    failed: int
    processed_now: int  # rows of this run; the others were done before
    seconds: float  # of this run
    clips_per_second: float  # in this run, from its first row to its last
    most_frequent: tuple[tuple[str, int], ...]  # tags of videos, without EMPTY
    failures: str | None  # the file that lists them
    kept: int = 0  # rows, counted above too, that came with their tags and keep them
    notes: tuple[str, ...] = ()  # what a person should know, a line each

    def as_dict(self) -> dict[str, Any]:
        """For `json.dumps`."""
        return {**asdict(self), "most_frequent": dict(self.most_frequent)}
