"""Counts the stats of a recipe without dropping a sample, to find good limits: as `dj-analyze` does."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from ..checks import is_number
from .engine import NUMBER, StepReport, Tally, compute_results, find_kept
from .export import Failure, check_outputs, export_samples
from .foreign import ForeignOperator
from .operator import META, STATS, Filter
from .progress import hidden_progress
from .recipe import Note, Recipe
from .run import load_numbered, read_plan

logger = logging.getLogger(__name__)

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class StatSummary:
    """The distribution of one stat over all videos."""

    name: str
    count: int  # of numbers
    missing: int  # nulls: videos that could not be measured
    mean: float | None = None  # None, as the others, where there is no number
    std: float | None = None  # of a sample; None for fewer than two
    least: float | None = None
    quantiles: Mapping[float, float] | None = None
    most: float | None = None


@dataclass(frozen=True)
class Analysis:
    """What a recipe counts, and what its filters would keep."""

    samples: int
    stats: tuple[StatSummary, ...]
    filters: tuple[StepReport, ...]  # of all samples, what each keeps alone
    kept: int  # of all samples, what the filters keep together
    tags: Mapping[str, Mapping[str, int]]  # of each field of META, how often each tag occurs
    values: Mapping[str, list[Any]]  # of each stat, a list for each sample; for `plot_stat`
    counts: Mapping[str, int]  # of the operators' outcomes
    failures: tuple[Failure, ...]
    written: Path | None  # a line of JSON for each sample, with its stats; None if nothing was counted


def analyze_recipe(
    recipe: Recipe | str | Path, note: Note = logger.warning, *, data_juicer: str | Path | None = None
) -> Analysis:
    """Count all stats of a recipe on all samples. No sample is dropped, and nothing is exported.

    The stats are written beside the export, as `res_analysis.jsonl`. Operators of py-data-juicer
    (`data_juicer`, as in `run_recipe`) run if they count or tag; those that change samples do not.

    >>> analysis = analyze_recipe("recipe.yaml")  # doctest: +SKIP
    >>> analysis.stats[0].quantiles[0.5]  # doctest: +SKIP
    1.17314234636724
    >>> plot_stat(analysis.values, "video_motion_score", 0.25)  # doctest: +SKIP
    """
    plan = read_plan(recipe, note, data_juicer)
    output = plan.recipe.export_path.with_name(plan.recipe.export_path.stem + "_analysis.jsonl")
    check_outputs([("export_path", output)], plan.inputs, overwrite=True)
    samples = load_numbered(plan)
    tally, kept = Tally(), set(range(len(samples)))
    for operator in plan.operators:
        if isinstance(operator, ForeignOperator):
            with hidden_progress():
                samples = operator.run(samples, plan.recipe, plan.note, only_stats=True)
            continue
        samples = compute_results(operator, samples, plan.recipe.np, tally)
        if isinstance(operator, Filter):
            keeps = find_kept(operator, samples)
            numbers = samples[NUMBER][:]
            kept.intersection_update(numbers[place] for place in keeps)
            tally.steps.append(StepReport(operator.name, len(samples), len(keeps)))
    with hidden_progress():
        written = write_stats(samples, output)
    values = read_values(samples)
    return Analysis(
        samples=len(samples),
        stats=tuple(summarize(name, cells) for name, cells in values.items()),
        filters=tuple(tally.steps),
        kept=len(kept),
        tags=count_meta(samples),
        values=values,
        counts=dict(tally.counts),
        failures=tuple(tally.failures),
        written=written,
    )


def write_stats(samples: Dataset, path: Path) -> Path | None:
    columns = [name for name in (STATS, META) if name in samples.column_names]
    if not columns:
        return None
    export_samples(samples.select_columns(columns), path, ".jsonl")
    return path


def read_values(samples: Dataset) -> dict[str, list[Any]]:
    """The samples' stats by name, in the order of the operators."""
    rows = [] if STATS not in samples.column_names else [stats or {} for stats in samples[STATS][:]]
    names = dict.fromkeys(name for stats in rows for name in stats)
    return {name: [stats.get(name) for stats in rows] for name in names}


def summarize(name: str, cells: Sequence[Any]) -> StatSummary:
    """The distribution of a stat, which has a number for each sample or a list of them."""
    values = [one for cell in cells for one in (cell if isinstance(cell, list) else [cell])]
    numbers = np.array([float(one) for one in values if is_number(one)])
    missing = sum(one is None for one in values)
    if not len(numbers):
        return StatSummary(name, 0, missing)
    return StatSummary(
        name,
        len(numbers),
        missing,
        mean=float(numbers.mean()),
        std=float(numbers.std(ddof=1)) if len(numbers) > 1 else None,
        least=float(numbers.min()),
        quantiles={share: float(np.quantile(numbers, share)) for share in QUANTILES},
        most=float(numbers.max()),
    )


def count_meta(samples: Dataset) -> dict[str, dict[str, int]]:
    """How often each tag occurs in each field of META that holds tags, the most frequent first."""
    counts: dict[str, Counter[str]] = {}
    for meta in samples[META][:] if META in samples.column_names else []:
        for name, cell in (meta or {}).items():
            texts = [one for one in (cell if isinstance(cell, list) else [cell]) if isinstance(one, str)]
            if texts:
                counts.setdefault(name, Counter()).update(texts)
    return {name: dict(counter.most_common()) for name, counter in counts.items()}
