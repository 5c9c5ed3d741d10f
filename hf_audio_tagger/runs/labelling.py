"""The labelling task: write each clip's scores in every class, patch by patch, to files.

    export_predictions("recordings/", "labelled/", tagger=build_tagger("yamnet", weights="yamnet.pth"))
    ds = load_predictions("labelled/")

Each clip's logits are written to its own .npy while it is decoded, then a line to the journal, from which a
run is resumed. `audio_pred.json` is written when all clips are done.
"""

import json
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets import Dataset

from ..activity import expect_clips
from ..atomic_files import append_line, remove_leftovers, write_file
from ..cells import Media
from ..checks import check_counts
from ..errors import ModelError, SettingsError
from ..executors import open_workers
from ..executors.cluster import RayCluster
from ..executors.contract import IsStopped, Job, Report, StoppedError
from ..executors.reporting import JobReporter, reporting
from ..predictions.writing import (
    ARRAYS_NAME,
    INDEX_NAME,
    ArrayWriter,
    array_path,
    is_whole,
    log_odds,
)
from ..process import Worker
from ..sources import open_source
from ..sources.sampling import take_sample
from ..sources.source import Source
from ..stores import StorePath
from ..tagger import Tagger, build_tagger
from .collection import Collection, identify_content, is_local_file
from .engine import RunCounter, RunPlan, Watcher, run_task
from .journal import (
    Entry,
    digest_journals,
    find_journals,
    has_ended,
    join_journals,
    join_own_journals,
    journal_path,
    mark_path,
    note_end,
    read_journals,
    worker_journal_path,
)
from .label_results import LabelSummary, list_failed, summarize, write_entries
from .locks import finishing, preparing
from .node_probe import make_probe, prepare_tagger
from .record import ADVICE, OVERWRITE_WITH_SHARE, Record, check_same_settings, make_record
from .run_folder import RunFolder, folder_for
from .share import Share, parse_share
from .standing import Standing, describe_standing, make_standing

if TYPE_CHECKING:
    from ..chunks import ClipEnd
    from ..pipeline import ScoredWindows

    ClipEvents = Iterator[ScoredWindows | ClipEnd]

FAILURES_NAME = "audio_failures.jsonl"
SETTINGS_NAME = "label.json"  # in the state
JOBS_PER_WORKER = 8  # small enough that all workers finish at about the same time
MOST_CLIPS_IN_A_JOB = 256
WITHOUT_EFFECT = frozenset({"column", "tag_column", "top_k", "threshold", "segments", "embeddings"})


def export_predictions(
    ds: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Dataset | Source,
    folder: str | os.PathLike[str],
    *,
    tagger: Tagger | None = None,
    id_column: str | None = None,
    meta_column: str | None = None,
    sample: int | None = None,
    num_proc: int | None = None,
    executor: RayCluster | None = None,
    overwrite: bool = False,
    shard: str | None = None,
    watcher: Watcher | None = None,
) -> LabelSummary:
    """Write a model's scores for each patch of each clip, in the format of torch_audioset's tools.

    The folder gets `audio_pred.json` and, below `audio_pred/`, a .npy per clip: float32 (patches, classes),
    the logits whose sigmoid is the score (for a single-label model, the scores' log-odds). Memory use does
    not depend on the length of clips. Called again, it resumes, and labels only what is new or has changed.
    Clips that cannot be read end the run, or with `on_error="record"` of the tagger are listed in
    `audio_failures.jsonl`; they have no predictions, nor do clips without sound.

    Args:
        ds: a folder of media, a dataset, or any other source of `open_source`; one clip per row.
        folder: for the output.
        tagger: whose model, hop, channels and decoder are used, with all windows. Default:
            `build_tagger("yamnet", on_error="record")`.
        id_column: the clips' names, which must differ. Default: "id", "file_name", or the file's path.
        meta_column: copied to the predictions as it is. Default: "meta" where the rows have it.
        sample: only so many clips, drawn from all over; always the same ones.
        num_proc: worker processes. Default: none, only this process; on a cluster one a GPU, or a CPU node.
        executor: a cluster whose nodes see the source and the folder, to label the clips there.
        overwrite: label all clips again, and allow other settings than before.
        shard: "2/8" for the second of eight commands that label the source together, as in `tag_dataset`.
        watcher: gets the progress.

    >>> export_predictions("recordings/", "labelled/").labelled  # doctest: +SKIP
    1234
    """
    tagger = build_tagger("yamnet", on_error="record") if tagger is None else tagger
    tagger = prepare_tagger(tagger, executor is not None)
    check_counts(num_proc=num_proc, sample=sample)
    source = ds if isinstance(ds, Source) else open_source(ds, token=tagger.token)
    source = source if sample is None else take_sample(source, sample)
    collection = Collection(source, tagger, id_column, meta_column)
    place = folder_for(folder, parse_share(shard))
    if place.file is not None or place.repo_id is not None or isinstance(place.state, StorePath):
        raise SettingsError(f"{place.dest}: predictions go to a folder on this disk.")
    if tagger.windows not in (None, "all"):
        raise SettingsError(
            f"windows={tagger.windows!r} leaves patches out, but an export has all; leave out windows=."
        )
    # Settings without effect are reset to their defaults.
    defaults: dict[str, Any] = {one.name: one.default for one in fields(Tagger) if one.name in WITHOUT_EFFECT}
    used = replace(tagger, **{**defaults, "windows": "all"})
    classes = used.labels
    if not classes:
        raise ModelError(f"The weights of {tagger.model!r} have no classifier, so they name no sounds.")
    with open_workers(num_proc, executor, used.device) as workers:
        on_cluster = executor is not None
        task = LabellingTask(place, collection, used, classes, workers.count, overwrite, on_cluster)
        return run_task(task, workers, watcher)


