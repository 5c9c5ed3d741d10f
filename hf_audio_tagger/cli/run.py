"""`hf-audio-tagger run`: a Data-Juicer recipe."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import note, print_text, quiet_libraries
from .exits import exit_codes
from .report import finish

if TYPE_CHECKING:
    from ..recipes import Report


def run(
    context: typer.Context,
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A Data-Juicer recipe, .yaml or .json.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an export that is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Run a Data-Juicer recipe: its samples tagged and exported in Data-Juicer's format.

    Relative paths in the recipe start from the current folder, those in the
    samples from the file that names them. Keys that do not concern the run are
    ignored, with a line each. An export that is there is replaced with
    --overwrite only.

    Exit codes: 0 all well, 1 wrong use or settings, 2 the run could not
    continue, 3 done and some samples failed.
    """
    quiet_libraries(map_bar=not as_json)
    from ..recipes import run_recipe

    with exit_codes(context, OSError):
        report = run_recipe(recipe, note, overwrite=overwrite)
    finish(summarize(report), len(report.failures), as_json, lambda: print_summary(report))


def summarize(report: "Report") -> dict[str, Any]:
    return {
        "samples": report.samples,
        **report.counts,
        "failures": [vars(failure) for failure in report.failures],
        "written": [str(path) for path in report.written],
    }


def print_summary(report: "Report") -> None:
    counts = "".join(f", {count} {kind}" for kind, count in report.counts.items())
    print_text("\n  ".join([f"{report.samples} samples{counts}", *map(str, report.written)]))
