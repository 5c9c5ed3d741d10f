"""What a run tells of its work while it lasts, and how long the rest takes. Clocks are the tests' own."""

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from hf_audio_tagger import build_tagger, models
from hf_audio_tagger.activity import COMPILING, LOADING, WORKING, Meter, in_stage, measured_by, scoring
from hf_audio_tagger.activity import add_windows as add_windows
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.demo.videos import write_video
from hf_audio_tagger.executors import reporting
from hf_audio_tagger.executors.contract import JobProgress
from hf_audio_tagger.executors.reporting import JobReporter
from hf_audio_tagger.runs import Progress, Watcher, export_predictions, tag_dataset
from hf_audio_tagger.runs.progress import ProgressSum, count_down

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("one_thread_everywhere")]

RATE_HZ = 16_000
WARM_UP_SECONDS = 20.0  # before the first window: decoders are loaded
LONG_SECONDS, SHORT_SECONDS = 75.0, 3.0
WINDOW_SECONDS = 10.24 + 0.015  # of the demo model: 1,024 frames of 25 ms, each 10 ms after the one before


@dataclass
class Clock:
    seconds: float = 1_000.0

    def __call__(self) -> float:
        return self.seconds


def simulate(
    workers: int, clips: int, clip_seconds: float, loading_seconds: float
) -> Iterator[tuple[float, Progress]]:
    """A run of equal clips in batches of 16 rows: the time, and the progress at each of its reports."""
    clock = Clock()
    total = ProgressSum(0, 0, clips, clock)
    reporters = [
        JobReporter(index, index, lambda progress: seen.append(progress), clock) for index in range(workers)
    ]
    seen: list[JobProgress] = []
    share = clips // workers
    events: list[tuple[float, int, Callable[[JobReporter], object]]] = []
    for index in range(workers):
        loaded = loading_seconds + 0.7 * index * clip_seconds  # the workers do not start at one moment
        late = loaded + WARM_UP_SECONDS
        events.append((0.0, index, lambda reporter: reporter.meter.set_stage(LOADING)))
        events.append((loaded, index, lambda reporter: reporter.meter.set_stage(WORKING)))
        for first in range(0, share, 16):
            count = min(16, share - first)

            def start(reporter: JobReporter, count: int = count) -> None:
                reporter.expect_rows(count)
                reporter.meter.expect_clips(count)
                reporter.meter.start_batch(count, count, 10.0 * count)

            def end(reporter: JobReporter, count: int = count) -> None:
                reporter.meter.end_batch()
                reporter.finish_rows(count, 0)

            events.append((late + first * clip_seconds, index, start))
            for number in range(1, count + 1):
                moment = late + (first + number) * clip_seconds
                events.append((moment, index, lambda reporter: reporter.meter.add_windows(1)))
            events.append((late + (first + count) * clip_seconds, index, end))
    for moment, index, act in sorted(events, key=lambda event: event[:2]):
        clock.seconds = 1_000.0 + moment
        act(reporters[index])
        while seen:
            total.add(seen.pop(0))
            yield moment, total.read()


@pytest.mark.parametrize(("workers", "clip_seconds"), [(1, 1.6), (2, 1.6), (4, 0.3), (1, 40.0)])
def test_the_time_left_is_right_after_a_tenth_of_equal_clips(workers: int, clip_seconds: float) -> None:
    clips, loading_seconds = 400, 90.0
    reports = list(simulate(workers, clips, clip_seconds, loading_seconds))
    end = reports[-1][0]
    whole = clips / workers * clip_seconds + loading_seconds + WARM_UP_SECONDS
    assert end == pytest.approx(whole, abs=workers * clip_seconds)
    late = [(moment, one) for moment, one in reports if one.done_rows + one.rows_in_work >= clips / 10]
    assert len(late) > 50
    for moment, one in late[:-1]:
        assert one.seconds_left == pytest.approx(end - moment, rel=0.1, abs=2 * clip_seconds)
    assert late[-1][1].seconds_left == 0
    speed = workers / clip_seconds
    assert late[-1][1].clips_per_second == pytest.approx(speed, rel=0.15)
    assert late[-1][1].times_realtime == pytest.approx(10 * speed, rel=0.15)


