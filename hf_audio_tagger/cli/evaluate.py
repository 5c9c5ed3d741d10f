"""`hf-audio-tagger evaluate`: how true scores and tags are, where the labels are known."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..errors import SettingsError
from .console import print_text, quiet_libraries, stdout
from .options import AsJson, Split
from .report import count_table, finish

if TYPE_CHECKING:
    from ..evaluation.evaluate import ClassResult, Evaluation

SHOWN = 10  # of the best and of the worst classes
OUTPUT = "Output"


def evaluate(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Rows with labels: what `tag` wrote, an index, or any other SOURCE of `tag`.",
        ),
    ],
    scores: Annotated[
        str | None,
        typer.Option(
            metavar="DIR|COLUMN",
            help="A folder that `label` wrote, matched by --id-column; or a column of scores.",
            show_default="video_audio_top if it holds every class, else the tags alone",
        ),
    ] = None,
    labels: Annotated[str, typer.Option(help="The column of labels: mids or names.")] = "labels",
    column: Annotated[str, typer.Option(help="The column of tags.")] = "video_audio_tags",
    id_column: Annotated[str, typer.Option(help="The column of ids, to find a clip's scores.")] = "id",
    split: Split = None,
    thresholds: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the score for each class that gives the best F1, for `tag --threshold`.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    precision: Annotated[
        float | None,
        typer.Option(
            metavar="P",
            help="Let these scores give at least this precision instead.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    otherwise: Annotated[
        float | None,
        typer.Option(
            metavar="SCORE",
            min=0,
            max=1,
            help="The score of classes that no clip has.",
            show_default="never",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Draw each class's AP against its frequency: .png, .svg or .pdf (extra `plot`).",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Hold scores and tags against labels: AP, AUC and d' of each class, and how often the tag is right."""
    quiet_libraries()
    if thresholds is None and (precision is not None or otherwise is not None):
        raise SettingsError("--precision and --otherwise go with --thresholds FILE.")
    from ..evaluation.evaluate import evaluate
    from ..predictions.loading import load_predictions
    from ..results.tagged_rows import open_rows
    from ..thresholds import NEVER, write_thresholds

    given: Any = load_predictions(scores) if scores and Path(scores).expanduser().is_dir() else scores
    result = evaluate(open_rows(source, split), given, labels, column=column, id_column=id_column)
    if thresholds is not None:
        write_thresholds(result.thresholds(precision, NEVER if otherwise is None else otherwise), thresholds)
    if plot is not None:
        draw(result, plot)
    finish(result.as_dict(), 0, as_json, lambda: show(result, stdout()))


def draw(result: "Evaluation", path: Path) -> None:
    """Save the picture; an error names what is missing."""
    try:
        from ..plot import plot_evaluation

        plot_evaluation(result).savefig(path, dpi=150)
    except (ImportError, ValueError, OSError) as error:  # a format that matplotlib does not know
        raise SettingsError(f"--plot {path}: {error}") from error


def show(result: "Evaluation", console: Console) -> None:
    """Counts, means, and the classes with the best and the worst AP."""
    counts = {
        "evaluated": result.evaluated,
        "EMPTY": result.empty,
        "failed": result.failed,
        "labels not known": result.unlabelled,
        "without labels": result.without_labels,
        "classes without positives": len(result.classes_without_positives),
        "labels without class": len(result.labels_without_class),
    }
    console.print(count_table({name: f"{count:,}" for name, count in counts.items()}, 0))
    console.print()
    share = result.agreement
    means: dict[str, str] = {}
    if result.mean_ap is not None:
        means = {
            "mAP": f"{result.mean_ap:.4f}",
            "mean AUC": f"{result.mean_auc:.4f}",
            "d' of the mean AUC": f"{result.d_prime:.3f}",
            "lwlrap": f"{result.lwlrap:.4f}",
        }
    if share.clips:
        means["tag among the labels"] = f"{share.exact_share:.1%} of {share.clips:,}"
        means["or above or below one"] = f"{share.related_share:.1%}"
    console.print(count_table(means, 0))
    if result.note:
        print_text(f"\n{result.note}", console, "yellow")
    ranked = sorted(result.classes, key=lambda one: -one.ap)
    best, worst = ranked[:SHOWN], ranked[max(SHOWN, len(ranked) - SHOWN) :]
    if best:
        console.print(make_table(best, worst, len(ranked) - len(best) - len(worst)))


def make_table(best: "list[ClassResult]", worst: "list[ClassResult]", between: int) -> Table:
    table = Table("class", "clips", "AP", "AUC", "d'", box=SIMPLE_HEAD)
    for name in ("clips", "AP", "AUC", "d'"):
        next(one for one in table.columns if one.header == name).justify = "right"
    for one in best:
        table.add_row(*format_class(one))
    if between:
        table.add_row(f"... {between:,} more", style="dim")
    for one in worst:
        table.add_row(*format_class(one))
    return table


def format_class(one: "ClassResult") -> tuple[str, ...]:
    return (
        escape(one.name), f"{one.positives:,}", f"{one.ap:.3f}", f"{one.auc:.3f}", f"{one.d_prime:.2f}",
    )  # fmt: skip