@dataclass(frozen=True)
class ClipsJob(Job):
    rows: tuple[int, ...]  # of the collection


@dataclass(eq=False)
class LabellingTask:
    folder: RunFolder
    collection: Collection
    tagger: Tagger
    classes: Sequence[str]  # of the model
    num_proc: int | None
    overwrite: bool
    on_cluster: bool = False

    def __post_init__(self) -> None:
        self.state = self.folder.local_state
        self.home = self.state.parent
        self.journal = journal_path(self.state, self.folder.share)
        self.failures = self.home / Path(FAILURES_NAME).with_stem(self.folder.add_suffix("audio_failures"))

    @cached_property
    def own_rows(self) -> list[int]:
        return [row for row in range(len(self.collection)) if self.folder.has_shard(row)]

    def is_own_array(self, name: str) -> bool:
        """Whether no other command writes a file of this name."""
        return self.folder.share is None or name.removesuffix(".npy") in self.own_names

    @cached_property
    def own_names(self) -> frozenset[str]:
        return frozenset(self.collection.names[row] for row in self.own_rows)

    def plan(self) -> RunPlan:
        # on_error makes no difference to the scores.
        record = make_record(self.collection.source, replace(self.tagger, on_error="raise"), 1, None)
        self.prepare_folder(record)
        entries, invalid_lines = read_journals(self.state)
        done = self.find_done_rows(entries)
        rows = [row for row in self.own_rows if row not in done]
        note = f"{self.journal} is damaged (lines: {invalid_lines:,}); their clips are labelled again."
        notes = [note] if invalid_lines else []
        jobs = split_into_jobs(rows, self.num_proc)
        plan = RunPlan(
            self.folder, record, jobs, self.label_clips, len(self.own_rows), len(done), notes=notes
        )
        source, state = self.collection.source, self.folder.state
        return replace(plan, probe=make_probe(source, self.tagger, state) if self.on_cluster else None)

    def label_clips(self, job: Job, worker: Worker, report: Report, is_stopped: IsStopped) -> None:
        assert isinstance(job, ClipsJob)
        with reporting(job.index, worker.rank, report) as reporter:
            reporter.expect_rows(len(job.rows))
            self.label_rows(job.rows, worker, reporter, is_stopped)

    def label_rows(
        self, rows: tuple[int, ...], worker: Worker, reporter: JobReporter, is_stopped: IsStopped
    ) -> None:
        from ..models import get_model
        from ..pipeline import run_pipeline

        model = get_model(self.tagger.spec, self.tagger.device or worker.device, worker.rank)
        plan = self.tagger.pipeline_options(model)
        step_seconds = plan.hop_samples / model.rate_hz
        patch_seconds = model.window_samples / model.rate_hz
        started: deque[Entry] = deque()
        journal = self.journal
        if self.on_cluster:  # hosts that append to one file of a shared disk may lose lines
            journal = worker_journal_path(self.journal, worker.rank)
            append_line(journal)  # ends a line that was cut off when a worker was lost
        done = 0
        expect_clips(len(rows))
        with closing(run_pipeline(self.read_media(rows, started), model, plan)) as events:
            for event in events:
                entry = self.label(started.popleft(), chain([event], events), model.multi_label, is_stopped)
                entry = replace(entry, step_seconds=step_seconds, patch_seconds=patch_seconds)
                append_line(journal, asdict(entry))
                done += 1
                reporter.finish_rows(1, int(entry.error is not None))
        reporter.finish_rows(len(rows) - done, 0)  # rows without a clip are done, too

    def read_media(self, rows: tuple[int, ...], started: deque[Entry]) -> Iterator[Media]:
        """Yield the clips on demand, and append an entry for each to `started`."""
        for row in rows:  # one at a time: it may be large
            _, media = next(self.collection.read_clips([row]))
            if media is not None:
                origin = None if is_local_file(media) else self.collection.get_origin(row)
                name, id = self.collection.names[row], self.collection.ids[row]
                started.append(Entry(name, id, identify_content(media), origin=origin))
                yield media

    def label(self, entry: Entry, events: "ClipEvents", multi_label: bool, is_stopped: IsStopped) -> Entry:
        """Write a clip's patches while they are scored, and return its entry."""
        from ..chunks import ClipEnd

        end_seconds = 0.0
        with ArrayWriter(self.array_path(entry), len(self.classes)) as array:
            while not isinstance(event := next(events), ClipEnd):
                array.add(log_odds(event.output.logits, multi_label))
                end_seconds = event.spans[-1][1]
                if is_stopped():
                    raise StoppedError
            if event.error is not None and self.tagger.on_error == "raise":
                raise event.error
            if event.error is not None:
                return replace(entry, error=str(event.error))
            if array.rows:
                array.finish()
        return replace(entry, patches=array.rows, end_seconds=end_seconds)

    def list_failures(self, plan: RunPlan, counter: RunCounter) -> str | None:
        entries = self.find_entries(read_journals(self.state)[0])
        return list_failed([entries[row] for row in self.own_rows], self.failures)

    def finish(self, plan: RunPlan, counter: RunCounter, watcher: Watcher) -> LabelSummary:
        remove_leftovers(self.home / ARRAYS_NAME, self.is_own_array)  # of workers that were lost
        share, source = self.folder.share, self.collection.source.fingerprint
        if share is None:
            return self.complete(counter, watcher)
        note_end(self.state, share, source)
        entries = self.find_entries(read_journals(self.state)[0])
        standing = self.read_standing(share, entries)
        note = describe_standing(standing)
        if not standing.left:
            with finishing(self.folder) as is_finishing:
                for _ in range(share.count if is_finishing else 0):
                    state = digest_journals(self.state)
                    summary = self.complete(counter, watcher)
                    if digest_journals(self.state) == state:
                        return summary
            note = "All files are done, and another command is finishing the run."
        summary = summarize(self.home, [entries[row] for row in self.own_rows], counter, self.failures)
        return replace(summary, shard=str(share), clips_left=standing.left, notes=(note,))

    def read_standing(self, share: Share, entries: Sequence[Entry | None]) -> Standing:
        """How far the commands are that share the run. A row has no entry if it has no clip, too."""
        source = self.collection.source.fingerprint
        ended = {
            number
            for number in range(1, share.count + 1)
            if has_ended(self.state, Share(number, share.count), source)
        }
        numbers = [row % share.count + 1 for row, entry in enumerate(entries) if entry is None]
        left = [number for number in numbers if number not in ended]
        return make_standing(self.folder, len(entries) - len(left), len(entries), set(left), "files")

    def complete(self, counter: RunCounter, watcher: Watcher) -> LabelSummary:
        """Write the index of all clips."""
        watcher.finishing(f"Writing {self.home / INDEX_NAME}")
        entries = self.find_entries(read_journals(self.state)[0])
        write_entries(self.home, self.tagger.model, self.classes, self.collection, entries)
        for path in self.home.glob("audio_failures-*.jsonl"):  # of single shares
            path.unlink(missing_ok=True)
        return summarize(self.home, entries, counter, self.home / FAILURES_NAME)

    def prepare_folder(self, wanted: Record) -> None:
        """Start a run in the folder, or resume one with the same settings."""
        if self.overwrite and self.folder.share is not None:
            raise SettingsError(OVERWRITE_WITH_SHARE)
        with preparing(self.folder) as is_alone:
            self.prepare_state(wanted, is_alone)
        append_line(self.journal)  # ends a line that was cut off when a run was killed

    def prepare_state(self, wanted: Record, is_alone: bool) -> None:
        settings_path, index = self.state / SETTINGS_NAME, self.home / INDEX_NAME
        arrays = self.home / ARRAYS_NAME
        join_own_journals(self.journal)
        if is_alone:
            join_journals(self.state)
        if self.overwrite:
            paths = [self.array_path(entry) for entry in read_journals(self.state)[0].values()]
            marks = self.state.glob("ended-*.json")
            for path in (*paths, *marks, index, self.home / FAILURES_NAME, settings_path, self.journal):
                path.unlink(missing_ok=True)
        before = read_settings(settings_path)
        if before is not None:
            check_same_settings(self.folder.dest, before["settings"], before["fingerprint"], wanted)
        elif index.exists() or find_journals(self.state):
            raise SettingsError(f"{self.folder.dest} holds predictions of unknown settings. {ADVICE}")
        arrays.mkdir(parents=True, exist_ok=True)
        remove_leftovers(arrays, (lambda name: True) if is_alone else self.is_own_array)
        for folder in (self.home, self.state) if is_alone else ():
            remove_leftovers(folder)
        if self.folder.share is not None:
            mark_path(self.state, self.folder.share).unlink(missing_ok=True)
        settings = {"fingerprint": wanted.fingerprint, "settings": wanted.settings}
        write_file(settings_path, json.dumps(settings, indent=1).encode())

    def array_path(self, entry: Entry) -> Path:
        return array_path(self.home, f"{entry.name}.npy")

    def is_labelled(self, entry: Entry) -> bool:
        return entry.is_silent or (
            entry.error is None and is_whole(self.array_path(entry), entry.patches, len(self.classes))
        )

    def find_entries(self, entries: Mapping[str, Entry]) -> list[Entry | None]:
        """The last entry of each row in the journal, if any."""
        found = (entries.get(name.lower()) for name in self.collection.names)
        with_ids = zip(found, self.collection.ids, strict=True)
        return [entry if entry is not None and entry.id == id else None for entry, id in with_ids]

    def find_done_rows(self, entries: Mapping[str, Entry]) -> frozenset[int]:
        """The rows that are labelled and have not changed since.

        Bytes and samples are read again only if their origin has changed; if their content has not, the new
        origin is added to the journal.
        """
        collection = self.collection
        found = self.find_entries(entries)
        own = ((row, found[row]) for row in self.own_rows)
        labelled = {row: entry for row, entry in own if entry and self.is_labelled(entry)}
        done = {row for row, entry in labelled.items() if entry.origin == collection.get_origin(row)}
        for row, media in collection.read_clips(row for row in labelled if row not in done):
            entry = labelled[row]
            if media is not None and identify_content(media) == entry.content:
                done.add(row)
                if not is_local_file(media):
                    append_line(self.journal, asdict(replace(entry, origin=collection.get_origin(row))))
        return frozenset(done)


def split_into_jobs(rows: Sequence[int], num_proc: int | None) -> list[ClipsJob]:
    """Split rows into jobs for workers; a run in this process has a single job."""
    size = len(rows)
    if num_proc is not None:
        size = min(MOST_CLIPS_IN_A_JOB, -(-len(rows) // (num_proc * JOBS_PER_WORKER)))
    parts = [tuple(rows[start : start + size]) for start in range(0, len(rows), max(1, size))]
    return [ClipsJob(index, f"clips (rows from {part[0]:,} on)", part) for index, part in enumerate(parts)]


def read_settings(path: Path) -> dict[str, Any] | None:
    """The settings of an earlier run; None if they are missing or damaged."""
    try:
        stored: dict[str, Any] = json.loads(path.read_bytes())
        return stored if isinstance(stored["settings"], dict) and "fingerprint" in stored else None
    except (FileNotFoundError, ValueError, TypeError, KeyError, RecursionError):
        return None