def test_the_time_left_counts_down_and_then_says_nothing() -> None:
    progress = Progress(10, 0, 10, 100, rows_per_second=0.5)
    assert [count_down(progress, passed) for passed in (0.0, 1.0, 60.0, 180.0)] == [180, 179, 120, 0]
    assert count_down(progress, 181.0) is None
    assert count_down(Progress(10, 0, 10, None, rows_per_second=0.5), 1.0) is None  # a stream
    assert count_down(Progress(10, 0, 0, 100), 1.0) is None  # nothing is known of this run's speed


def test_loading_and_compiling_are_no_work_and_a_restarted_job_counts_from_zero() -> None:
    clock = Clock()
    total = ProgressSum(5, 1, 25, clock)
    reporter = JobReporter(0, 0, total.add, clock)
    with measured_by(reporter.meter):
        clock.seconds += 5
        with in_stage(LOADING):
            clock.seconds += 30
            assert total.read().activity.stage == LOADING
        assert total.read().activity.stage == WORKING
        reporter.expect_rows(10)
        reporter.meter.expect_clips(10)
        with scoring(10, 10, 100.0):
            with in_stage(COMPILING):
                clock.seconds += 60
                assert total.read().activity.stage == COMPILING
            clock.seconds += 9  # the first window takes its time
            add_windows(2)
            with in_stage(COMPILING):
                clock.seconds += 60
            clock.seconds += 6
            add_windows(3)
        one = total.read()
        assert (one.done_rows, one.rows_in_work, one.processed_now) == (5, 5.0, 0)
        assert one.activity.sound_seconds == 50
        assert one.rows_per_second == pytest.approx(3 / 6)
        assert one.seconds_left == pytest.approx(15 / 0.5)
        reporter.finish_rows(10, 2)
    one = total.read()
    assert (one.done_rows, one.failed_rows, one.rows_in_work) == (15, 3, 0.0)
    assert (one.activity.clips, one.activity.windows, one.activity.sound_seconds) == (10, 10, 100)
    total.add(JobProgress(0, 0, 0))  # its worker was killed
    assert (total.read().done_rows, total.read().activity.windows) == (5, 0)


def test_a_worker_between_two_jobs_still_counts_and_an_idle_one_does_not() -> None:
    clock = Clock()
    total = ProgressSum(0, 0, 100, clock)
    for rows in (1, 2, 3):
        for worker in (0, 1):
            total.add(JobProgress(worker, rows, 0, worker=worker))
        clock.seconds += 1
    assert total.read().rows_per_second == pytest.approx(2)
    total.add(JobProgress(1, 3, 0, has_ended=True, worker=1))
    assert total.read().rows_per_second == pytest.approx(2, rel=0.25)
    clock.seconds += 60
    total.add(JobProgress(0, 63, 0, worker=0))
    assert total.read().rows_per_second == pytest.approx(1, rel=0.05)


