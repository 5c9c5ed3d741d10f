"""A bar for a whole run: what it is doing, rows done, speed, time left, failures.

It is drawn twice a second by a thread of its own, whatever the run reports. In a file or a pipe it is a line
a minute.
"""

import threading
import time
from collections.abc import Callable

from rich.console import Console, RenderableType
from rich.progress import BarColumn, SpinnerColumn, TextColumn
from rich.progress import Progress as Display

from ..activity import Activity
from ..runs import Progress, RunPlan, Watcher
from ..runs.progress import STARTING, count_down
from .figures import format_duration, format_pace, format_realtime

DRAW_SECONDS = 0.5
LINE_SECONDS = 60.0  # between two lines if the output is not a terminal, as in a job's log
BAR_COLUMNS = range(8, 41)  # as the terminal's width allows
SPINNER_COLUMNS = 2
LEAST_NEEDED = ("elapsed", "realtime", "pace", "failed")  # left out first where the terminal is narrow


class Notes(Watcher):
    """Shows the notes of a run and nothing else. Keeps the latest progress of each kind of work."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.latest: Progress | None = None
        self.works: dict[str, Progress] = {}

    def __enter__(self) -> "Notes":
        return self

    def __exit__(self, *_: object) -> None: ...

    def noted(self, text: str) -> None:
        self.console.print(text, style="yellow", markup=False, soft_wrap=True)

    def progressed(self, progress: Progress) -> None:
        self.moved(progress)

    def moved(self, progress: Progress) -> None:
        self.latest = progress

    def show(self, work: str, progress: Progress) -> None:
        """The progress of one of several works."""
        self.works[work] = progress
        self.moved(progress)


class Bar(Notes):
    """Shows the settings once the run is planned, then its progress.

    Args:
        work: what is done to the rows, such as "Tagging".
        rows: what they are called.
    """

    def __init__(
        self,
        console: Console,
        settings: Callable[[RunPlan], RenderableType] = lambda plan: "",
        work: str = "Tagging",
        rows: str = "rows",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(console)
        self.settings, self.work, self.rows, self.clock = settings, work, rows, clock
        self.message = "Starting"  # in place of the stage
        self.started = self.last_line = self.last_report = clock()
        self.bar = BarColumn()
        self.display = Display(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            self.bar,
            TextColumn("{task.fields[text]}", markup=False),
            console=console,
            auto_refresh=False,
            transient=True,  # until the run is planned
        )
        self.task = self.display.add_task(self.message, total=None, text="")
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.draw_until_ended, name="bar", daemon=True)

    def __enter__(self) -> "Bar":
        if self.console.is_terminal:
            self.display.start()
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if not self.ending.is_set():
            self.ending.set()
            self.thread.join()
            if self.message and self.latest is not None:
                self.message = "Stopped"
            if self.console.is_terminal:
                self.draw()
                self.display.stop()

    def draw_until_ended(self) -> None:
        while not self.ending.wait(DRAW_SECONDS):
            if self.console.is_terminal:
                self.draw()
            elif self.clock() - self.last_line >= LINE_SECONDS:
                self.last_line = self.clock()
                self.console.print(self.describe(), markup=False, soft_wrap=True)

    def draw(self) -> None:
        elapsed = format_duration(self.clock() - self.started)
        figures = {**self.list_figures(), "elapsed": elapsed}
        space = self.console.width - SPINNER_COLUMNS - len(self.stage) - 2
        for name in LEAST_NEEDED:
            if len("  ".join(figures.values())) > space - BAR_COLUMNS[0]:
                figures.pop(name, None)
        text = "  ".join(figures.values())
        self.bar.bar_width = min(max(space - len(text), BAR_COLUMNS[0]), BAR_COLUMNS[-1])
        done = None if self.latest is None else self.latest.done_rows + self.latest.rows_in_work
        total = None if self.latest is None else self.latest.total_rows
        self.display.update(
            self.task,
            description=self.stage,
            total=total,
            completed=done,
            text=text,
            refresh=True,
        )

    def describe(self) -> str:
        """The progress in a line."""
        return ", ".join([self.stage, *self.list_figures().values()])

    @property
    def stage(self) -> str:
        return self.message or (self.latest.activity.stage if self.latest is not None else "") or self.work

    def list_figures(self) -> dict[str, str]:
        """Rows, speed, time left and failures, as far as they are known."""
        progress = self.latest
        if progress is None:
            return {}
        total = "" if progress.total_rows is None else f"/{progress.total_rows:,}"
        left = count_down(progress, self.clock() - self.last_report)
        figures = {
            "rows": f"{progress.done_rows + int(progress.rows_in_work):,}{total} {self.rows}",
            "pace": format_pace(progress.clips_per_second),
            "realtime": format_realtime(progress.times_realtime),
            "left": f"{format_duration(left)} left" if left and left >= 1 else "",
            "failed": f"{progress.failed_rows:,} failed" if progress.failed_rows else "",
        }
        return {name: text for name, text in figures.items() if text}

    def planned(self, plan: RunPlan) -> None:
        self.message = ""
        self.display.live.transient = False
        self.console.print(self.settings(plan))
        self.moved(
            Progress(plan.done_rows, plan.failed_rows, 0, plan.total_rows, activity=Activity(STARTING))
        )

    def moved(self, progress: Progress) -> None:
        self.latest, self.last_report = progress, self.clock()

    def show(self, work: str, progress: Progress) -> None:
        self.message, self.work = "", work
        super().show(work, progress)

    def stopping(self) -> None:
        self.message = f"Stopping; the {self.rows} in progress are finished. Ctrl-C again stops at once"

    def finishing(self, what: str) -> None:
        self.close()  # a push has bars of its own
        self.console.print(what, style="dim", markup=False, soft_wrap=True)
