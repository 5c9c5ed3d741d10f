"""`tag --dry-run`: how long the run would take here, with each engine and dtype, and its first row."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..text import safe_json, safe_text
from .console import stderr, stdout
from .figures import format_duration, format_pace

if TYPE_CHECKING:
    from ..runs import Estimate
    from ..sources.source import Source
    from ..speed import Timing
    from ..tagger import Tagger

LONGEST_VALUE = 300  # characters of a cell


def show_dry_run(
    source: "Source", tagger: "Tagger", settings: Table, rows: int | None, num_proc: int, as_json: bool
) -> None:
    """Print the settings, the estimate for so many rows (None: all), and the first row tagged."""
    from ..columns import find_prefix
    from ..runs import estimate_run, preview

    console = stdout()
    if not as_json:
        console.print(settings)
    with stderr().status("Timing a few clips with each engine and dtype"):
        estimate = estimate_run(source, tagger, rows=rows, num_proc=num_proc)  # first: it times the loading
    with stderr().status("Tagging the first row"):
        first_row = preview(source, tagger)
    if as_json:
        typer.echo(safe_json({**estimate.as_dict(), "first_row": first_row}))
        return
    show_estimate(estimate, console)
    console.print("\nThe first row:")
    show_row(first_row, find_prefix(tagger.tag_column), console)


def show_estimate(estimate: "Estimate", console: Console) -> None:
    """The time of the run as asked, then a line for each other choice, the fastest first."""
    asked = estimate.as_asked
    rows = "rows" if estimate.rows is None else f"{estimate.rows:,} rows"
    unknown = " (how many, a stream does not say)" if estimate.rows is None else ""
    console.print(
        f"\n{rows[0].upper()}{rows[1:]} would be tagged{unknown}: {describe_time(estimate, asked)}."
    )
    count = len(asked.tags)
    console.print(f"Timed on {count} clip{'s' * (count != 1)} from all over the source:", style="dim")
    table = Table("", "", "tags equal", box=None, pad_edge=False, header_style="dim")
    table.columns[0].no_wrap = True
    table.add_row(f"  as asked ({asked.options})", describe_time(estimate, asked), "")
    for timing in sort_timings(estimate.others):
        if timing.error is not None:
            table.add_row(f"  {timing.options}", "fails", escape(safe_text(timing.error)), style="yellow")
        else:
            equal = f"{estimate.count_equal_tags(timing)} of {len(timing.tags)}"
            table.add_row(f"  {timing.options}", describe_time(estimate, timing), equal)
    console.print(table)


def sort_timings(timings: "Iterable[Timing]") -> "list[Timing]":
    return sorted(timings, key=lambda timing: (timing.error is not None, timing.seconds_per_clip))


def describe_time(estimate: "Estimate", timing: "Timing") -> str:
    """The time of the whole run, or of a clip where the number of rows is not known."""
    pace = format_pace(estimate.processes / max(timing.seconds_per_clip, 1e-9))
    seconds = estimate.find_seconds(timing)
    return pace if seconds is None else f"about {format_duration(max(1.0, seconds))} ({pace})"


def show_row(row: dict[str, Any], prefix: str, console: Console) -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in row.items():
        style = "green" if name.startswith(prefix) else None
        table.add_row(*(escape(safe_text(text)) for text in (name, str(value)[:LONGEST_VALUE])), style=style)
    console.print(table)
