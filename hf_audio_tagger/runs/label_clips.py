"""Labelling clips: the logits of each into a file while it is decoded, and a line in the journal."""

import json
import re
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..atomic_files import append_line
from ..cells import Media
from ..checks import read_as
from ..executors.contract import IsStopped, Job, JobProgress, Report, StoppedError
from ..predictions.layout import array_path
from ..predictions.writing import ArrayWriter, log_odds
from ..process import Worker
from ..tagger import Tagger
from .collection import Collection, identify_content, is_local_file

if TYPE_CHECKING:
    from ..models.model import AudioModel
    from ..pipeline import ClipEnd, ScoredWindows

FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9 ._-]{0,199}")  # as `make_file_names` makes them


@dataclass(frozen=True)
class Entry:
    """A line of the journal: the result of one clip."""

    name: str  # of its file, without extension
    id: str | int
    content: str | None  # by which a changed clip is noticed
    patches: int = 0  # 0: it has no sound
    step_seconds: float = 0.0  # from one patch's start to the next one's
    patch_seconds: float = 0.0
    end_seconds: float = 0.0  # of its last patch
    error: str | None = None
    origin: str | None = None  # the row of a dataset that holds the content; None: a file of its own

    @property
    def is_silent(self) -> bool:
        return self.error is None and not self.patches


def read_journal(path: Path) -> tuple[dict[str, Entry], int]:
    """The last entry of each file, by its name in lower case, and the number of invalid lines."""
    entries: dict[str, Entry] = {}
    invalid_lines = 0
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            entry = read_as(Entry, line)
            if FILE_NAME.fullmatch(entry.name) is None or entry.patches < 0:
                raise ValueError("not a result of a clip")
            entries[entry.name.lower()] = entry  # some file systems ignore case
        except json.JSONDecodeError:
            continue  # empty, or cut off when a run was killed
        except ValueError:
            invalid_lines += 1
    return entries, invalid_lines


@dataclass(frozen=True)
class ClipsJob(Job):
    rows: tuple[int, ...]  # of the collection


@dataclass(frozen=True, eq=False)
class ClipLabeller:
    """Labels clips. It is pickled for the workers."""

    collection: Collection
    tagger: Tagger
    home: Path
    journal: Path

    def __call__(self, job: Job, worker: Worker, report: Report, is_stopped: IsStopped) -> None:
        from ..models import get_model
        from ..pipeline import run_pipeline

        assert isinstance(job, ClipsJob)
        model = get_model(self.tagger.spec, self.tagger.device or worker.device, worker.rank)
        plan = self.tagger.pipeline_options(model)
        step_seconds = plan.hop_samples / model.rate_hz
        patch_seconds = model.window_samples / model.rate_hz
        started: deque[Entry] = deque()
        done = failed = 0
        with closing(run_pipeline(self.read_media(job.rows, started), model, plan)) as events:
            while (entry := self.label(started, events, model, is_stopped)) is not None:
                entry = replace(entry, step_seconds=step_seconds, patch_seconds=patch_seconds)
                append_line(self.journal, asdict(entry))
                done, failed = done + 1, failed + (entry.error is not None)
                report(JobProgress(job.index, done, failed))
        report(JobProgress(job.index, len(job.rows), failed))  # rows without a clip are done, too

    def read_media(self, rows: tuple[int, ...], started: deque[Entry]) -> Iterator[Media]:
        """The clips, as the pipeline asks for them; `started` gets an entry for each."""
        for row in rows:  # one at a time: it may be large
            _, media = next(self.collection.read_clips([row]))
            if media is not None:
                origin = None if is_local_file(media) else self.collection.get_origin(row)
                name, id = self.collection.names[row], self.collection.ids[row]
                started.append(Entry(name, id, identify_content(media), origin=origin))
                yield media

    def label(
        self,
        started: deque[Entry],
        events: Iterator["ScoredWindows | ClipEnd"],
        model: "AudioModel",
        is_stopped: IsStopped,
    ) -> Entry | None:
        """Write the next clip's patches as they come, and return its entry; None after the last clip."""
        from ..pipeline import ClipEnd

        event = next(events, None)
        if event is None:
            return None
        entry = started.popleft()
        end_seconds = 0.0
        with ArrayWriter(array_path(self.home, f"{entry.name}.npy"), len(model.labels)) as array:
            while not isinstance(event, ClipEnd):
                array.add(log_odds(event.output.logits, model.multi_label))
                end_seconds = event.spans[-1][1]
                event = next(events)
                if is_stopped():
                    raise StoppedError
            if event.error is not None and self.tagger.on_error == "raise":
                raise event.error
            if event.error is not None:
                return replace(entry, error=str(event.error))
            if array.rows:
                array.finish()
        return replace(entry, patches=array.rows, end_seconds=end_seconds)
