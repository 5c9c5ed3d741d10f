"""The progress of a recipe's operators, also from the processes of `datasets.map`.

Each process writes what it has done to a file of a temporary folder, a few times a second, and this one reads
the files. The folder's name travels in the environment: a pool of `map` starts its processes itself.
"""

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from datasets.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from ..activity import Activity, measured_by
from ..executors.contract import JobProgress
from ..executors.reporting import JobReporter
from ..runs.progress import Progress, ProgressSum

FOLDER_VARIABLE = "HF_AUDIO_TAGGER_PROGRESS"
READ_SECONDS = 0.5

Watch = Callable[[str, Progress], object]  # gets an operator's name and its progress, in any thread

_watch: ContextVar[Watch | None] = ContextVar("watch", default=None)
_reporter: tuple[str, JobReporter] | None = None  # of this process, and its file


@contextmanager
def watched_by(watch: Watch) -> Iterator[None]:
    """Tell the progress of the recipes that are run in the block, in place of the bars of `map`.

    >>> with watched_by(lambda name, progress: print(name, progress.done_rows)):  # doctest: +SKIP
    ...     run_recipe("recipe.yaml")
    """
    token = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(token)


@contextmanager
def following(name: str, samples: int) -> Iterator[None]:
    """Tell the watch what an operator does with so many samples."""
    watch = _watch.get()
    if watch is None:
        yield
        return
    total, ending = ProgressSum(0, 0, samples), threading.Event()
    with (
        TemporaryDirectory(prefix="hf_audio_tagger_", ignore_cleanup_errors=True) as folder,
        hidden_progress(),
    ):

        def tell() -> None:
            for path in Path(folder).glob("*.json"):
                total.add(read_report(path))
            with suppress(Exception):
                watch(name, total.read())

        def tell_until_ended() -> None:
            while not ending.wait(READ_SECONDS):
                tell()

        thread = threading.Thread(target=tell_until_ended, name="progress", daemon=True)
        os.environ[FOLDER_VARIABLE] = folder
        tell()
        thread.start()
        try:
            yield
        finally:
            ending.set()
            thread.join()
            del os.environ[FOLDER_VARIABLE]
            tell()


@contextmanager
def reporting_batch(samples: int) -> Iterator[None]:
    """Report what this process does with a batch, if anyone watches."""
    global _reporter
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder is None:
        yield
        return
    path = os.path.join(folder, f"{os.getpid()}.json")
    if _reporter is None or _reporter[0] != path:
        _reporter = path, JobReporter(os.getpid(), os.getpid(), partial(write_report, Path(path)))
    reporter = _reporter[1]
    reporter.expect_rows(samples)
    with measured_by(reporter.meter):
        yield
    reporter.finish_rows(samples, 0)


def write_report(path: Path, progress: JobProgress) -> None:
    with suppress(OSError):  # the work does not depend on it
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(asdict(progress)))
        os.replace(temporary, path)


def read_report(path: Path) -> JobProgress:
    values = json.loads(path.read_text())
    return JobProgress(**{**values, "activity": Activity(**values["activity"])})


@contextmanager
def hidden_progress() -> Iterator[None]:
    """Hide the progress bars of `datasets`."""
    are_disabled = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not are_disabled:
            enable_progress_bars()
