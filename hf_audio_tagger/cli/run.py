"""`hf-audio-tagger run`: a Data-Juicer recipe."""

from pathlib import Path
from typing import Annotated, Any

import typer

from .console import note, print_text, quiet_libraries
from .report import exit_codes, finish


def run(
    context: typer.Context,
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A Data-Juicer recipe, .yaml or .json.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing export.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Run a Data-Juicer recipe: tag its samples and export them in Data-Juicer's format.

    Relative paths in the recipe start from the current folder, those in a sample from
    the folder of its file. Keys that the run does not use are ignored and listed.
    An existing export is replaced with --overwrite only.

    Exit codes: 0 all well, 1 wrong use or settings, 2 the run could not
    continue, 3 done and some samples failed.
    """
    quiet_libraries(map_bar=not as_json)
    from ..recipes import run_recipe

    with exit_codes(context, OSError):
        report = run_recipe(recipe, note, overwrite=overwrite)
    summary: dict[str, Any] = {
        "samples": report.samples,
        **report.counts,
        "failures": [vars(failure) for failure in report.failures],
        "written": [str(path) for path in report.written],
    }
    counts = "".join(f", {count} {kind}" for kind, count in report.counts.items())
    text = "\n  ".join([f"{report.samples} samples{counts}", *summary["written"]])
    finish(summary, len(report.failures), as_json, lambda: print_text(text))
