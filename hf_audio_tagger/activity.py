"""What a process is doing, and how far it has come, told by the code that does it.

    meter = Meter(on_change)
    with measured_by(meter):
        tagger(rows)  # loading the model, compiling it, each window that is scored
    meter.read().windows

Without a meter all of this does nothing. A meter is told from several threads at a time.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

LOADING, COMPILING, WORKING = "Loading the model", "Compiling the model", ""
STAGES = (LOADING, COMPILING, WORKING)  # in their order


@dataclass(frozen=True)
class Activity:
    """A stage, and what is done so far."""

    stage: str = WORKING
    clips: float = 0.0  # with the shares of those in progress
    windows: int = 0  # scored
    sound_seconds: float = 0.0  # in these windows, where they overlap counted once


NOTHING = Activity()


@dataclass
class Batch:
    """What the model is scoring now."""

    windows: int
    clips: float
    sound_seconds: float
    scored: int = 0  # of the windows


class Meter:
    """Adds up what it is told. `on_change` is called from any thread, with True after a new stage."""

    def __init__(self, on_change: Callable[[bool], object] = lambda is_new_stage: None) -> None:
        self.on_change = on_change
        self.lock = threading.Lock()
        self.done = Activity()
        self.batch = Batch(0, 0.0, 0.0)
        self.first_clip, self.expected_clips = 0.0, 0  # of those that the work has in hand

    def read(self) -> Activity:
        with self.lock:
            return self.sum_up()

    def read_share(self) -> float:
        """How much of the expected clips is done, from 0 to 1."""
        with self.lock:
            clips = self.sum_up().clips - self.first_clip
            return min(1.0, max(0.0, clips / self.expected_clips)) if self.expected_clips else 0.0

    def sum_up(self) -> Activity:
        done, batch = self.done, self.batch
        share = batch.scored / batch.windows if batch.windows else 0.0
        return Activity(
            done.stage,
            done.clips + share * batch.clips,
            done.windows + batch.scored,
            done.sound_seconds + share * batch.sound_seconds,
        )

    def set_stage(self, stage: str) -> str:
        """Set the stage; returns the one before."""
        with self.lock:
            before = self.done.stage
            self.done = Activity(stage, self.done.clips, self.done.windows, self.done.sound_seconds)
        if stage != before:
            self.on_change(True)
        return before

    def expect_clips(self, count: int) -> None:
        with self.lock:
            self.first_clip, self.expected_clips = self.sum_up().clips, count

    def start_batch(self, windows: int, clips: float, sound_seconds: float) -> None:
        with self.lock:
            self.batch = Batch(windows, clips, sound_seconds)

    def add_windows(self, count: int) -> None:
        with self.lock:  # a front end may pad a batch by a window
            self.batch.scored = min(self.batch.windows, self.batch.scored + count)
        self.on_change(False)

    def end_batch(self) -> None:
        with self.lock:
            self.batch.scored = self.batch.windows
            self.done, self.batch = self.sum_up(), Batch(0, 0.0, 0.0)
        self.on_change(False)

    def add_clips(self, clips: float) -> None:
        with self.lock:
            done = self.done
            self.done = Activity(done.stage, done.clips + clips, done.windows, done.sound_seconds)
        self.on_change(False)


_meter: ContextVar[Meter | None] = ContextVar("meter", default=None)


@contextmanager
def measured_by(meter: Meter) -> Iterator[None]:
    """Tell this meter, in this thread and in the model's threads."""
    token = _meter.set(meter)
    try:
        yield
    finally:
        _meter.reset(token)


@contextmanager
def in_stage(stage: str) -> Iterator[None]:
    """Tell that this is being done; the stage before returns afterwards."""
    meter = _meter.get()
    before = None if meter is None else meter.set_stage(stage)
    try:
        yield
    finally:
        if meter is not None and before is not None:
            meter.set_stage(before)


def expect_clips(count: int) -> None:
    """Tell how many clips the work has in hand."""
    if (meter := _meter.get()) is not None:
        meter.expect_clips(count)


@contextmanager
def scoring(windows: int, clips: float, sound_seconds: float) -> Iterator[None]:
    """Tell that these windows are scored, the last ones or others of so many clips."""
    meter = _meter.get()
    if meter is not None:
        meter.start_batch(windows, clips, sound_seconds)
    yield
    if meter is not None:
        meter.end_batch()


def add_windows(count: int) -> None:
    """Tell that some windows of the batch are scored."""
    if (meter := _meter.get()) is not None:
        meter.add_windows(count)


def window_counter() -> Callable[[int], None]:
    """`add_windows` for a thread that does not know the meter."""
    meter = _meter.get()
    return (lambda count: None) if meter is None else meter.add_windows


def add_clips(clips: float) -> None:
    """Tell that clips, or shares of them, are done without a window."""
    if (meter := _meter.get()) is not None:
        meter.add_clips(clips)