def test_a_meter_counts_in_all_threads_and_no_batch_twice() -> None:
    meter, changes = Meter(lambda _: changes.append(1)), []  # type: ignore[var-annotated]
    with measured_by(meter), scoring(1_000, 4, 40.0):
        threads = [
            threading.Thread(target=lambda: [meter.add_windows(1) for _ in range(100)]) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert meter.read().windows == 800
        assert meter.read().sound_seconds == pytest.approx(32)
        meter.add_windows(500)  # a front end that pads
        assert meter.read().windows == 1_000
    assert (meter.read().windows, meter.read().clips, len(changes)) == (1_000, 4, 802)


# Real runs


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A long clip, a short one, one without sound and one that is broken."""
    folder = tmp_path_factory.mktemp("four")
    write_video(folder / "a.mp4", synthesize("Siren", LONG_SECONDS, RATE_HZ, 1), RATE_HZ)
    write_video(folder / "b.mp4", synthesize("Music", SHORT_SECONDS, RATE_HZ, 2), RATE_HZ)
    write_video(folder / "c.mp4", None, RATE_HZ)
    (folder / "d.mp4").write_bytes(b"this is no video" * 50)
    return folder


class Moving(Watcher):
    def __init__(self) -> None:
        self.seen: list[Progress] = []

    def progressed(self, progress: Progress) -> None:
        self.seen.append(progress)

    def moved(self, progress: Progress) -> None:
        self.seen.append(progress)
        raise RuntimeError("whoever shows the progress cannot end the run")


def is_rising(values: list[float]) -> bool:
    return bool(np.all(np.diff(values) >= 0))


@pytest.mark.parametrize("num_proc", [None, pytest.param(1, marks=pytest.mark.campaign)])
def test_a_long_file_moves_the_bar(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_proc: int | None
) -> None:
    monkeypatch.setattr(reporting, "REPORT_SECONDS", 0.0)
    monkeypatch.setattr(models, "_loaded", OrderedDict())  # a forked worker would have this process's model
    watcher = Moving()
    tagger = build_tagger(
        "demo", windows="all", hop_seconds=5.0, batch_size=2, device="cpu", on_error="record"
    )
    summary = tag_dataset(clips, tmp_path / "out", tagger, num_proc=num_proc, watcher=watcher)
    first_batch = [one for one in watcher.seen if one.done_rows == 0 and one.activity.windows]
    reached = [one.rows_in_work for one in first_batch]
    assert is_rising(reached)
    # 75 s give 14 windows every 5 s; the batch has another row, which is done at its end.
    # A worker may be spawned, and then reports less often than this process does here.
    fewest = 4 if num_proc is None else 0
    assert len({one for one in reached if 0.05 < one < 0.95}) >= fewest
    assert len({one.activity.windows for one in first_batch}) >= fewest
    count = math.ceil((LONG_SECONDS - WINDOW_SECONDS) / 5) + 1 + 1
    last = watcher.seen[-1]
    assert (last.done_rows, last.failed_rows, last.rows_in_work) == (4, 1, 0.0)
    assert (last.activity.windows, round(last.activity.clips, 6)) == (count, 4)
    assert last.activity.sound_seconds == pytest.approx(LONG_SECONDS + SHORT_SECONDS, abs=0.2)
    assert is_rising([one.activity.windows for one in watcher.seen])
    stages = [one.activity.stage for one in watcher.seen]
    assert stages[-1] == WORKING
    assert LOADING in stages
    assert summary.sound_seconds_now == pytest.approx(last.activity.sound_seconds, abs=0.01)
    if num_proc is None:  # a worker has a speed from its first result on, which may be the last one here
        assert 0 < summary.times_realtime == pytest.approx(last.times_realtime, rel=0.2)


def test_label_moves_by_windows_too(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "REPORT_SECONDS", 0.0)
    watcher = Moving()
    tagger = build_tagger("demo", batch_size=2, device="cpu", on_error="record")
    summary = export_predictions(clips, tmp_path / "out", tagger=tagger, watcher=watcher)
    reached = [one.done_rows + one.rows_in_work for one in watcher.seen]
    assert is_rising(reached)
    assert len({round(one, 3) for one in reached if 0 < one < 1}) >= 3
    assert watcher.seen[-1].done_rows == 4
    assert summary.sound_seconds_now == pytest.approx(LONG_SECONDS + SHORT_SECONDS, abs=0.2)
    [reason] = summary.common_reasons
    assert (reason.count, reason.example) == (1, "d.mp4")
    assert reason.reason.startswith("it is no readable media file")
    again = export_predictions(clips, tmp_path / "out", tagger=tagger)
    assert (again.processed_now, again.sound_seconds_now) == (1, 0.0)  # the one that failed
    assert again.sound_seconds == summary.sound_seconds


def test_only_the_first_window_counts_where_no_other_is_scored(clips: Path, tmp_path: Path) -> None:
    tagger = build_tagger("demo", device="cpu", on_error="record")
    summary = tag_dataset(clips, tmp_path / "out", tagger)
    assert summary.sound_seconds_now == pytest.approx(WINDOW_SECONDS + SHORT_SECONDS, abs=0.1)
    assert [(one.count, Path(one.example).name) for one in summary.common_reasons] == [(1, "d.mp4")]
    again = tag_dataset(clips, tmp_path / "out", tagger)
    assert (again.processed_now, again.sound_seconds_now, again.clips_per_second) == (0, 0.0, 0.0)
    assert again.as_dict()["common_reasons"][0]["count"] == 1
