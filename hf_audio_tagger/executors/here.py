"""Jobs one after the other in this process."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..process import current_worker
from .contract import Job, Report, Work


@dataclass(frozen=True)
class HereExecutor:
    count: int
    log: Path

    def run(
        self, jobs: Sequence[Job], work: Work, on_progress: Report, on_stopping: Callable[[], None]
    ) -> None:
        for job in jobs:
            work(job, current_worker(), on_progress, lambda: False)
