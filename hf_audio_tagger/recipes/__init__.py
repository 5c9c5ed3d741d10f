"""Data-Juicer recipes: `run_recipe("recipe.yaml")` does what `dj-process --config recipe.yaml` does.

    recipe.py ──▶ registry.py ──▶ samples.py ──▶ operators ──▶ export.py

Only the operators in `registry.OPERATORS` are known, and only the keys in `recipe.KEYS` are read.
"""

import logging
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from datasets.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from ..text import safe_text
from .contract import Failure, Note
from .export import check_export, export
from .recipe import Recipe, read_recipe
from .registry import OPERATORS, build_operators
from .samples import files_of, load_samples

__all__ = ["OPERATORS", "Failure", "Recipe", "Report", "read_recipe", "run_recipe"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Report:
    """What a run came to."""

    samples: int
    counts: dict[str, int]
    failures: tuple[Failure, ...]
    written: tuple[Path, ...]


def run_recipe(
    recipe: Recipe | str | Path, note: Note = logger.warning, *, overwrite: bool = False
) -> Report:
    """Run a recipe and write its export. `note` gets a line for each key that is ignored.

    An export that is there is replaced with `overwrite=True` only; the recipe and its samples never are.
    Relative paths in the recipe start from the current folder, those in the samples from the file
    that names them. Wrong settings raise before any video is read.

    >>> run_recipe("recipe.yaml").counts  # doctest: +SKIP
    {'tagged': 25, 'already tagged': 0, 'EMPTY': 2, 'failed': 0}
    """
    own = []
    if not isinstance(recipe, Recipe):
        own = [Path(recipe)]
        recipe = read_recipe(recipe)

    def tell(line: str) -> None:
        note(safe_text(line))

    for key in recipe.ignored:
        tell(f"Ignored: {key}")
    operators = build_operators(recipe, tell)
    check_export(recipe.export_path, [*own, *files_of(recipe)], overwrite)
    with no_bars():
        samples = load_samples(recipe, tell)
    processes = max(1, min(recipe.processes, os.cpu_count() or 1, len(samples)))
    counts: Counter[str] = Counter()
    failures: tuple[Failure, ...] = ()
    for operator in operators:
        outcome = operator(samples, processes)
        samples, failures = outcome.samples, failures + outcome.failures
        counts.update(outcome.counts)
    with no_bars():
        written = export(samples, recipe.export_path, recipe.keep_stats, failures)
    return Report(len(samples), dict(counts), failures, tuple(written))


@contextmanager
def no_bars() -> Iterator[None]:
    """Only the operators' bars are of interest, not those of reading and writing."""
    if are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()
