"""Long runs over many clips: nothing is done twice, nothing is lost.

    summary = tag_dataset("clips/", "tagged/", build_tagger(on_error="record"), num_proc=4)
    load_dataset("tagged/")

One row's way:

    SOURCE ─sources─▶ rows a..b ─jobs─▶ shard-00012.parquet ─run_folder─▶ DEST ─summary─▶ counts
                          ▲ a job, from the plan        ▲ atomically, with the settings' fingerprint

The rows are cut into shards of `shard_rows`. The plan names those that are not there, in order; workers
take them one by one, hear their rows in batches and put each finished shard in its place in one step. So
at any moment DEST holds whole shards only, and the next run's plan begins with what is missing. A run
that ends early and can still act (Ctrl-C, too many failures, an error elsewhere) keeps the rows of its
unfinished shards as shorter ones.

| file | its one subject |
|---|---|
| `sources.py` | SOURCE → rows |
| `plan.py` | what is left to do: rows that are missing, and rows whose files have changed |
| `stamps.py` | by what a changed file is told |
| `shards.py` | one file, whole or not there |
| `jobs.py` | hear the rows of a shard; the same rows give the same shard wherever that happens |
| `workers.py` | processes that take jobs; one that dies is replaced |
| `run_folder.py` | DEST: what is remembered, the lock, refusing another run's place |
| `written.py` | by what damage to a shard or to DEST is told |
| `typed_json.py` | state files read back: other types than were written are damage |
| `summary.py` | counts and the list of failures |
"""

import errno
import os
import time
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from datasets import Dataset, IterableDataset

from ..checks import check_counts
from ..errors import RunError, SettingsError
from ..executors.job import JobProgress
from ..executors.processes import run_here, run_in_processes
from ..provenance import after_tagging, makers_of_files, with_makers
from ..results.summary import Summary, summarize
from ..rows import pick_column
from ..sources import open_source
from ..sources.source import Source
from ..tagger import Tagger, build_tagger
from .jobs import ShardTagger, tag_rows
from .plain_rows import plain_features, plain_table
from .plan import RunPlan, make_plan, shards_of
from .run_folder import RunFolder, begin, folder_for, is_joined, join_shards, locked, read_record, record_of
from .shards import remove_leftovers, shard_paths

SHARD_ROWS = 1_000
SAMPLE_ROWS = 100  # a share of failures is judged from so many rows on


@dataclass(frozen=True)
class Progress:
    """How far the whole run is."""

    done_rows: int
    failed_rows: int
    processed_now: int
    total_rows: int | None
    rows_per_second: float  # of this run


class Watcher:
    """What a run tells while it goes. Subclass it to draw; this one is silent."""

    def planned(self, plan: RunPlan) -> None: ...
    def noted(self, text: str) -> None: ...
    def progressed(self, progress: Progress) -> None: ...
    def stopping(self) -> None: ...
    def finishing(self, what: str) -> None: ...


