"""Runs the operators of a recipe on its samples; merges, counts and exports the results."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from datasets import Dataset
from datasets.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from ..errors import SettingsError
from ..text import safe_text
from .engine import NUMBER, StepReport, Tally, compute_results, drop_samples, number_samples
from .export import Failure, check_outputs, export, export_samples, output_paths
from .operator import Filter, Operator
from .operators import OPERATORS
from .recipe import Note, Recipe, read_recipe
from .samples import find_inputs, load_samples

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Report:
    """The result of a run."""

    samples: int  # exported samples
    counts: dict[str, int]  # of the operators' outcomes
    failures: tuple[Failure, ...]
    written: tuple[Path, ...]
    steps: tuple[StepReport, ...] = ()  # of the operators, in order


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
    check_outputs(find_outputs(recipe, operators), [*recipe_files, *find_inputs(recipe)], overwrite)
    with hidden_progress():
        samples = load_samples(recipe, safe_note)
        samples = number_samples(samples)
    tally = Tally()
    for operator in operators:
        samples = run_operator(operator, samples, recipe, tally)
    with hidden_progress():
        samples = samples.remove_columns(NUMBER)
        written = export(samples, recipe.export_path, recipe.keep_stats_in_res_ds, tally.failures)
    return Report(len(samples), dict(tally.counts), tuple(tally.failures), tuple(written), tuple(tally.steps))


def find_outputs(recipe: Recipe, operators: Sequence[Operator]) -> list[tuple[str, Path]]:
    """The files that a run writes, each with the option that names it."""
    filters = [operator for operator in operators if isinstance(operator, Filter)]
    exports = [one.stats_export_path for one in filters if one.stats_export_path is not None]
    return [
        *(("export_path", path) for path in output_paths(recipe.export_path)),
        *(("stats_export_path", path) for path in exports),
    ]


def build_operators(recipe: Recipe, note: Note) -> list[Operator]:
    """Build the recipe's operators and check their options. One error lists all unknown operators."""
    unknown = [step.operator for step in recipe.process if step.operator not in OPERATORS]
    if unknown:
        many, known = "s" * (len(unknown) > 1), ", ".join(sorted(OPERATORS))
        raise SettingsError(f"Unknown operator{many}: {', '.join(unknown)}. Known: {known}.")
    return [OPERATORS[step.operator].from_options(step.options, recipe, note) for step in recipe.process]


def run_operator(operator: Operator, samples: Dataset, recipe: Recipe, tally: Tally) -> Dataset:
    """The samples with an operator's results, and without those that it drops."""
    given = len(samples)
    samples = compute_results(operator, samples, recipe.np, tally)
    if isinstance(operator, Filter):
        if operator.stats_export_path is not None:
            export_samples(
                samples.remove_columns(NUMBER), operator.stats_export_path, recipe.export_path.suffix
            )
        samples = drop_samples(operator, samples)
    tally.steps.append(StepReport(operator.name, given, len(samples)))
    return samples


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
