"""A bar for a whole run: rows done, rate of this run, time left, failures."""

import time
from collections.abc import Callable
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from ..runs import Progress as RunProgress
from ..runs import RunPlan, Watcher

TEXTS = {"rows": "none", "rate": "none", "left": "cyan", "failed": "red"}  # beside the bar, with their styles
LINE_SECONDS = 60  # between two lines if the output is not a terminal, as in a job's log


class Bar(Watcher):
    """Shows the settings once the run is planned, then its progress."""

    def __init__(self, console: Console, settings: Callable[[RunPlan], RenderableType]) -> None:
        self.console, self.settings = console, settings
        self.progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            *(TextColumn(f"{{task.fields[{name}]}}", style) for name, style in TEXTS.items()),
            TimeElapsedColumn(),
            console=console,
        )
        self.task: TaskID | None = None
        self.last_line = time.monotonic()

    def close(self) -> None:
        self.progress.stop()

    def planned(self, plan: RunPlan) -> None:
        self.console.print(self.settings(plan))
        self.task = self.progress.add_task(
            "Tagging", total=plan.total_rows, rows="", rate="", left="", failed=""
        )
        self.progressed(RunProgress(plan.done_rows, plan.failed_rows, 0, plan.total_rows, 0.0))
        self.progress.start()

    def noted(self, text: str) -> None:
        self.progress.console.print(text, style="yellow", markup=False, soft_wrap=True)

    def progressed(self, progress: RunProgress) -> None:
        texts: dict[str, Any] = format_progress(progress)
        if self.task is not None:
            self.progress.update(self.task, completed=progress.done_rows, **texts)
        if not self.console.is_terminal and time.monotonic() - self.last_line > LINE_SECONDS:
            self.last_line = time.monotonic()
            self.console.print(" ".join(filter(None, texts.values())), markup=False)

    def stopping(self) -> None:
        if self.task is not None:
            what = "Stopping after the rows in progress. Ctrl-C stops at once"
            self.progress.update(self.task, description=what)

    def finishing(self, what: str) -> None:
        self.close()  # a push has bars of its own
        self.console.print(what, style="dim", markup=False, soft_wrap=True)


def format_progress(progress: RunProgress) -> dict[str, str]:
    """Rows, rate, time left and failures as text."""
    total = "" if progress.total_rows is None else f"/{progress.total_rows:,}"
    rate, rows_left = progress.rows_per_second, (progress.total_rows or 0) - progress.done_rows
    left = f"{format_duration(rows_left / rate)} left" if rate > 0 and rows_left > 0 else ""
    return {
        "rows": f"{progress.done_rows:,}{total} rows",
        "rate": f"{rate:,.1f} rows/s" if rate else "",
        "left": left,
        "failed": f"{progress.failed_rows:,} failed" if progress.failed_rows else "",
    }


def format_duration(seconds: float) -> str:
    """A duration in its two largest units.

    >>> format_duration(93_784)
    '1d 2h'
    """
    minutes, whole_seconds = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (whole_seconds, "s")]
    first = next((place for place, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count}{unit}" for count, unit in parts[first : first + 2])
