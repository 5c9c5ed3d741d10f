"""Runs the operators of a recipe on its samples; merges, counts and exports the results."""

import logging
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, Json, List, Value
from datasets.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from ..errors import ColumnError, SettingsError
from ..text import safe_text
from .export import Failure, check_export, export
from .operator import Batch, Filter, Operator
from .operators import OPERATORS
from .recipe import Note, Recipe, read_recipe
from .samples import find_inputs, load_samples

logger = logging.getLogger(__name__)

BATCH_SAMPLES = 64

# Columns that are removed before the export.
NUMBER = "__hf_audio_tagger_number__"  # index of the sample as loaded, before filters
OUTCOMES = "__hf_audio_tagger_outcomes__"  # of one operator, like the failures
FAILURES = "__hf_audio_tagger_failures__"
RESULT_FEATURES = {
    OUTCOMES: List(Value("string")),
    FAILURES: List({"media": Value("string"), "reason": Value("string")}),
}


@dataclass(frozen=True)
class Report:
    """The result of a run."""

    samples: int  # exported samples
    counts: dict[str, int]  # of the operators' outcomes
    failures: tuple[Failure, ...]
    written: tuple[Path, ...]


def run_recipe(
    recipe: Recipe | str | Path, note: Note = logger.warning, *, overwrite: bool = False
) -> Report:
    """Run a recipe and write its export. `note` gets a line for each key that is ignored.

    An existing export is replaced with `overwrite=True` only; the recipe and its samples never are.
    Relative paths in the recipe start from the current folder, those in the samples from the file
    that names them. Wrong settings raise before any video is read.

    >>> run_recipe("recipe.yaml").counts  # doctest: +SKIP
    {'tagged': 25, 'already tagged': 0, 'EMPTY': 2, 'failed': 0}
    """

    def safe_note(line: str) -> None:
        note(safe_text(line))

    recipe_files = [] if isinstance(recipe, Recipe) else [Path(recipe)]
    recipe = recipe if isinstance(recipe, Recipe) else read_recipe(recipe)
    for key in recipe.ignored:
        safe_note(f"Ignored: {key}")
    operators = build_operators(recipe, safe_note)
    check_export(recipe.export_path, [*recipe_files, *find_inputs(recipe)], overwrite)
    with hidden_progress():
        samples = load_samples(recipe, safe_note)
        samples = samples.add_column(NUMBER, list(range(len(samples))))
    counts: Counter[str] = Counter()
    failures: list[Failure] = []
    for operator in operators:
        counts.update(dict.fromkeys(operator.outcomes, 0))
        samples = run_operator(operator, samples, recipe.np, counts, failures)
    with hidden_progress():
        samples = samples.remove_columns(NUMBER)
        written = export(samples, recipe.export_path, recipe.keep_stats_in_res_ds, failures)
    return Report(len(samples), dict(counts), tuple(failures), tuple(written))


def build_operators(recipe: Recipe, note: Note) -> list[Operator]:
    """Build the recipe's operators and check their options. One error lists all unknown operators."""
    unknown = [step.operator for step in recipe.process if step.operator not in OPERATORS]
    if unknown:
        many, known = "s" * (len(unknown) > 1), ", ".join(sorted(OPERATORS))
        raise SettingsError(f"Unknown operator{many}: {', '.join(unknown)}. Known: {known}.")
    return [OPERATORS[step.operator].from_options(step.options, recipe, note) for step in recipe.process]


def run_operator(
    operator: Operator, samples: Dataset, np: int, counts: Counter[str], failures: list[Failure]
) -> Dataset:
    """The samples with an operator's results. Its outcomes are added to `counts` and `failures`."""
    if len(samples) == 0:
        return samples
    processes = min(np, os.cpu_count() or 1, len(samples))
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
        counts.update(row[OUTCOMES])
        failures += [Failure(row[NUMBER], **failure) for failure in row[FAILURES]]
    samples = samples.remove_columns(list(RESULT_FEATURES))
    if isinstance(operator, Filter):
        keeps, stat = operator.keeps, operator.stat
        samples = samples.filter(
            lambda stats: keeps(stats[stat]), input_columns=[operator.column], load_from_cache_file=False
        )
    return samples


def process_batch(operator: Operator, batch: Batch) -> dict[str, Any]:
    """The batch's META or STATS with an operator's fields, and the outcomes and failures."""
    column = operator.column
    existing = [fields or {} for fields in batch.get(column, [None] * len(batch[NUMBER]))]
    results = operator.process(batch, existing)
    return {
        column: [{**fields, **result.fields} for fields, result in zip(existing, results, strict=True)],
        OUTCOMES: [list(result.outcomes) for result in results],
        FAILURES: [[{"media": media, "reason": why} for media, why in result.failures] for result in results],
    }


def merge_features(features: Features, operator: Operator) -> Features:
    """The samples' types with an operator's fields. Structs that differ between samples stay JSON."""
    struct = features.get(operator.column, Value("null"))
    if struct == Value("null"):
        struct = operator.features
    elif isinstance(struct, dict):
        struct = {**struct, **operator.features}
    elif not isinstance(struct, Json):
        raise ColumnError(f"{operator.column} must be a struct, as Data-Juicer writes it; got {struct}.")
    return Features({**features, operator.column: struct, **RESULT_FEATURES})


@contextmanager
def hidden_progress() -> Iterator[None]:
    """Hide the progress bars of reading and writing, and show only those of operators."""
    are_disabled = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not are_disabled:
            enable_progress_bars()
