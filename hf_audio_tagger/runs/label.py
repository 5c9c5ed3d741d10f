"""Labelling a collection: for each clip its scores in every class, patch by patch, as files on disk.

    export_predictions("recordings/", "labelled/", tagger=build_tagger("yamnet", weights="yamnet.pth"))
    ds = load_predictions("labelled/")

A clip's way: its row, its patches as the pipeline hears them, their logits to its own .npy while it is still
being heard, and a line in the journal. A run that ends early is gone on with from that journal;
`audio_pred.json` is written when all is done.
"""

import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets import Dataset

from ..cells import Media
from ..errors import ModelError, SettingsError
from ..executors.job import Job, JobProgress, Report, StoppedError
from ..executors.processes import run_here, run_in_processes
from ..predictions.files import (
    ARRAYS_NAME,
    INDEX_NAME,
    ArrayWriter,
    array_path,
    is_whole,
    log_odds,
    write_index,
)
from ..settings import TAG_COLUMN
from ..sources import open_source
from ..sources.clips import Collection
from ..sources.source import Source
from ..tagger import Tagger, build_tagger
from . import Allowance, RunCounter, RunPlan, Watcher, check_counts, disk_errors
from .journal import Entry, append_line, content_of, is_local_file, read_journal
from .run_folder import RunFolder, differences, fingerprint_of, folder_for, locked, record_of, settings_of
from .shards import remove_leftovers, write_file
from .summary import write_failures

if TYPE_CHECKING:
    from ..models.model import AudioModel
    from ..pipeline import ClipEnd, ScoredWindows

FAILURES_NAME = "audio_failures.jsonl"
SETTINGS_NAME, JOURNAL_NAME = "label.json", "label.jsonl"  # in the folder of states
SHARES = 8  # of the clips that a worker gets, so that none waits long for the others
MOST_SHARE = 256


@dataclass(frozen=True)
class LabelSummary:
    """What a run came to. The counts are of all clips, whichever run heard them."""

    folder: str
    clips: int
    labelled: int
    without_sound: int
    failed: int
    patches: int
    sound_seconds: float
    processed_now: int  # clips of this run
    seconds: float  # that it took
    failures: str | None  # the file that lists them


def export_predictions(
    ds: str | os.PathLike[str] | Dataset | Source,
    folder: str | os.PathLike[str],
    *,
    tagger: Tagger | None = None,
    id_column: str | None = None,
    meta_column: str | None = None,
    num_proc: int | None = None,
    overwrite: bool = False,
    watcher: Watcher | None = None,
) -> LabelSummary:
    """Write what a model hears in each patch of each clip, in the form of torch_audioset's tools.

    The folder gets `audio_pred.json` and, below `audio_pred/`, a .npy a clip: float32 (patches, classes), the
    logits whose sigmoid is the score (for a model of one label at a time, the scores' log-odds). Clips of any
    length take no more memory than short ones. Called again, it goes on where it was, and hears only what is
    new or has changed. Clips that cannot be read end the run, or with `on_error="record"` of the tagger are
    listed in `audio_failures.jsonl`; they are no predictions, and neither are those without sound.

    Args:
        ds: a folder of audio or video files, a dataset, or what else `open_source` takes. A clip a row.
        folder: where the files go.
        tagger: whose model, hop, channels and decoder are used; all windows are heard. Default:
            `build_tagger("yamnet", on_error="record")`.
        id_column: what clips are called, differently each. Default: "id", "file_name", or the file's path.
        meta_column: copied to the predictions as it is. Default: "meta" where the rows have it.
        num_proc: worker processes. Default: none, this process does it.
        overwrite: do all clips again, and allow other settings than before.
        watcher: told how it goes.

    >>> export_predictions("recordings/", "labelled/").labelled  # doctest: +SKIP
    1234
    """
    tagger = build_tagger("yamnet", on_error="record") if tagger is None else tagger
    watcher = Watcher() if watcher is None else watcher
    check_counts(num_proc=num_proc)
    collection = Collection(
        ds if isinstance(ds, Source) else open_source(ds, token=tagger.token), tagger, id_column, meta_column
    )
    place = folder_for(folder)
    if place.file is not None or place.repo_id is not None:
        raise SettingsError(f"{place.dest}: predictions go to a folder on this disk.")
    listening = listening_of(tagger)
    classes = listening.labels
    if not classes:
        raise ModelError(f"The weights of {tagger.model!r} have no classifier, so they name no sounds.")
    home = Path(place.dest).expanduser()
    begun = time.monotonic()
    with disk_errors(place), locked(place):
        journal = place.state / JOURNAL_NAME
        begin(home, place, listening, overwrite)
        entries, damaged = read_journal(journal)
        if damaged:
            watcher.noted(
                f"{journal} is damaged (lines: {damaged:,}); the clips named there are heard again."
            )
        done = done_rows(home, collection, len(classes), entries, journal)
        todo = tuple(row for row in range(len(collection)) if row not in done)
        work = Labeller(collection, listening, home, journal, todo)
        plan = RunPlan(
            place,
            record_of(collection.source, listening, 1, None),
            tuple(shares(len(todo), num_proc)),
            len(collection),
            len(collection) - len(todo),
            0,
        )
        watcher.planned(plan)
        tally = RunCounter(plan, Allowance(), watcher)
        if num_proc is None:
            run_here(plan.jobs, work, tally.heard)
        else:
            run_in_processes(plan.jobs, work, num_proc, place.log, tally.heard, watcher.stopping)
        remove_leftovers(home / ARRAYS_NAME)  # of workers that were lost
        watcher.finishing(f"Writing {home / INDEX_NAME}")
        entries, _ = read_journal(journal)
        return finish(home, collection, tagger.model, classes, entries, tally.processed_now, begun)


