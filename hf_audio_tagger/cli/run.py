"""`hf-audio-tagger run`: a Data-Juicer recipe."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..results.reasons import find_common_reasons
from .console import note, print_text, quiet_libraries, stderr, stdout
from .ending import describe_speed, show_reasons
from .interruption import interrupted_by_sigterm
from .report import exit_codes, finish

if TYPE_CHECKING:
    from rich.table import Table

    from ..recipes import Analysis, StatSummary, StepReport

TAGS_SHOWN = 5


def run(
    context: typer.Context,
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A Data-Juicer recipe, .yaml or .json.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing export.")] = False,
    analyze: Annotated[
        bool, typer.Option("--analyze", help="Only count the stats; drop and export nothing.")
    ] = False,
    data_juicer: Annotated[
        str | None,
        typer.Option(
            metavar="PYTHON",
            help="The Python of an environment with py-data-juicer, for its other operators.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Show no bar and no notes; errors and the summary stay.")
    ] = False,
) -> None:
    """Run a Data-Juicer recipe: tag and filter its samples, and export them in Data-Juicer's format.

    Relative paths in the recipe start from the current folder, those in a sample from
    the folder of its file. Keys that the run does not use are ignored and listed.
    An existing export is replaced with --overwrite only.

    Exit codes: 0 all well, 1 wrong use or settings, 2 the run could not
    continue, 3 done and some samples failed.
    """
    quiet_libraries()
    from ..recipes import analyze_recipe, run_recipe, watched_by
    from .progress import Bar, Notes

    bar = Notes(stderr()) if quiet else Bar(stderr(), rows="samples")
    show_note = (lambda line: None) if quiet else note
    # SIGTERM also ends the processes of py-data-juicer.
    with interrupted_by_sigterm(), exit_codes(context, OSError), bar, watched_by(bar.show):
        if analyze:
            analysis = analyze_recipe(recipe, show_note, data_juicer=data_juicer)
        else:
            report = run_recipe(recipe, show_note, overwrite=overwrite, data_juicer=data_juicer)
    if analyze:
        show = lambda: show_analysis(analysis)  # noqa: E731
        finish(describe_analysis(analysis), len(analysis.failures), as_json, show)
        return
    summary: dict[str, Any] = {
        "samples": report.samples,
        **report.counts,
        "steps": [vars(step) for step in report.steps],
        "failures": [vars(failure) for failure in report.failures],
        "written": [str(path) for path in report.written],
    }
    counts = "".join(f", {count} {kind}" for kind, count in report.counts.items())
    drops = [f"{describe_step(step)} samples" for step in report.steps if step.kept != step.given]
    works = [f"{name}: {describe_speed(progress)}" for name, progress in bar.works.items()]
    text = "\n  ".join([f"{report.samples} samples{counts}", *works, *drops, *summary["written"]])

    def show_report() -> None:
        print_text(text)
        show_reasons(find_common_reasons((one.media, one.reason) for one in report.failures), None, stdout())

    finish(summary, len(report.failures), as_json, show_report)


def describe_step(step: "StepReport") -> str:
    return f"{step.operator}: {step.given} → {step.kept}"


def describe_analysis(analysis: "Analysis") -> dict[str, Any]:
    return {
        "samples": analysis.samples,
        **analysis.counts,
        "stats": [vars(stat) for stat in analysis.stats],
        "filters": [vars(step) for step in analysis.filters],
        "kept": analysis.kept,
        "tags": analysis.tags,
        "failures": [vars(failure) for failure in analysis.failures],
        "written": [] if analysis.written is None else [str(analysis.written)],
    }


def show_analysis(analysis: "Analysis") -> None:
    if analysis.stats:
        stdout().print(build_table(analysis.stats))
    lines = [f"{name}: {describe_tags(tags)}" for name, tags in analysis.tags.items()]
    lines += [f"{describe_step(step)} samples" for step in analysis.filters]
    if len(analysis.filters) > 1:
        lines.append(f"all filters: {analysis.samples} → {analysis.kept} samples")
    if analysis.failures:
        lines.append(f"{len(analysis.failures)} could not be measured")
    lines.append("nothing was counted" if analysis.written is None else str(analysis.written))
    print_text("\n".join(lines))


def describe_tags(tags: Any) -> str:
    shown = ", ".join(f"{tag} {count}" for tag, count in list(tags.items())[:TAGS_SHOWN])
    return shown + (f", and {len(tags) - TAGS_SHOWN} more" if len(tags) > TAGS_SHOWN else "")


def build_table(stats: "tuple[StatSummary, ...]") -> "Table":
    """The quantiles of each stat, a stat a column, as tables of `dj-analyze` have them."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for stat in stats:
        table.add_column(stat.name, justify="right")
    shares = next((stat.quantiles for stat in stats if stat.quantiles), {})
    rows: list[tuple[str, list[Any]]] = [
        ("count", [stat.count for stat in stats]),
        ("missing", [stat.missing for stat in stats]),
        ("mean", [stat.mean for stat in stats]),
        ("std", [stat.std for stat in stats]),
        ("min", [stat.least for stat in stats]),
        *((f"{share:.0%}", [(stat.quantiles or {}).get(share) for stat in stats]) for share in shares),
        ("max", [stat.most for stat in stats]),
    ]
    for name, values in rows:
        table.add_row(name, *("" if value is None else f"{value:.6g}" for value in values))
    return table
