"""The summary of a run, from what was counted in its shards and what this command did."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from ..results.facts import Summary, TagFacts
from ..results.reasons import find_common_reasons
from .engine import RunCounter, write_failures
from .run_folder import RunFolder

MOST_TAGS = 10  # in a summary


def make_summary(
    folder: RunFolder,
    counter: RunCounter,
    facts: TagFacts,
    failures: Sequence[dict[str, Any]],
    examples: Iterable[str],
    **others: Any,
) -> Summary:
    """Summarize a run and write the list of its failures; `examples` name each failure's clip.

    `others` are further fields of a `Summary`, which also stand for those that are filled in here.
    """
    now = counter.progress
    summary = Summary(
        dest=folder.dest,
        rows=facts.rows,
        tagged=facts.tagged_rows,
        empty=facts.empty_rows,
        without_videos=facts.rows_without_videos,
        failed=facts.failed_rows,
        processed_now=now.processed_now,
        seconds=round(counter.seconds, 3),
        clips_per_second=round(now.clips_per_second, 3),
        most_frequent=tuple(facts.most_frequent(MOST_TAGS)),
        failures=write_failures(folder.failures, failures),
        sound_seconds_now=round(now.activity.sound_seconds, 3),
        times_realtime=round(now.times_realtime, 3),
        common_reasons=find_common_reasons(zip(examples, (one["error"] for one in failures), strict=True)),
    )
    return replace(summary, **others)
