"""Data-Juicer recipes: `run_recipe("recipe.yaml")` does what `dj-process --config recipe.yaml` does.

    recipe.py ──▶ samples.py ──▶ run.py, with operators/ ──▶ export.py

Only the operators in `operators.OPERATORS` are known, and only the options of `recipe.Recipe` are read.
"""

from .export import Failure
from .operators import OPERATORS
from .recipe import Recipe, read_recipe
from .run import Report, run_recipe

__all__ = ["OPERATORS", "Failure", "Recipe", "Report", "read_recipe", "run_recipe"]
