"""`hf-audio-tagger label`: a collection's scores, patch by patch, as files."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..text import safe_json
from .console import note, quiet_libraries, stderr, stdout
from .ends import INTERRUPTED, SOME_FAILED, exit_codes, terminated_like_ctrl_c
from .options import (
    HEARING,
    MODEL,
    RUN,
    AsJson,
    BatchSize,
    Channels,
    Decoder,
    Device,
    Dtype,
    Engine,
    FollowLinks,
    Processes,
    Revision,
    Weights,
    option,
)

if TYPE_CHECKING:
    from ..runs import LabelSummary, RunPlan
    from ..sources.source import Source
    from ..tagger import Tagger


def label(
    context: typer.Context,
    folder: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER",
            help="Audio or video files, searched in all folders below; or any other SOURCE of `tag`.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Where the scores go.")],
    follow_links: FollowLinks = False,
    model: Annotated[
        str, option(MODEL, help="yamnet, vggish, a Hub id, a local folder, or demo (packaged, offline).")
    ] = "yamnet",
    weights: Weights = None,
    revision: Revision = None,
    engine: Engine = "torch",
    device: Device = None,
    dtype: Dtype = "float32",
    batch_size: BatchSize = 16,
    hop_seconds: Annotated[
        float | None,
        option(HEARING, help="From patch to patch.", show_default="the model's, 0.48 for yamnet"),
    ] = None,
    channels: Channels = "mean",
    decoder: Decoder = "auto",
    column: Annotated[
        str | None,
        option(HEARING, help="Where a table has its media.", show_default="video, videos or audio"),
    ] = None,
    id_column: Annotated[
        str | None,
        option(HEARING, help="What clips are called.", show_default="id, file_name, or their path"),
    ] = None,
    on_error: Annotated[
        str, option(RUN, help='"record" a file that cannot be read and go on, or "raise".')
    ] = "record",
    num_proc: Processes = None,
    overwrite: Annotated[
        bool, option(RUN, "--overwrite", help="Label all anew, also with other settings.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Label FOLDER: each file's scores in every class, patch by patch.

    DIR gets audio_pred.json and audio_pred/*.npy, as torch_audioset's tools
    write and read them; load_predictions and top_moments read them in Python.
    The same command again labels what is new or has changed.

    Exit codes: 0 all well, 1 wrong use or settings, 2 the run could not go
    on, 3 done and some files failed, 130 interrupted.
    """
    quiet_libraries(hub_bars=True)
    with exit_codes(context):
        from .. import build_tagger, export_predictions
        from ..executors import default_num_proc
        from ..sources import open_source
        from .progress import Bar

        tagger = build_tagger(
            model,
            weights=weights,
            revision=revision,
            device=device,
            dtype=dtype,
            engine=engine,
            batch_size=batch_size,
            hop_seconds=hop_seconds,
            channels=channels,
            decoder=decoder,
            column=column,
            on_error=on_error,
        )
        source = open_source(folder, follow_links=follow_links)
        num_proc = num_proc or default_num_proc(device)
        try:
            with (
                Bar(stderr(), lambda plan: settings_table(source, tagger, plan)) as bar,
                terminated_like_ctrl_c(),
            ):
                summary = export_predictions(
                    source,
                    out,
                    tagger=tagger,
                    id_column=id_column,
                    num_proc=num_proc,
                    overwrite=overwrite,
                    watcher=bar,
                )
        except KeyboardInterrupt:
            note(f"Interrupted. What was heard is kept in {out}; the same command goes on from there.")
            raise typer.Exit(INTERRUPTED) from None
    if as_json:
        typer.echo(safe_json(asdict(summary)))
    else:
        show_summary(summary, stdout())
    if summary.failed:
        raise typer.Exit(SOME_FAILED)


def settings_table(source: "Source", tagger: "Tagger", plan: "RunPlan") -> Table:
    """What is labelled with what. The source and the folder are as a person named them."""
    from ..runs.record import describe_settings

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    hop = "the model's own" if tagger.hop_seconds is None else f"{tagger.hop_seconds} s"
    for name, value in (
        ("folder", plan.record.source),
        ("out", plan.folder.dest),
        ("model", tagger.model),
        ("weights", describe_settings(tagger)["weights"] or "the model's own"),
        ("hop", hop),
        ("files", f"{plan.total_rows:,}"),
        ("done before", f"{plan.done_rows:,}"),
        *(("note", line) for line in source.notes),
    ):
        table.add_row(name, escape(value))
    return table


def show_summary(summary: "LabelSummary", console: Console) -> None:
    """Counts, and where things are."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    for name, value in (
        ("files", f"{summary.clips:,}"),
        ("labelled", f"{summary.labelled:,}"),
        ("without sound", f"{summary.without_sound:,}"),
        ("failed", f"{summary.failed:,}"),
        ("hours of sound", f"{summary.sound_seconds / 3600:,.2f}"),
        ("patches", f"{summary.patches:,}"),
        ("seconds", f"{summary.seconds:,.1f}"),
    ):
        table.add_row(name, value, style="red" if name == "failed" and summary.failed else None)
    console.print(table)
    console.print(f"\nThe scores are in {summary.folder}", markup=False, soft_wrap=True)
    if summary.failures is not None:
        console.print(f"Failures are listed in {summary.failures}", markup=False, soft_wrap=True)
        console.print("The same command tries them again.", markup=False, soft_wrap=True)
