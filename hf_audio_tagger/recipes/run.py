"""Runs the operators of a recipe on its samples; merges, counts and exports the results."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets import Dataset

from ..errors import SettingsError
from ..text import safe_text
from .engine import NUMBER, StepReport, Tally, compute_results, drop_samples, number_samples
from .export import Failure, check_outputs, export, export_samples, output_paths
from .foreign import ForeignOperator, find_foreign
from .operator import META, Filter, Operator
from .operators import OPERATORS
from .progress import hidden_progress
from .recipe import Note, Recipe, read_recipe
from .samples import find_inputs, load_samples

logger = logging.getLogger(__name__)

AnyOperator = Operator | ForeignOperator


@dataclass(frozen=True)
class Report:
    """The result of a run."""

    samples: int  # exported samples
    counts: dict[str, int]  # of the operators' outcomes
    failures: tuple[Failure, ...]
    written: tuple[Path, ...]
    steps: tuple[StepReport, ...] = ()  # of the operators, in order


def run_recipe(
    recipe: Recipe | str | Path,
    note: Note = logger.warning,
    *,
    overwrite: bool = False,
    data_juicer: str | Path | None = None,
) -> Report:
    """Run a recipe and write its export. `note` gets a line for each key that is ignored.

    `data_juicer` is the Python of an environment with py-data-juicer, such as "/envs/dj/bin/python". It
    runs the operators that this package lacks, each in a process of its own.

    An existing export is replaced with `overwrite=True` only; the recipe and its samples never are.
    Relative paths in the recipe start from the current folder, those in the samples from the file
    that names them. Wrong settings raise before any video is read.

    >>> run_recipe("recipe.yaml").counts  # doctest: +SKIP
    {'tagged': 25, 'already tagged': 0, 'EMPTY': 2, 'failed': 0}
    """
    plan = read_plan(recipe, note, data_juicer)
    recipe = plan.recipe
    check_outputs(find_outputs(recipe, plan.operators), plan.inputs, overwrite)
    samples = load_numbered(plan)
    tally = Tally()
    for operator in plan.operators:
        samples = run_operator(operator, samples, recipe, tally, plan.note)
    with hidden_progress():
        samples = samples.remove_columns(NUMBER)
        written = export(samples, recipe.export_path, recipe.keep_stats_in_res_ds, tally.failures)
    return Report(len(samples), dict(tally.counts), tuple(tally.failures), tuple(written), tuple(tally.steps))


@dataclass(frozen=True)
class Plan:
    """What a run or an analysis does."""

    recipe: Recipe
    operators: list[AnyOperator]
    inputs: list[Path]  # files that are read, and folders of which all files are
    note: Note


def read_plan(recipe: Recipe | str | Path, note: Note, data_juicer: str | Path | None) -> Plan:
    """Read a recipe, build its operators and check their settings."""

    def safe_note(line: str) -> None:
        note(safe_text(line))

    files = [] if isinstance(recipe, Recipe) else [Path(recipe)]
    recipe = recipe if isinstance(recipe, Recipe) else read_recipe(recipe)
    for key in recipe.ignored:
        safe_note(f"Ignored: {key}")
    operators = build_operators(recipe, safe_note, data_juicer)
    return Plan(recipe, operators, [*files, *find_inputs(recipe)], safe_note)


def load_numbered(plan: Plan) -> Dataset:
    """The samples with their numbers, when it is known that the operators find what they read."""
    with hidden_progress():
        samples = load_samples(plan.recipe, plan.note)
        check_samples(plan.operators, samples)
        return number_samples(samples)


def find_outputs(recipe: Recipe, operators: Sequence[AnyOperator]) -> list[tuple[str, Path]]:
    """The files that a run writes, each with the option that names it."""
    filters = [operator for operator in operators if isinstance(operator, Filter)]
    exports = [one.stats_export_path for one in filters if one.stats_export_path is not None]
    return [
        *(("export_path", path) for path in output_paths(recipe.export_path)),
        *(("stats_export_path", path) for path in exports),
    ]


def build_operators(recipe: Recipe, note: Note, data_juicer: str | Path | None) -> list[AnyOperator]:
    """Build the recipe's operators and check their options. One error lists all unknown operators."""
    others = [step for step in recipe.process if step.operator not in OPERATORS]
    if others and data_juicer is None:
        many, known = "s" * (len(others) > 1), ", ".join(sorted(OPERATORS))
        raise SettingsError(
            f"Unknown operator{many}: {', '.join(step.operator for step in others)}. Known: {known}. "
            'Those of an installed py-data-juicer run with its Python: data_juicer="/envs/dj/bin/python".'
        )
    built: dict[int, AnyOperator] = {
        place: OPERATORS[step.operator].from_options(step.options, recipe, note)
        for place, step in enumerate(recipe.process)
        if step.operator in OPERATORS
    }
    theirs = iter(find_foreign(others, str(data_juicer), note) if others else [])
    return [built[place] if place in built else next(theirs) for place in range(len(recipe.process))]


def check_samples(operators: Sequence[AnyOperator], samples: Dataset) -> None:
    """Raise an error where an operator needs what neither the samples nor the operators before it give."""
    struct = samples.features.get(META, {})
    if not isinstance(struct, dict):
        return  # fields that differ between samples
    meta = set(struct)
    for operator in operators:
        if isinstance(operator, ForeignOperator):
            return  # what it will add is not known
        if missing := operator.find_missing(meta):
            raise SettingsError(missing)
        if operator.column == META:
            meta |= operator.features.keys()


def run_operator(
    operator: AnyOperator, samples: Dataset, recipe: Recipe, tally: Tally, note: Note
) -> Dataset:
    """The samples with an operator's results, and without those that it drops."""
    given = len(samples)
    if isinstance(operator, ForeignOperator):
        with hidden_progress():
            samples = operator.run(samples, recipe, note)
    else:
        samples = compute_results(operator, samples, recipe.np, tally)
    if isinstance(operator, Filter):
        if operator.stats_export_path is not None:
            export_samples(
                samples.remove_columns(NUMBER), operator.stats_export_path, recipe.export_path.suffix
            )
        samples = drop_samples(operator, samples)
    tally.steps.append(StepReport(operator.name, given, len(samples)))
    return samples
