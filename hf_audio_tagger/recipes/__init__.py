"""Data-Juicer recipes: `run_recipe("recipe.yaml")` does what `dj-process --config recipe.yaml` does.

    recipe.py ──▶ registry.py ──▶ samples.py ──▶ run.py, with operators/ ──▶ export.py

Only the operators in `registry.OPERATORS` are known, and only the options of `recipe.Recipe` are read.
"""

from .export import Failure
from .recipe import Recipe, read_recipe
from .registry import OPERATORS
from .run import Report, run_recipe

__all__ = ["OPERATORS", "Failure", "Recipe", "Report", "read_recipe", "run_recipe"]
