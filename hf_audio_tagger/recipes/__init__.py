"""Data-Juicer recipes: `run_recipe("recipe.yaml")` replaces `dj-process --config recipe.yaml`.

    recipe.py ──▶ samples.py ──▶ run.py, with operators/ by engine.py, others by foreign.py ──▶ export.py

`analyze_recipe` counts what filters look at and drops nothing. The operators are in `operators.OPERATORS`;
others run in an installed py-data-juicer. Only the options of `recipe.Recipe` are supported.
"""

from .analysis import Analysis, StatSummary, analyze_recipe
from .engine import StepReport
from .export import Failure
from .operators import OPERATORS
from .progress import watched_by
from .recipe import Recipe, read_recipe
from .run import Report, run_recipe

__all__ = [
    "OPERATORS",
    "Analysis",
    "Failure",
    "Recipe",
    "Report",
    "StatSummary",
    "StepReport",
    "analyze_recipe",
    "read_recipe",
    "run_recipe",
    "watched_by",
]
