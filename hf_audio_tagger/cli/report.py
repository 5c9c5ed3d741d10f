"""What `tag` and `label` share: a run with a bar, the settings before it, the summary after it."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..settings import ABOUT
from ..text import safe_json
from .console import note, stderr
from .exits import INTERRUPTED, SOME_FAILED, terminated_like_ctrl_c

if TYPE_CHECKING:
    from ..runs import RunPlan, Watcher
    from ..tagger import Tagger

Summary = TypeVar("Summary")


def run_with_bar(
    out: object, show: "Callable[[RunPlan], Table]", run: "Callable[[Watcher], Summary]"
) -> Summary:
    """Show the settings, then a bar during the run. Ctrl-C and SIGTERM end it; what is done is kept."""
    from .progress import Bar

    try:
        with Bar(stderr(), show) as bar, terminated_like_ctrl_c():
            return run(bar)
    except KeyboardInterrupt:
        note(f"Interrupted. What is done is kept in {out}; the same command continues from there.")
        raise typer.Exit(INTERRUPTED) from None


def settings_table(
    facts: Mapping[str, str],
    tagger: "Tagger",
    notes: Iterable[str],
    without: Iterable[str] = (),
    **resolved: Any,
) -> Table:
    """Facts of a run, the tagger's settings and notes. Settings in `resolved` replace the tagger's."""
    from ..runs.record import describe_settings

    resolved = {**describe_settings(tagger), **resolved}
    table = two_columns()
    for name, text in facts.items():
        table.add_row(name, escape(text))
    for name, about in ABOUT.items():
        if about.panel is not None and not about.is_secret and name not in without:
            value = resolved.get(name, getattr(tagger, name))
            if isinstance(value, bool):
                value = "yes" if value else "no"
            text = str(about.none if value is None else value)
            table.add_row(name, escape(text), style="dim" if value is None else None)
    for line in notes:
        table.add_row("note", escape(line))
    return table


def show_counts(counts: Mapping[str, str], failed: int, console: Console) -> None:
    table = two_columns("right")
    for name, text in counts.items():
        table.add_row(name, text, style="red" if name == "failed" and failed else None)
    console.print(table)


def two_columns(justify: Any = "left") -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold", justify=justify)
    return table


def finish(summary: Mapping[str, Any], failed: int, as_json: bool, show: Callable[[], None]) -> None:
    """Print the summary as JSON or for people; the exit code tells whether some rows failed."""
    if as_json:
        typer.echo(safe_json(summary))
    else:
        show()
    if failed:
        raise typer.Exit(SOME_FAILED)
