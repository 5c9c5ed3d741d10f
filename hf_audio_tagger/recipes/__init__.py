"""Data-Juicer recipes: `run_recipe("recipe.yaml")` replaces `dj-process --config recipe.yaml`.

    recipe.py ──▶ samples.py ──▶ run.py, with operators/ ──▶ export.py

Only the operators in `operators.OPERATORS` and the options of `recipe.Recipe` are supported.
"""

from .engine import StepReport
from .export import Failure
from .operators import OPERATORS
from .recipe import Recipe, read_recipe
from .run import Report, run_recipe

__all__ = ["OPERATORS", "Failure", "Recipe", "Report", "StepReport", "read_recipe", "run_recipe"]
