"""The task of tagging tars in WebDataset's layout: a tar is a shard.

    tag_dataset("shards/{000..099}.tar", "tagged/", build_tagger("yamnet", on_error="record"), num_proc=8)

The rows have `__key__`, `__url__`, the members of text and JSON as strings, and the tags. A tar is read once,
in sequence, with the media of one batch in memory.
"""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from datasets import Dataset

from ..atomic_files import remove_leftovers
from ..cells import is_url
from ..columns import error_column
from ..errors import SettingsError
from ..provenance import Provenance, add_provenance, read_file_provenance, update_provenance
from ..results.facts import Summary, TagFacts, count_table, find_failures
from ..results.reasons import find_common_reasons
from ..sources.columns import find_media_column
from ..sources.tar_shards import TarSource, choose_clip
from ..sources.tars.layout import KEY
from ..tagger import Tagger
from .engine import RunCounter, RunPlan, Watcher, run_task, write_failures
from .output import join_shards
from .record import make_record, prepare_folder
from .run_folder import RunFolder, folder_for
from .shards import find_shards, read_columns, read_footer
from .tar_plan import find_tar_shards, make_tar_plan
from .tar_shard import BESIDE, TarTagger, read_state

MOST_TAGS = 10  # in a summary
MOST_NOTES = 10


def tag_tars(
    source: TarSource,
    dest: str | os.PathLike[str] | None,
    tagger: Tagger,
    *,
    beside: bool,
    keep_files: bool,
    num_proc: int | None,
    overwrite: bool,
    retry_failed: bool,
    max_failures: int | str | None,
    push: Mapping[str, Any] | None,
    watcher: Watcher | None,
) -> Summary:
    """Tag tars as `tag_dataset` says."""
    column = None if tagger.column is None else find_media_column(source, tagger.column)
    source = choose_clip(source, column, keep_files)
    tagger = replace(tagger, column=source.layout.media)
    folder = pick_folder(source, dest, beside, push)
    provenance = update_provenance(source.provenance, source.features, tagger)
    task = TarTask(folder, source, tagger, provenance, beside, overwrite, retry_failed, push)
    return run_task(task, num_proc, watcher, max_failures)


def pick_folder(
    source: TarSource, dest: str | os.PathLike[str] | None, beside: bool, push: Mapping[str, Any] | None
) -> RunFolder:
    """DEST, or the folder of all tars where the results lie beside these."""
    if (dest is None) != beside:
        raise SettingsError("Tags of tars go to DEST (dest=), or beside the tars (beside=True): pass one.")
    if dest is not None:
        return folder_for(dest)
    if push is not None:
        raise SettingsError("push= takes a DEST; what lies beside tars is not pushed.")
    if any(is_url(tar.path) for tar in source.tars):
        raise SettingsError("beside=True takes tars on this disk; for those behind URLs, pass a DEST.")
    folders = {str(Path(tar.path).expanduser().absolute().parent) for tar in source.tars}
    top = Path(os.path.commonpath(folders))
    return RunFolder(f"{top} (*{BESIDE})", None, None, None, top, top / ".hf_audio_tagger")