def tag_dataset(
    source: str | os.PathLike[str] | Dataset | IterableDataset | Source,
    dest: str | os.PathLike[str],
    tagger: Tagger | None = None,
    *,
    num_proc: int | None = None,
    shard_rows: int | None = None,
    limit: int | None = None,
    overwrite: bool = False,
    retry_failed: bool = False,
    max_failures: int | str | None = None,
    push: Mapping[str, Any] | None = None,
    watcher: Watcher | None = None,
) -> Summary:
    """Tag a source into DEST, shard by shard; called again, it goes on where it was.

    Rows whose files on this disk have changed since (by size and time of change) are heard again, too, and
    shards that were damaged are made again.

    Args:
        source: what `open_source` takes, or what it gave.
        dest: a folder (`load_dataset` opens it), a .jsonl or .parquet file, or hf://datasets/user/name.
        tagger: default: `build_tagger(on_error="record")`.
        num_proc: worker processes. Default: none, this process does it.
        shard_rows: rows in a shard, 1,000 by default. A run that goes on keeps its own.
        limit: only the first rows. A larger one, or none, goes on.
        overwrite: remove what an earlier run made of DEST.
        retry_failed: hear the rows again that failed, and no others that were heard.
        max_failures: stop when more rows failed, a number or a share such as "5%".
        push: push the result, as `push(ds, **push)`: {"repo_id": "user/name", "private": True, ...}.
        watcher: told how it goes.

    >>> tag_dataset("clips/", "tagged/").failed  # doctest: +SKIP
    0
    """
    tagger = build_tagger(on_error="record") if tagger is None else tagger
    watcher = Watcher() if watcher is None else watcher
    opened = source if isinstance(source, Source) else open_source(source, token=tagger.token)
    failures_allowed = Allowance.of(max_failures)
    check_counts(num_proc=num_proc, shard_rows=shard_rows, limit=limit)
    folder = folder_for(dest)
    if opened.row_count == 0:
        raise SettingsError(f"{opened.name} holds no rows.")
    if opened.is_stream and num_proc is not None and num_proc > 1:
        raise SettingsError("A stream is read in sequence, by one process: leave out num_proc= (--num-proc).")
    pick_column(list(opened.features), tagger.column)
    makers = after_tagging(opened.makers, opened.features, tagger)
    with disk_errors(folder), locked(folder):
        wanted = record_of(opened, tagger, shard_rows or SHARD_ROWS, limit)
        record = begin(folder, wanted, overwrite)
        plan = make_plan(folder, record, opened, tagger, retry_failed)
        watcher.planned(plan)
        for text in plan.notes:
            watcher.noted(text)
        work = ShardTagger(
            source=opened,
            tagger=tagger,
            folder=folder.shards,
            fingerprint=record.fingerprint,
            shard_rows=record.shard_rows,
            limit=limit,
            keep_bytes=folder.keeps_bytes,
            ledger=folder.ledger,
            makers=makers,
        )
        tally = RunCounter(plan, failures_allowed, watcher)
        begun = time.monotonic()
        try:
            failures_allowed.check(plan.failed_rows, plan.done_rows, plan.total_rows)
            if num_proc is None:
                run_here(plan.jobs, work, tally.heard)
            else:
                run_in_processes(plan.jobs, work, num_proc, folder.log, tally.heard, watcher.stopping)
        except TooManyFailuresError as error:
            listed = summarize(folder, tagger, record.shard_rows).failures
            raise RunError(f"{error} What is done is kept, the failures are listed in {listed}.") from None
        remove_leftovers(folder.shards)  # of workers that were lost
        if not is_joined(folder):
            watcher.finishing(f"Writing {folder.dest}")
            join_shards(folder)
        seconds = time.monotonic() - begun
        summary = summarize(folder, tagger, record.shard_rows, tally.processed_now, seconds, tally.rate)
        kept_now = summary.kept - plan.kept_rows
        summary = replace(summary, processed_now=tally.processed_now - kept_now)
        if summary.kept and None in makers[tagger.tag_column]:
            note = f"{summary.kept:,} rows came with tags of unknown origin and were kept (redo hears them)."
            summary = replace(summary, notes=(note,))
        if folder.repo_id is not None:
            push = {**(push or {}), "repo_id": folder.repo_id}
            push["revision"] = folder.revision or push.get("revision")
        if push is not None:
            watcher.finishing(f"Pushing to {push['repo_id']}")
            push_result(folder, tagger, push)
    return summary


@dataclass(frozen=True)
class Allowance:
    """How many rows may fail: a number, a share, or any."""

    rows: int | None = None
    share: float | None = None

    @classmethod
    def of(cls, given: int | str | None) -> "Allowance":
        """Read `max_failures`.

        >>> Allowance.of("5%")
        Allowance(rows=None, share=0.05)
        """
        if given is None:
            return cls()
        text = str(given).strip()
        try:
            if text.endswith("%"):
                share = float(text[:-1]) / 100
                if 0 <= share <= 1:
                    return cls(share=share)
            elif int(text) >= 0:
                return cls(rows=int(text))
        except ValueError:
            pass
        raise SettingsError(
            f"max_failures={given!r} cannot be; it is a number of rows or a share such as '5%'."
        )

    def check(self, failed: int, done: int, total: int | None) -> None:
        if self.rows is not None and failed > self.rows:
            raise TooManyFailuresError(
                f"Stopped: {failed:,} rows failed, more than the {self.rows:,} allowed."
            )
        judged = done >= min(SAMPLE_ROWS, total or SAMPLE_ROWS)
        if self.share is not None and judged and failed > self.share * done:
            raise TooManyFailuresError(
                f"Stopped: {failed:,} of {done:,} rows failed; {self.share:.3%} are allowed."
            )


