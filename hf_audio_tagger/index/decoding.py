"""How many seconds of sound clips have: each is decoded to its end, here or in worker processes."""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..atomic_files import write_file
from ..cells import Media
from ..errors import ColumnError, MediaError
from ..executors import pick_executor
from ..executors.contract import IsStopped, Job, JobProgress, Report, StoppedError
from ..media.audio import open_sound
from ..media.failures import convert_clip_errors
from ..process import Worker

CLIPS_IN_JOB = 100
CLIPS_BETWEEN_REPORTS = 10


@dataclass(frozen=True)
class Decoded:
    """The result for one clip. Without seconds and failure it has no audio stream."""

    seconds: float | None = None
    failure: str | None = None


@dataclass(frozen=True)
class DecodingJob(Job):
    clips: tuple[Media, ...] = ()


@dataclass(frozen=True)
class DecodingWork:
    """Writes a file with the results of a job, which the parent reads."""

    folder: Path

    def __call__(self, job: Job, worker: Worker, report: Report, is_stopped: IsStopped) -> None:
        assert isinstance(job, DecodingJob)
        found = []
        for number, media in enumerate(job.clips, 1):
            found.append(decode_clip(media))
            if number % CLIPS_BETWEEN_REPORTS == 0 or number == len(job.clips):
                report(JobProgress(job.index, number, sum(one.failure is not None for one in found)))
                if is_stopped():
                    raise StoppedError
        write_file(self.result_path(job), json.dumps([vars(one) for one in found]).encode())

    def result_path(self, job: Job) -> Path:
        return self.folder / f"{job.index}.json"


def decode_clip(media: Media) -> Decoded:
    """Decode a clip to its end. An exhausted resource, such as memory, is no fault of the clip and raises."""
    try:
        with convert_clip_errors(media.name), open_sound(media) as sound:
            if sound is None:
                return Decoded()
            return Decoded(sum(map(len, sound.blocks())) / sound.rate_hz)
    except (MediaError, ColumnError) as error:
        return Decoded(failure=str(error).removeprefix(f"{media.name}: ").rstrip("."))


def decode_clips(
    clips: Sequence[Media], num_proc: int | None, on_progress: Callable[[int], None]
) -> list[Decoded]:
    """Decode clips, in this process or in `num_proc` others. `on_progress` gets the number that is done."""
    done: dict[int, int] = {}

    def add(progress: JobProgress) -> None:
        done[progress.index] = progress.rows
        on_progress(sum(done.values()))

    with tempfile.TemporaryDirectory(prefix="hf_audio_tagger-") as folder:
        work, jobs = DecodingWork(Path(folder)), list(make_jobs(clips))
        run = pick_executor(num_proc)
        run(jobs, work, add, lambda: None, num_proc or 1, Path(folder) / "log.txt")
        return [Decoded(**one) for job in jobs for one in json.loads(work.result_path(job).read_bytes())]


def make_jobs(clips: Sequence[Media]) -> Iterator[DecodingJob]:
    for index, first in enumerate(range(0, len(clips), CLIPS_IN_JOB)):
        some = tuple(clips[first : first + CLIPS_IN_JOB])
        yield DecodingJob(index, f"clips {first + 1:,} to {first + len(some):,}", some)
