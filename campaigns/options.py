"""How much a campaign does, and where."""

import time
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """How much, from which seed, for how long, and where."""

    folder: Path  # for what the campaign makes; nothing in it is needed afterwards
    count: int | None = None  # None: the campaign's full form
    seed: int = 1
    seconds: float | None = None  # no case is begun after so many
    jobs: int = 2  # processes side by side
    only: str | None = None  # one case alone
    begun: float = field(default_factory=time.monotonic)

    @property
    def is_over(self) -> bool:
        return self.seconds is not None and self.elapsed > self.seconds

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.begun
