"""`plot_evaluation`: how well each class is found, against how often it occurs."""

from math import log10

from matplotlib.figure import Figure

from ..checks import invalid
from ..errors import SettingsError
from ..evaluation.evaluate import ClassResult, Evaluation
from ..text import safe_text
from .look import Picture, draw_legend, find_colour

NAMED = 6  # of the best classes and of the worst
NEAR_AP, NEAR_DECADES = 0.03, 0.6  # the height and the width of a name
NAME_CHARACTERS = 28


def plot_evaluation(result: Evaluation, title: str | None = None) -> Figure:
    """The average precision of each class against the number of clips that have it.

    A point is a class, coloured by AudioSet's top categories. The best and the worst ones have their names.
    The line is the mean over classes.

    >>> figure = plot_evaluation(evaluate(ds))  # doctest: +SKIP
    >>> figure.savefig("evaluation.png")  # doctest: +SKIP
    """
    if not isinstance(result, Evaluation):
        raise invalid("result", type(result).__name__, "an Evaluation, as evaluate gives it")
    if result.mean_ap is None:
        raise SettingsError(f"There is no AP to draw. {result.note}")
    figure = Picture(figsize=(9, 6), layout="constrained")
    axes = figure.add_subplot()
    colours = [find_colour(one.name) for one in result.classes]
    axes.scatter(
        [one.positives for one in result.classes], [one.ap for one in result.classes], c=colours, s=28
    )
    axes.axhline(result.mean_ap, color="black", linewidth=0.8, linestyle="--", zorder=0)
    for one in pick_named(result):
        name = safe_text(one.name)
        name = name if len(name) <= NAME_CHARACTERS else name[: NAME_CHARACTERS - 1] + "…"
        axes.annotate(
            name,
            (one.positives, one.ap),
            xytext=(4, 3),
            textcoords="offset points",
            fontsize=8,
            parse_math=False,
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_ylim(-0.02, 1.04)
    axes.set_xlabel("clips with the label")
    axes.set_ylabel("average precision")
    axes.spines[["top", "right"]].set_visible(False)
    described = f"mAP {result.mean_ap:.3f} over {len(result.classes)} classes, {result.evaluated:,} clips"
    axes.set_title(safe_text(title or described, keep="\n"), loc="left", parse_math=False)
    draw_legend(figure, colours)
    return figure


def pick_named(result: Evaluation) -> list[ClassResult]:
    """The classes with the best and the worst AP, without those whose names would cover each other."""
    named: list[ClassResult] = []
    ranked = sorted(result.classes, key=lambda one: -one.ap)
    for order in (ranked, ranked[::-1]):
        free = [one for one in order if one not in named]
        for one in free:
            if len(named) == NAMED * (1 if order is ranked else 2):
                break
            if not any(is_near(one, other) for other in named):
                named.append(one)
    return named


def is_near(one: ClassResult, other: ClassResult) -> bool:
    return abs(one.ap - other.ap) < NEAR_AP and abs(log10(one.positives / other.positives)) < NEAR_DECADES
