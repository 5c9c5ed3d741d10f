"""How much is measured: more rounds and more clips for a result, fewer for a look."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    name: str
    rounds: int  # each asks every subject once
    clips: int  # of 12 to 50 s
    videos: int  # of the same, each in several rows
    hour_seconds: int
    tiny_clips: int
    rows: int  # of the shorter of two tables; the longer has ten times as many
    patches: int  # of YAMNet
    index_rows: int
    queries: int  # of neighbours
    base_rows: int  # in which they are found
    waiting_seconds: float  # of a model that only waits, a row
    most_cores: int  # that such a model stands for
    model: str  # which of `materials`' random checkpoints


FULL = Scale("full", 3, 8, 4, 3600, 2000, 1000, 1200, 2_000_000, 2000, 200_000, 3.0, 64, "ast-base")
QUICK = Scale("quick", 1, 4, 3, 3600, 2000, 200, 600, 200_000, 2000, 100_000, 2.0, 64, "ast-base")
# Everything runs, in seconds; the figures mean nothing and are not written.
TINY = Scale("tiny", 2, 2, 2, 60, 250, 40, 40, 500, 20, 2_000, 0.02, 4, "ast-tiny")
