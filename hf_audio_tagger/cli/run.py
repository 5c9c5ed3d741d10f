"""`hf-audio-tagger run`: a Data-Juicer recipe."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ColumnError, SettingsError, TaggerError
from ..text import safe_json
from .console import fail, note, quiet_libraries, stdout
from .ends import SOME_FAILED, STOPPED

if TYPE_CHECKING:
    from ..recipes import Report


def run(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A Data-Juicer recipe, .yaml or .json.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an export that is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Run a Data-Juicer recipe: its samples tagged and exported in Data-Juicer's format.

    Relative paths in the recipe start from the current folder, those in the
    samples from the file that names them. Keys that do not concern the run are
    ignored, with a line each. An export that is there is replaced with
    --overwrite only.

    Exits with 0 if all went well, 1 for wrong settings, 2 if the run could not
    go on, 3 if some samples failed.
    """
    quiet_libraries(map_bar=not as_json)
    from ..recipes import run_recipe

    try:
        report = run_recipe(recipe, note, overwrite=overwrite)
    except (SettingsError, ColumnError):
        raise  # told by the app, with exit code 1
    except (TaggerError, OSError) as error:
        fail(str(error))
        raise typer.Exit(STOPPED) from None
    if as_json:
        typer.echo(safe_json(summary_of(report)))
    else:
        print_summary(report)
    if report.failures:
        raise typer.Exit(SOME_FAILED)


def summary_of(report: "Report") -> dict[str, Any]:
    return {
        "samples": report.samples,
        **report.counts,
        "failures": [vars(failure) for failure in report.failures],
        "written": [str(path) for path in report.written],
    }


def print_summary(report: "Report") -> None:
    console = stdout()
    counts = "".join(f", {count} {kind}" for kind, count in report.counts.items())
    console.print(f"{report.samples} samples{counts}", markup=False, soft_wrap=True)
    for path in report.written:
        console.print(f"  {path}", markup=False, soft_wrap=True)