class TooManyFailuresError(RunError):
    """More rows failed than were allowed."""


@dataclass
class RunCounter:
    """Adds up what the jobs tell, in the same time for any number of jobs.

    A job that is done again counts from nothing again.
    """

    plan: RunPlan
    allowance: Allowance
    watcher: Watcher
    by_job: dict[int, JobProgress] = field(default_factory=dict)
    processed_now: int = 0
    failed_now: int = 0
    first: tuple[float, int] | None = None  # when the first batch was heard, and its rows
    last_seconds: float = 0.0
    begun: float = field(default_factory=time.monotonic)

    def heard(self, heard: JobProgress) -> None:
        before = self.by_job.get(heard.index, JobProgress(heard.index, 0, 0))
        self.by_job[heard.index] = heard
        self.processed_now += heard.rows - before.rows
        self.failed_now += heard.failed - before.failed
        now = time.monotonic()
        self.first = self.first or (now, self.processed_now)
        self.last_seconds = now
        failed = self.plan.failed_rows + self.failed_now
        done = self.plan.done_rows + self.processed_now
        self.watcher.progressed(Progress(done, failed, self.processed_now, self.plan.total_rows, self.rate))
        self.allowance.check(failed, done, self.plan.total_rows)

    @property
    def rate(self) -> float:
        """Rows a second, without the time that the model took to load where more than one batch tells."""
        if self.first is None:
            return 0.0
        seconds, rows = self.last_seconds - self.first[0], self.processed_now - self.first[1]
        if rows <= 0 or seconds <= 0:
            seconds, rows = self.last_seconds - self.begun, self.processed_now
        return rows / seconds if seconds > 0 else 0.0


@contextmanager
def disk_errors(folder: RunFolder) -> Any:
    """A disk that is full, or a place that cannot be written, in words."""
    try:
        yield
    except OSError as error:
        if isinstance(error, SettingsError | RunError):
            raise
        kind = (
            "The disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "Reading or writing failed"
        )
        place = f": {error.filename}" if error.filename else ""
        raise RunError(
            f"{kind} ({error.strerror or error}{place}). What is done is kept in {folder.dest}; "
            "the same command goes on."
        ) from error


def preview(source: Source, tagger: Tagger) -> dict[str, Any]:
    """The first row as a run would write it, without the bytes of files; nothing is written.

    >>> preview(open_source("clips/"), build_tagger("demo"))["video_audio_tags"]  # doctest: +SKIP
    ['Siren']
    """
    row = source.stream().take(1) if source.is_stream else source.rows(0, 1)
    if not len(row):
        raise SettingsError(f"{source.name} holds no rows.")
    after_tagging(source.makers, source.features, tagger)
    features = plain_features(tagger.features(source.features))
    tagged = tag_rows(source, tagger, row, 0, None)
    told: dict[str, Any] = plain_table(tagged, features).to_pylist()[0]
    return told


def load_result(dest: str | os.PathLike[str]) -> Dataset:
    """The rows of a run as a dataset, whatever form DEST has."""
    return result_of(folder_for(dest))


def result_of(folder: RunFolder) -> Dataset:
    record = read_record(folder)
    count = None if record is None else shards_of(record)
    paths = [str(path) for path in shard_paths(folder.shards, count)]
    if not paths:
        raise SettingsError(f"{folder.dest} holds no shards of a run.")
    result = Dataset.from_parquet(paths)
    assert isinstance(result, Dataset)
    return with_makers(result, makers_of_files(paths))


def push_result(folder: RunFolder, tagger: Tagger, how: Mapping[str, Any]) -> str:
    """Push what a run made."""
    from ..hub import push

    options = dict(how)
    return push(result_of(folder), options.pop("repo_id"), tagger=tagger, token=tagger.token, **options)
