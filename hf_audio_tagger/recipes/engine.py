"""Runs one operator on all samples: results merged, outcomes counted, failures listed, samples dropped."""

import os
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from datasets import Dataset, Features, Json, List, Value

from ..errors import ColumnError
from .export import Failure
from .operator import META, STATS, Batch, Filter, Operator
from .progress import following, reporting_batch

BATCH_SAMPLES = 64

UNTYPED = (Value("null"), List(Value("null")))  # of fields without a value so far

# Columns that are removed before the export.
NUMBER = "__hf_audio_tagger_number__"  # index of the sample as loaded, before filters
OUTCOMES = "__hf_audio_tagger_outcomes__"  # of one operator, like the failures
FAILURES = "__hf_audio_tagger_failures__"
RESULT_FEATURES = {
    OUTCOMES: List(Value("string")),
    FAILURES: List({"media": Value("string"), "reason": Value("string")}),
}


@dataclass(frozen=True)
class StepReport:
    """How many samples an operator was given, and how many it kept."""

    operator: str
    given: int
    kept: int


@dataclass
class Tally:
    """What the operators of a run have counted so far."""

    counts: Counter[str] = field(default_factory=Counter)  # of their outcomes
    failures: list[Failure] = field(default_factory=list)
    steps: list[StepReport] = field(default_factory=list)


def number_samples(samples: Dataset) -> Dataset:
    """The samples with a number each, which they keep to the end, so that failures name the right one."""
    return samples.add_column(NUMBER, list(range(len(samples))))


def compute_results(operator: Operator, samples: Dataset, np: int, tally: Tally) -> Dataset:
    """The samples with an operator's results. Its outcomes and failures are added to `tally`."""
    tally.counts.update(dict.fromkeys(operator.outcomes, 0))
    if len(samples) == 0:
        return samples
    processes = min(np, os.cpu_count() or 1, len(samples))
    with following(operator.name, len(samples)):
        samples = samples.map(
            partial(process_batch, operator),
            batched=True,
            batch_size=BATCH_SAMPLES,
            num_proc=processes if processes > 1 else None,
            features=merge_features(samples.features, operator),
            load_from_cache_file=False,  # videos may have changed, and failed ones may have been repaired
            desc=operator.name,
        )
    for row in samples.select_columns([NUMBER, *RESULT_FEATURES]):
        tally.counts.update(row[OUTCOMES])
        tally.failures += [Failure(row[NUMBER], **failure) for failure in row[FAILURES]]
    return samples.remove_columns(list(RESULT_FEATURES))


def drop_samples(operator: Filter, samples: Dataset) -> Dataset:
    """The samples that a filter keeps."""
    return samples.select(find_kept(operator, samples)) if len(samples) else samples


def find_kept(operator: Filter, samples: Dataset) -> list[int]:
    """The places of the samples that a filter keeps."""
    columns = [name for name in (STATS, META) if name in samples.column_names]
    rows = samples.select_columns(columns)
    return [
        place for place, row in enumerate(rows) if operator.keeps(row.get(STATS) or {}, row.get(META) or {})
    ]


def process_batch(operator: Operator, batch: Batch) -> dict[str, Any]:
    """The batch's META or STATS with an operator's fields, and the outcomes and failures."""
    column = operator.column
    existing = [fields or {} for fields in batch.get(column, [None] * len(batch[NUMBER]))]
    with reporting_batch(len(existing)):
        results = operator.process(batch, existing)
    merged = [{**fields, **result.fields} for fields, result in zip(existing, results, strict=True)]
    return {
        **({column: merged} if operator.features else {}),
        OUTCOMES: [list(result.outcomes) for result in results],
        FAILURES: [[{"media": media, "reason": why} for media, why in result.failures] for result in results],
    }


def merge_features(features: Features, operator: Operator) -> Features:
    """The samples' types with an operator's fields. Structs that differ between samples stay JSON.

    New STATS are JSON, as Data-Juicer stores them: this writes numbers with ten decimals, and with these
    they are compared and exported.
    """
    if not operator.features:
        return Features({**features, **RESULT_FEATURES})
    struct = features.get(operator.column, Value("null"))
    if struct == Value("null"):
        struct = Json() if operator.column == STATS else operator.features
    elif isinstance(struct, dict):
        known = {name: kind for name, kind in struct.items() if kind not in UNTYPED}
        struct = {**struct, **operator.features, **known}
    elif not isinstance(struct, Json):
        raise ColumnError(f"{operator.column} must be a struct, as Data-Juicer writes it; got {struct}.")
    return Features({**features, operator.column: struct, **RESULT_FEATURES})