@dataclass(frozen=True, eq=False)
class Labeller:
    """Hears clips into files. Goes to the workers as it is."""

    collection: Collection
    tagger: Tagger
    folder: Path
    journal: Path
    todo: tuple[int, ...]  # rows; a job is some of these

    def __call__(self, job: Job, rank: int | None, report: Report, is_stopped: Callable[[], bool]) -> None:
        from ..models import get_model
        from ..pipeline import run_pipeline

        model = get_model(self.tagger.spec, self.tagger.device, rank)
        plan = self.tagger.pipeline_options(model)
        step_seconds = plan.hop_samples / model.rate_hz
        patch_seconds = model.window_samples / model.rate_hz
        rows = self.todo[job.start : job.stop]
        begun: deque[Entry] = deque()
        done = failed = 0
        with closing(run_pipeline(self.media_of(rows, begun), model, plan)) as events:
            while (entry := self.label(begun, events, model, is_stopped)) is not None:
                entry = replace(entry, step_seconds=step_seconds, patch_seconds=patch_seconds)
                append_line(self.journal, asdict(entry))
                done, failed = done + 1, failed + (entry.error is not None)
                report(JobProgress(job.index, done, failed))
        report(JobProgress(job.index, len(rows), failed))

    def media_of(self, rows: Sequence[int], begun: deque[Entry]) -> Iterator[Media]:
        """The clips to hear, as the pipeline asks for them; `begun` gets what is known of each."""
        for row in rows:
            media = self.collection.media(row)
            if media is not None:
                origin = None if is_local_file(media) else self.collection.origin(row)
                begun.append(
                    Entry(
                        self.collection.names[row],
                        self.collection.ids[row],
                        content_of(media),
                        origin=origin,
                    )
                )
                yield media

    def label(
        self,
        begun: deque[Entry],
        events: Iterator["ScoredWindows | ClipEnd"],
        model: "AudioModel",
        is_stopped: Callable[[], bool],
    ) -> Entry | None:
        """One clip's patches into its file, as they are heard. None behind the last clip."""
        from ..pipeline import ClipEnd

        event = next(events, None)
        if event is None:
            return None
        entry = begun.popleft()
        end_seconds = 0.0
        with ArrayWriter(npy_path(self.folder, entry.name), len(model.labels)) as array:
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


def listening_of(tagger: Tagger) -> Tagger:
    """The tagger for all windows, with what makes no difference to them at its default."""
    if tagger.windows not in (None, "all"):
        raise SettingsError(
            f"windows={tagger.windows!r} leaves patches out, and an export holds all; drop it."
        )
    return replace(
        tagger,
        windows="all",
        column=None,
        tag_column=TAG_COLUMN,
        top_k=None,
        threshold=None,
        segments=False,
        embeddings=False,
    )


