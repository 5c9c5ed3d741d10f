"""What a run over tars comes to: counts, failures, and how far the tars are that several commands share."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ..columns import error_column
from ..results.facts import Summary, TagFacts, count_table, find_failures
from ..sources.tars.layout import KEY
from .engine import RunCounter
from .run_folder import RunFolder
from .shards import read_columns, read_footer
from .summary import make_summary
from .tar_shard import TarTagger, read_state

MOST_REASONS = 10  # in a summary's notes


def summarize_tars(folder: RunFolder, work: TarTagger, counter: RunCounter) -> Summary:
    """Count the rows of a folder's shards and list the failures in their file; tars that break off, too."""
    column, errors = work.tagger.tag_column, error_column(work.tagger.tag_column).name
    facts = TagFacts()
    failures: list[dict[str, Any]] = []
    left_out: Counter[str] = Counter()
    broken = 0
    for index, path in folder.find_shards().items():
        name = work.source.tars[index].name
        table = read_columns(path, [KEY, column, errors])
        counted = count_table(table, column)
        if counted.failed_rows:
            found = find_failures(table, errors, KEY, facts.rows)
            failures += ({"tar": name, "key": one.pop("path"), **one} for one in found)
        facts += counted
        state = read_state(read_footer(path, work.record.fingerprint))
        if state is not None and state.problem is not None:
            broken += 1
            error = f"{name}: {state.problem}."
            failures.append({"tar": name, "key": None, "row": None, "video": None, "error": error})
        left_out += Counter((state and state.left_out) or {})
    examples = (f"{one['tar']}: {one['key']}" if one["key"] else one["tar"] for one in failures)
    notes = tuple(describe_rest(broken, left_out))
    return make_summary(folder, counter, facts, failures, examples, notes=notes, broken_tars=broken)


def describe_rest(broken: int, left_out: Mapping[str, int]) -> list[str]:
    """What is missing in the rows, a line for each reason."""
    lines = []
    if broken:
        what = "1 tar breaks off" if broken == 1 else f"{broken:,} tars break off"
        lines.append(f"{what}: the rows have the samples before that.")
    for reason, count in sorted(left_out.items(), key=lambda one: (-one[1], one[0]))[:MOST_REASONS]:
        what = "1 member was left out" if count == 1 else f"{count:,} members were left out"
        lines.append(f"{what}: {reason}.")
    return lines
