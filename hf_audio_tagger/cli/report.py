"""What commands share: settings before a run, a bar during it, a summary after it, and exit codes."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import typer
from rich.markup import escape
from rich.table import Table

from ..errors import ColumnError, SettingsError, TaggerError
from ..settings import ABOUT, get_setting
from ..text import safe_json
from .console import fail, note, stderr
from .interruption import interrupted_by_sigterm
from .wording import find_options, use_options

if TYPE_CHECKING:
    from ..runs import RunPlan, Watcher
    from ..tagger import Tagger

Summary = TypeVar("Summary")

WRONG_USE = 1  # also for a mistyped option, where click exits with 2
STOPPED, SOME_FAILED = 2, 3
MOST_LABELS = 8  # in a table of settings
INTERRUPTED = 130  # what shells expect after Ctrl-C
TRACEBACK_VARIABLE = "HF_AUDIO_TAGGER_TRACEBACK"


def wants_traceback(context: Any) -> bool:
    is_requested = context.find_root().params.get("traceback")
    return bool(is_requested) or os.environ.get(TRACEBACK_VARIABLE, "0") not in ("", "0")


@contextmanager
def exit_codes(context: typer.Context, *others: type[Exception]) -> Iterator[None]:
    """Exit with `STOPPED` after an error during a run, also one of `others`; the app handles wrong use."""
    errors: tuple[type[Exception], ...] = (TaggerError, *others)
    try:
        yield
    except (SettingsError, ColumnError):
        raise
    except errors as error:
        if wants_traceback(context):
            raise
        fail(use_options(str(error), find_options(context)))
        raise typer.Exit(STOPPED) from None


def run_with_bar(
    out: object,
    show: "Callable[[RunPlan], Table]",
    run: "Callable[[Watcher], Summary]",
    *,
    quiet: bool = False,
    work: str = "Tagging",
    rows: str = "rows",
) -> Summary:
    """Show the settings, then a bar during the run. Ctrl-C and SIGTERM end it; what is done is kept."""
    from .progress import Bar, Notes

    bar = Notes(stderr()) if quiet else Bar(stderr(), show, work, rows)
    try:
        with interrupted_by_sigterm(), bar:
            return run(bar)
    except KeyboardInterrupt:
        is_begun = bar.latest is not None and bar.latest.done_rows > 0
        kept = f"What is done is kept in {out}; the same command continues from there."
        note(f"Interrupted. {kept}" if is_begun else f"Interrupted before any of the {rows} were done.")
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
    rows: list[tuple[str, str, str | None]] = [(name, text, None) for name, text in facts.items()]
    for name, about in ABOUT.items():
        if about.panel is not None and not about.is_secret and name not in without:
            value = resolved.get(name, get_setting(tagger, name))
            if isinstance(value, bool):
                value = "yes" if value else "no"
            text = str(about.none) if value is None else show_value(value)
            rows.append((name, text, "dim" if value is None else None))
    return two_columns([*rows, *(("note", line, None) for line in notes)])


def show_value(value: Any) -> str:
    """A setting's value; of many labels the first ones.

    >>> show_value([*"abcdefghijk"])
    "'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h' and 3 more"
    """
    if not isinstance(value, (list, dict)):
        return str(value)
    shown, more = [repr(one) for one in value][:MOST_LABELS], len(value) - MOST_LABELS
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def two_columns(rows: Iterable[tuple[str, str, str | None]], justify: Any = "left") -> Table:
    """A table of names and values; each row with its style."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold", justify=justify)
    for name, text, style in rows:
        table.add_row(name, escape(text), style=style)
    return table


def count_table(counts: Mapping[str, str], failed: int) -> Table:
    styles = {"failed": "red"} if failed else {}
    return two_columns([(name, text, styles.get(name)) for name, text in counts.items()], "right")


def finish(summary: Mapping[str, Any], failed: int, as_json: bool, show: Callable[[], None]) -> None:
    """Print the summary as JSON or as text; exit with `SOME_FAILED` if some rows failed."""
    if as_json:
        typer.echo(safe_json(summary))
    else:
        show()
    if failed:
        raise typer.Exit(SOME_FAILED)