def shares(clips: int, num_proc: int | None) -> list[Job]:
    """What is to be done in parts that workers take one after the other; for this process all at once."""
    size = clips if num_proc is None else min(MOST_SHARE, -(-clips // (num_proc * SHARES)))
    starts = range(0, clips, max(1, size))
    return [Job(number, start, min(start + size, clips)) for number, start in enumerate(starts)]


def npy_path(folder: Path, name: str) -> Path:
    return array_path(folder, {"category_tsr_fname": f"{name}.npy"})


# What is there, and what is new


def begin(home: Path, place: RunFolder, listening: Tagger, overwrite: bool) -> None:
    """Make the folder ready: anew, or to go on with what the same settings have made."""
    settings_path, journal = place.state / SETTINGS_NAME, place.state / JOURNAL_NAME
    if overwrite:
        entries, _ = read_journal(journal)
        for entry in entries.values():
            npy_path(home, entry.name).unlink(missing_ok=True)
        for path in (home / INDEX_NAME, home / FAILURES_NAME, settings_path, journal):
            path.unlink(missing_ok=True)
    compared = replace(listening, on_error="raise")  # either is fine for what is heard
    wanted: dict[str, Any] = {"fingerprint": fingerprint_of(compared), "settings": settings_of(compared)}
    advice = "--overwrite starts anew (overwrite=True), another folder keeps both."
    there = read_settings(settings_path)
    if there is None and ((home / INDEX_NAME).exists() or journal.exists()):
        raise SettingsError(f"{place.dest} holds predictions whose settings are not known. {advice}")
    if there is not None and there["fingerprint"] != wanted["fingerprint"]:
        told = differences(there["settings"], wanted["settings"])
        raise SettingsError(f"{place.dest} was labelled with other settings: {told}. {advice}")
    (home / ARRAYS_NAME).mkdir(parents=True, exist_ok=True)
    remove_leftovers(home / ARRAYS_NAME)
    remove_leftovers(home)
    remove_leftovers(place.state)
    write_file(settings_path, json.dumps(wanted, indent=1).encode())
    append_line(journal)  # closes a line that a killed run began


def read_settings(path: Path) -> dict[str, Any] | None:
    """What the folder was begun with; None where that is not there, or not as a run writes it."""
    try:
        said = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    is_ours = isinstance(said, dict) and "fingerprint" in said and isinstance(said.get("settings"), dict)
    return said if is_ours else None


def entry_of(collection: Collection, row: int, entries: Mapping[str, Entry]) -> Entry | None:
    entry = entries.get(collection.names[row].lower())
    return entry if entry is not None and entry.id == collection.ids[row] else None


def done_rows(
    home: Path, collection: Collection, classes: int, entries: Mapping[str, Entry], journal: Path
) -> frozenset[int]:
    """The clips that were heard, whose whole file is there, and which have not changed since.

    Files are looked at. Bytes and samples are read again only where the rows are no longer those that held
    them; where they turn out to be the same, the journal gets a line that says so.
    """
    heard: dict[int, Entry] = {}
    for row in range(len(collection)):
        entry = entry_of(collection, row, entries)
        if entry is not None and entry.error is None and has_array(home, entry, classes):
            heard[row] = entry
    done = {row for row, entry in heard.items() if entry.origin == collection.origin(row)}
    for row, media in collection.media_of(row for row in heard if row not in done):
        entry = heard[row]
        if media is not None and content_of(media) == entry.content:
            done.add(row)
            if not is_local_file(media):
                append_line(journal, asdict(replace(entry, origin=collection.origin(row))))
    return frozenset(done)


def has_array(home: Path, entry: Entry, classes: int) -> bool:
    return not entry.patches or is_whole(npy_path(home, entry.name), entry.patches, classes)


# The end


def finish(
    home: Path,
    collection: Collection,
    model: str,
    classes: Sequence[str],
    entries: Mapping[str, Entry],
    processed_now: int,
    begun: float,
) -> LabelSummary:
    """Write what was said of all clips together, and count."""
    said = [entry_of(collection, row, entries) for row in range(len(collection))]
    failed = [entry for entry in said if entry is not None and entry.error is not None]
    silent = [id for id, entry in zip(collection.ids, said, strict=True) if entry is None or is_silent(entry)]
    heard = [entry for entry in said if entry is not None and entry.patches]
    predictions = (
        prediction_of(entry, meta)
        for entry, meta in zip(said, collection.metas(), strict=True)
        if entry is not None and entry.patches
    )
    write_index(home, model, classes, silent, predictions)
    return LabelSummary(
        folder=str(home),
        clips=len(collection),
        labelled=len(heard),
        without_sound=len(silent),
        failed=len(failed),
        patches=sum(entry.patches for entry in heard),
        sound_seconds=round(sum(entry.end_seconds for entry in heard), 3),
        processed_now=processed_now,
        seconds=round(time.monotonic() - begun, 3),
        failures=write_failures(
            home / FAILURES_NAME, [{"id": entry.id, "error": entry.error} for entry in failed]
        ),
    )


def is_silent(entry: Entry) -> bool:
    return entry.error is None and not entry.patches


def prediction_of(entry: Entry, meta: Any) -> dict[str, Any]:
    return {
        "id": entry.id,
        "category_tsr_fname": f"{entry.name}.npy",
        "scanned_segment": [0.0, entry.end_seconds],
        "scanned_num_chunks": entry.patches,
        "per_chunk_length": entry.step_seconds,
        "patch_length": entry.patch_seconds,
        "meta": meta,
    }