@dataclass(eq=False)
class TarTask:
    folder: RunFolder
    source: TarSource
    tagger: Tagger
    provenance: Provenance
    is_beside: bool
    overwrite: bool
    retry_failed: bool
    push: Mapping[str, Any] | None

    def plan(self) -> RunPlan:
        record = make_record(self.source, self.tagger, 1, None)
        work = TarTagger(self.source, self.tagger, self.folder, record, self.provenance, self.is_beside)
        if self.is_beside:
            clear_beside(work, self.overwrite)
        else:
            record = prepare_folder(self.folder, record, self.overwrite)
        self.work = replace(work, record=record)
        return make_tar_plan(self.work, self.retry_failed)

    def list_failures(self, plan: RunPlan, counter: RunCounter) -> str | None:
        return self.summarize(counter).failures

    def finish(self, plan: RunPlan, counter: RunCounter, watcher: Watcher) -> Summary:
        if self.is_beside:
            clear_beside(self.work, False)
        else:
            remove_leftovers(self.folder.shards)  # of workers that were lost
            join_shards(self.folder, watcher)
        summary = self.summarize(counter)
        if self.push is not None or self.folder.repo_id is not None:
            summary = replace(summary, url=self.push_result(watcher))
        return summary

    def summarize(self, counter: RunCounter) -> Summary:
        """Count the rows of all shards, and list the failures in their file."""
        column, errors = self.tagger.tag_column, error_column(self.tagger.tag_column).name
        facts = TagFacts()
        failures: list[dict[str, Any]] = []
        left_out: Counter[str] = Counter()
        broken = 0
        for index, path in find_tar_shards(self.work).items():
            name = self.source.tars[index].name
            table = read_columns(path, [KEY, column, errors])
            counted = count_table(table, column)
            if counted.failed_rows:
                for one in find_failures(table, errors, KEY):
                    failures.append({"tar": name, **one, "row": facts.rows + one["row"]})
            facts += counted
            state = read_state(read_footer(path, self.work.record.fingerprint))
            if state is not None and state.problem is not None:
                broken += 1
                error = f"{name}: {state.problem}."
                failures.append({"tar": name, "row": None, "video": None, "path": None, "error": error})
            left_out += Counter((state and state.left_out) or {})
        now = counter.progress
        return Summary(
            dest=self.folder.dest,
            rows=facts.rows,
            tagged=facts.tagged_rows,
            empty=facts.empty_rows,
            without_videos=facts.rows_without_videos,
            failed=facts.failed_rows,
            processed_now=now.processed_now,
            seconds=round(counter.seconds, 3),
            clips_per_second=round(now.clips_per_second, 3),
            most_frequent=tuple(facts.most_frequent(MOST_TAGS)),
            failures=write_failures(self.folder.failures, failures),
            notes=tuple(describe_rest(broken, left_out)),
            sound_seconds_now=round(now.activity.sound_seconds, 3),
            times_realtime=round(now.times_realtime, 3),
            common_reasons=find_common_reasons((one["path"] or one["tar"], one["error"]) for one in failures),
            broken_tars=broken,
        )

    def push_result(self, watcher: Watcher) -> str:
        """Push the result; returns the dataset's address."""
        from ..hub import push

        options = dict(self.push or {})
        if self.folder.repo_id is not None:
            options["repo_id"] = self.folder.repo_id
            options["revision"] = self.folder.revision or options.get("revision")
        watcher.finishing(f"Pushing to {options['repo_id']}")
        paths = [str(path) for path in find_shards(self.folder.shards).values()]
        result = add_provenance(Dataset.from_parquet(paths), read_file_provenance(paths))
        return push(result, options.pop("repo_id"), tagger=self.tagger, token=self.tagger.token, **options)


def describe_rest(broken: int, left_out: Mapping[str, int]) -> list[str]:
    """What is missing in the rows, a line for each reason."""
    lines = []
    if broken:
        what = "1 tar breaks off" if broken == 1 else f"{broken:,} tars break off"
        lines.append(f"{what}: the rows have the samples before. retry_failed=True reads on.")
    commonest = sorted(left_out.items(), key=lambda one: (-one[1], one[0]))[:MOST_NOTES]
    for reason, count in commonest:
        what = "1 member was left out" if count == 1 else f"{count:,} members were left out"
        lines.append(f"{what}: {reason}.")
    return lines


def clear_beside(work: TarTagger, overwrite: bool) -> None:
    """Remove temporary files that killed runs left beside tars, and the results if these do not count."""
    for folder in {work.find_shard(index).parent for index in range(len(work.source.tars))}:
        for path in folder.glob(f".*{BESIDE}.*.tmp"):
            path.unlink(missing_ok=True)
    for path in find_tar_shards(work).values() if overwrite else ():
        path.unlink(missing_ok=True)
