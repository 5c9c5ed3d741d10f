"""The tagging task: write a source's rows to Parquet shards, and these to DEST."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from datasets import Dataset, IterableDataset

from ..checks import check_counts
from ..columns import error_column
from ..digests import digest_values
from ..errors import RunError, SettingsError
from ..executors import open_workers
from ..executors.cluster import RayCluster
from ..media_column import pick_column
from ..provenance import Provenance, add_provenance, read_schema_provenance, update_provenance
from ..results.facts import Summary, TagFacts, count_table, find_failures
from ..results.run_files import find_shards
from ..results.tagged_rows import load_tables
from ..sources import open_source
from ..sources.columns import with_media_column
from ..sources.sampling import limit_rows
from ..sources.source import Source
from ..sources.tar_shards import TarSource, choose_clip
from ..stores.reading import read_each
from ..tagger import Tagger, build_tagger
from .engine import RunCounter, RunPlan, Watcher, run_task
from .files import remove_leftovers
from .locks import finishing
from .node_probe import make_probe, prepare_tagger
from .output import join_shards, plain_features, plain_table
from .record import Record, make_record, prepare_folder, read_record
from .run_folder import RunFolder, folder_for
from .shards import read_columns, read_footer, read_schema, read_texts
from .share import Share, parse_share
from .standing import (
    describe_standing,
    digest_shards,
    read_finished,
    read_standing,
    write_finished,
)
from .summary import make_summary
from .tag_plan import make_plan
from .tag_shard import ShardTagger, tag_rows
from .tar_folder import BesideFolder, folder_beside
from .tar_plan import plan_tars, read_tar_standing
from .tar_shard import TarTagger
from .tar_summary import summarize_tars

SHARD_ROWS = 1_000


def tag_dataset(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Dataset | IterableDataset | Source,
    dest: str | os.PathLike[str] | None,
    tagger: Tagger | None = None,
    *,
    num_proc: int | None = None,
    executor: RayCluster | None = None,
    shard_rows: int | None = None,
    limit: int | None = None,
    sample: int | None = None,
    overwrite: bool = False,
    retry_failed: bool = False,
    max_failures: int | str | None = None,
    shard: str | None = None,
    push: Mapping[str, Any] | None = None,
    beside: bool = False,
    keep_files: bool = False,
    watcher: Watcher | None = None,
) -> Summary:
    """Tag a source into DEST, shard by shard; called again, it resumes.

    Rows whose local files have changed since (by size and modification time) are tagged again, and so
    are the rows of damaged shards.

    Tars in WebDataset's layout are read in sequence, each of them a shard: a sample is a row with its key,
    its members of text and JSON as strings, and the tags of its video, else of its sound. A tar that breaks
    off gives the samples before and counts as failed; `retry_failed` reads on in it.

    Args:
        source: any source that `open_source` accepts, or its result.
        dest: a folder (`load_dataset` opens it) or a .jsonl or .parquet file, on a disk or in a store
            (s3://bucket/run), or hf://datasets/user/name. None with `beside`.
        tagger: default: `build_tagger(on_error="record")`.
        num_proc: worker processes. Default: none, only this process; on a cluster one a GPU, or a CPU node.
        executor: a cluster whose nodes see the source and DEST, to run the shards there.
        shard_rows: rows in a shard, 1,000 by default. A resumed run keeps its own.
        limit: only the first rows. A later run may have a larger one, or none.
        sample: only so many rows, drawn from all over, always the same ones. A later run may have more.
        overwrite: remove what an earlier run has written to DEST.
        retry_failed: process failed rows again, but no other rows that are done.
        max_failures: stop when more rows failed, a number or a share such as "5%".
        shard: "2/8" for the second of eight commands that tag the source together, each for itself, into one
            DEST that all of them see. The last one to end finishes the run, or a call without `shard`.
        push: push the result, as `push(ds, **push)`: {"repo_id": "user/name", "private": True, ...}.
        beside: of tars: write NAME.tar.tags.parquet beside each of them, and no DEST.
        keep_files: of tars: the rows have their media and all other members, too.
        watcher: gets the progress.

    >>> tag_dataset("clips/", "tagged/").failed  # doctest: +SKIP
    0
    """
    tagger = build_tagger(on_error="record") if tagger is None else tagger
    tagger = prepare_tagger(tagger, executor is not None)
    opened = source if isinstance(source, Source) else open_source(source, token=tagger.token)
    check_counts(num_proc=num_proc, shard_rows=shard_rows, limit=limit, sample=sample)
    if isinstance(opened, TarSource):
        if (shard_rows, limit, sample) != (None, None, None):
            raise SettingsError(
                "A tar is a shard, and all of it is read: leave out shard_rows=, limit= and sample=, or name "
                "fewer tars."
            )
        opened = choose_clip(opened, tagger.column, keep_files)
    elif dest is None or beside or keep_files:
        raise SettingsError(f"{opened.name} is no tar: pass a DEST, without beside= and keep_files=.")
    opened, limit = limit_rows(opened, limit, sample)
    folder = pick_folder(opened, dest, beside, push is not None, parse_share(shard))
    if opened.row_count == 0:
        raise SettingsError(f"{opened.name} holds no rows.")
    if not opened.is_divisible and ((num_proc is not None and num_proc > 1) or executor is not None):
        raise SettingsError(
            "A stream is read in sequence, by one process: leave out num_proc= and executor=."
        )
    if not opened.is_divisible and folder.share is not None:
        raise SettingsError("A stream is read in sequence, by one command: leave out shard= or streaming=.")
    tagger = with_media_column(opened, tagger)
    provenance = update_provenance(opened.provenance, opened.features, tagger)
    task = TaggingTask(
        folder,
        opened,
        tagger,
        provenance,
        shard_rows or SHARD_ROWS,
        limit,
        overwrite,
        retry_failed,
        push,
        on_cluster=executor is not None,
    )
    with open_workers(num_proc, executor, tagger.device) as workers:
        return run_task(task, workers, watcher, max_failures)


def pick_folder(
    source: Source, dest: str | os.PathLike[str] | None, beside: bool, has_push: bool, share: Share | None
) -> RunFolder:
    """DEST, or the folder of tars where the results lie beside these."""
    if dest is not None and not beside:
        return folder_for(dest, share)
    if dest is not None or not beside:
        raise SettingsError("Tags of tars go to DEST (dest=), or beside the tars (beside=True): pass one.")
    if has_push:
        raise SettingsError("push= takes a DEST; what lies beside tars is not pushed.")
    assert isinstance(source, TarSource)
    return folder_beside(source, share)


@dataclass(eq=False)
class TaggingTask:
    folder: RunFolder
    source: Source
    tagger: Tagger
    provenance: Provenance
    shard_rows: int  # of a new run
    limit: int | None
    overwrite: bool
    retry_failed: bool
    push: Mapping[str, Any] | None
    on_cluster: bool = False

    def plan(self) -> RunPlan:
        plan = self.make_plan(make_record(self.source, self.tagger, self.shard_rows, self.limit))
        probe = make_probe(self.source, self.tagger, self.folder.state) if self.on_cluster else None
        return replace(plan, probe=probe)

    def make_plan(self, wanted: Record) -> RunPlan:
        if isinstance(self.source, TarSource):
            tars = TarTagger(self.source, self.tagger, self.folder, wanted, self.provenance)
            return plan_tars(tars, self.overwrite, self.retry_failed)
        record = prepare_folder(self.folder, wanted, self.overwrite)
        work = ShardTagger(self.source, self.tagger, self.folder, record, self.provenance)
        return make_plan(work, self.retry_failed)

    def list_failures(self, plan: RunPlan, counter: RunCounter) -> str | None:
        return self.summarize(self.folder, plan, counter).failures

    def finish(self, plan: RunPlan, counter: RunCounter, watcher: Watcher) -> Summary:
        remove_leftovers(self.folder.shards, self.folder.is_ours)  # of workers that were lost
        if isinstance(self.folder, BesideFolder):
            self.folder.clear(overwrite=False)
        if self.folder.share is None:
            return self.complete(self.folder, plan, counter, watcher)
        return self.finish_share(self.folder.share, plan, counter, watcher)

    def finish_share(self, share: Share, plan: RunPlan, counter: RunCounter, watcher: Watcher) -> Summary:
        """Finish the run if this share was the last one; otherwise count the rows of this share."""
        if isinstance(plan.work, TarTagger):
            standing = read_tar_standing(plan.work)
        else:
            standing = read_standing(self.folder, plan.record)
        note = describe_standing(standing)
        if not standing.left:
            whole = replace(self.folder, share=None)
            with finishing(whole) as is_finishing:
                for _ in range(share.count if is_finishing else 0):
                    state = digest_shards(whole)
                    summary = self.complete(whole, plan, counter, watcher)
                    write_finished(whole, {"shards": state, "push": self.push_key, "url": summary.url})
                    if digest_shards(whole) == state:
                        return summary
            note = "All rows are done, and another command is finishing the run."
        summary = self.summarize(self.folder, plan, counter)
        notes = (*summary.notes, note)
        return replace(summary, shard=str(share), rows_left=standing.left, notes=notes)

    def complete(self, folder: RunFolder, plan: RunPlan, counter: RunCounter, watcher: Watcher) -> Summary:
        """Join the shards, list the failures, and push."""
        join_shards(folder, watcher)
        summary = self.summarize(folder, plan, counter)
        total = plan.record.rows
        if total is not None and summary.rows < total:
            raise RunError(
                f"{folder.dest} shows {summary.rows:,} of {total:,} rows, though all were done: on a shared "
                "disk they may be seen later. The same command looks again, and does what is missing."
            )
        if self.push is None and folder.repo_id is None:
            return summary
        finished = read_finished(folder) if self.folder.share else {}
        is_pushed = (finished.get("shards"), finished.get("push")) == (digest_shards(folder), self.push_key)
        return replace(summary, url=finished["url"] if is_pushed else self.push_result(watcher))

    @property
    def push_key(self) -> str:
        return digest_values(self.push)

    def summarize(self, folder: RunFolder, plan: RunPlan, counter: RunCounter) -> Summary:
        """Count the rows of a folder's shards and list the failures in their file."""
        if isinstance(plan.work, TarTagger):
            return summarize_tars(folder, plan.work, counter)
        column, errors = self.tagger.tag_column, error_column(self.tagger.tag_column).name
        media = pick_column(list(self.source.features), self.tagger.column)
        facts, kept, kept_now, notes = TagFacts(), 0, -plan.kept_rows, []
        failures: list[dict[str, Any]] = []
        found = folder.find_shards()

        def count(index: int) -> tuple[TagFacts, list[dict[str, Any]], int]:
            counted, failed = count_table(read_columns(found[index], [column, errors]), column), []
            if counted.failed_rows:
                # Earlier shards may be short or missing: the first row follows from the index.
                first_row = index * plan.record.shard_rows
                texts = read_texts(found[index], media, [errors])
                failed = list(find_failures(texts, errors, media, first_row))
            footer = read_footer(found[index], plan.record.fingerprint)
            return counted, failed, footer.kept_rows if footer else 0

        for index, one in zip(found, read_each(count, found, folder.shards), strict=True):
            counted, failed, kept_rows = one
            facts += counted
            failures += failed
            kept += kept_rows
            kept_now += kept_rows if self.folder.has_shard(index) else 0
        if kept and None in self.provenance[column]:
            notes = [f"{kept:,} rows came with tags of unknown origin and were kept (redo=True tags them)."]
        return make_summary(
            folder,
            counter,
            facts,
            failures,
            (one["path"] for one in failures),
            processed_now=counter.processed_now - kept_now,
            kept=kept,
            notes=tuple(notes),
        )

    def push_result(self, watcher: Watcher) -> str:
        """Push the result; returns the dataset's address."""
        from ..hub import push

        options = dict(self.push or {})
        if self.folder.repo_id is not None:
            options["repo_id"] = self.folder.repo_id
            options["revision"] = self.folder.revision or options.get("revision")
        watcher.finishing(f"Pushing to {options['repo_id']}")
        result, repo_id = load_result(self.folder.dest), options.pop("repo_id")
        return push(result, repo_id, tagger=self.tagger, token=self.tagger.token, **options)


def preview(source: Source, tagger: Tagger) -> dict[str, Any]:
    """The first row as a run would write it, without the bytes of files; nothing is written.

    >>> preview(open_source("clips/"), build_tagger("demo"))["video_audio_tags"]  # doctest: +SKIP
    ['Siren']
    """
    row = source.stream().take(1) if source.is_stream else source.rows(0, 1)
    if not len(row):
        raise SettingsError(f"{source.name} holds no rows.")
    tagger = with_media_column(source, tagger)
    update_provenance(source.provenance, source.features, tagger)
    features = plain_features(tagger.features(source.features))
    values: dict[str, Any] = plain_table(tag_rows(source, tagger, row, 0), features).to_pylist()[0]
    return values


def load_result(dest: str | os.PathLike[str]) -> Dataset:
    """The rows of a run as a dataset, for any form of DEST."""
    folder = folder_for(dest)
    record = read_record(folder)
    shards = find_shards(folder.shards, record.shard_count if record else None)
    if not shards:
        raise SettingsError(f"{folder.dest} holds no shards of a run.")
    schemas = list(read_each(read_schema, shards.values(), folder.shards))
    rows = load_tables([*shards.values()], folder.dest)
    return add_provenance(rows, read_schema_provenance(schemas))
