"""`hf-audio-tagger check`: which clips of an index are there, and which can be decoded."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..errors import SettingsError
from ..text import safe_text
from .console import note, print_text, quiet_libraries, stderr, stdout
from .options import RUN, SOURCES, AsJson, Files, FollowLinks, Root, Split, option
from .report import count_table, exit_codes, finish

if TYPE_CHECKING:
    from datasets import Dataset

    from ..index.checking import CheckSummary

MOST_REASONS = 10  # that are shown
WRITERS = {".csv": "to_csv", ".jsonl": "to_json", ".parquet": "to_parquet"}  # of a Dataset


def check(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="INDEX", help="An index, or any other SOURCE of `tag`.")],
    root: Root = None,
    files: Files = None,
    decode: Annotated[bool, option(RUN, "--decode", help="Decode every clip to its end.")] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="The statuses, as .csv, .jsonl or .parquet."),
    ] = None,
    column: Annotated[
        str | None, option(SOURCES, help="The column of media.", show_default="as `tag` finds it")
    ] = None,
    split: Split = None,
    follow_links: FollowLinks = False,
    num_proc: Annotated[
        int | None, option(RUN, min=1, metavar="N", help="Processes that decode.", show_default="none: here")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check the clips of INDEX: which are there, and with --decode whether they have their sound.

    A clip is ok, missing, unreadable, has no sound, or is short: more than
    1.0 s shorter than the index says. Without --decode folders are listed and
    no file is opened.

    Exit codes: 0 all clips are ok, 1 wrong use or settings, 2 the check could
    not continue, 3 done and some clips are not ok, 130 interrupted.
    """
    quiet_libraries()
    from datasets import Dataset

    from ..index.checking import add_statuses, check_cells, summarize_check
    from ..sources import open_source
    from ..sources.columns import find_media_column

    if out is not None and out.suffix not in WRITERS:
        raise SettingsError(f"--out must end in {', '.join(WRITERS)}; got {out}.")
    opened = open_source(source, split=split, follow_links=follow_links, root=root, files=files)
    for line in opened.notes:
        note(line)
    rows = opened.dataset
    assert isinstance(rows, Dataset)  # streaming is not asked for
    name = find_media_column(opened, column)
    cells = opened.tagger_cells(opened.rows(0, len(rows))[name], 0)
    with exit_codes(context, OSError), stderr().status("Listing the folders") as status:

        def show_progress(done: int, total: int) -> None:
            status.update(f"Decoding: {done:,} of {total:,} rows are done")

        checked = add_statuses(rows, check_cells(rows, cells, decode, num_proc, show_progress))
        if out is not None:
            write_statuses(checked, name, out)
    summary = summarize_check(checked)
    facts: dict[str, Any] = {"rows": summary.rows, **summary.counts, "decoded": decode}
    facts["reasons"] = [dict(zip(("status", "reason", "rows"), one, strict=True)) for one in summary.reasons]
    finish(facts, summary.failed, as_json, lambda: show_summary(summary, out, stdout()))


def write_statuses(checked: "Dataset", column: str, out: Path) -> None:
    """The rows' ids, paths and statuses."""
    from ..atomic_files import open_atomic
    from ..index.checking import ADDED
    from ..media_paths import read_paths

    names = [name for name in ("id", *ADDED) if name in checked.column_names]
    table = checked.select_columns(names).add_column("path", read_paths(checked, column))
    with open_atomic(out) as file:
        getattr(table, WRITERS[out.suffix])(file)


def show_summary(summary: "CheckSummary", out: Path | None, console: Console) -> None:
    counts = {"rows": f"{summary.rows:,}"}
    counts |= {name: f"{rows:,}" for name, rows in summary.counts.items()}
    console.print(count_table(counts, summary.failed))
    if summary.reasons:
        table = Table(box=None, pad_edge=False, title_justify="left")
        table.add_column("status")
        table.add_column("reason", overflow="fold")
        table.add_column("rows", justify="right")
        for status, reason, rows in summary.reasons[:MOST_REASONS]:
            table.add_row(status, escape(safe_text(reason)), f"{rows:,}")
        console.print()
        console.print(table)
        if more := len(summary.reasons) - MOST_REASONS:
            print_text(f"and {more:,} more reasons" if more > 0 else "", console)
    if out is not None:
        print_text(f"\nEvery row's status is in {out}", console)
