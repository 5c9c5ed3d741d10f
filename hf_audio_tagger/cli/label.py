"""`hf-audio-tagger label`: the scores of a collection, window by window, as files."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from .console import print_text, stdout
from .ending import describe_work, format_hours, show_reasons
from .options import (
    RUN,
    SOURCES,
    AsJson,
    Files,
    FollowLinks,
    Processes,
    Quiet,
    Ray,
    Root,
    Sample,
    Shard,
    option,
    read_cluster,
    takes_tagger,
)
from .report import count_table, finish, run_with_bar, settings_table

if TYPE_CHECKING:
    from ..runs import LabelSummary, RunPlan
    from ..sources.source import Source
    from ..tagger import Tagger

NO_COLUMNS = ("tag_column", "top_k", "threshold", "segments", "embeddings", "redo")
WITHOUT = ("trust_remote_code", "token", "windows", *NO_COLUMNS)  # predictions hold all windows and scores


@takes_tagger(*WITHOUT, model="yamnet", windows="all", on_error="record")
def label(
    folder: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER",
            help="Audio or video files, searched in all folders below; or any other SOURCE of `tag`.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The folder for the scores.")],
    follow_links: FollowLinks = False,
    root: Root = None,
    files: Files = None,
    id_column: Annotated[
        str | None,
        option(SOURCES, help="The clips' names.", show_default="id, file_name, or their path"),
    ] = None,
    sample: Sample = None,
    *,
    tagger: "Tagger",
    num_proc: Processes = None,
    ray: Ray = None,
    overwrite: Annotated[bool, option(RUN, "--overwrite", help="Label all files anew.")] = False,
    shard: Shard = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Label FOLDER: each file's scores in every class, window by window.

    DIR gets audio_pred.json and audio_pred/*.npy, as torch_audioset's tools
    write and read them; load_predictions and top_moments read them in Python.
    Run again, the command labels only what is new or has changed.

    Exit codes: 0 all well, 1 wrong use or settings, 2 the run could not
    continue, 3 done and some files failed, 130 interrupted.
    """
    from ..executors import default_num_proc
    from ..runs import export_predictions
    from ..sources import open_source

    source = open_source(folder, follow_links=follow_links, root=root, files=files)
    cluster = read_cluster(ray)
    if cluster is None and num_proc is None:
        num_proc = default_num_proc(tagger.device)
    summary = run_with_bar(
        out,
        lambda plan: describe_run(source, tagger, plan),
        lambda bar: export_predictions(
            source,
            out,
            tagger=tagger,
            id_column=id_column,
            sample=sample,
            num_proc=num_proc,
            executor=cluster,
            overwrite=overwrite,
            shard=shard,
            watcher=bar,
        ),
        quiet=quiet,
        work="Labelling",
        rows="files",
    )
    finish(asdict(summary), summary.failed, as_json, lambda: show_summary(summary, stdout()))


def describe_run(source: "Source", tagger: "Tagger", plan: "RunPlan") -> Table:
    """The settings; the source and the folder as the user named them."""
    facts = {
        "folder": plan.record.source,
        "out": plan.folder.dest,
        "files": f"{plan.total_rows:,}" + (f" (shard {plan.folder.share})" if plan.folder.share else ""),
        "done before": f"{plan.done_rows:,}",
    }
    return settings_table(facts, tagger, source.notes, WITHOUT)


def show_summary(summary: "LabelSummary", console: Console) -> None:
    """Counts, and where the files are."""
    counts = {
        "files": f"{summary.clips:,}",
        "labelled": f"{summary.labelled:,}",
        "without sound": f"{summary.without_sound:,}",
        "failed": f"{summary.failed:,}",
        "labelled sound": format_hours(summary.sound_seconds),
        "windows": f"{summary.patches:,}",
        **describe_work(summary, "files"),
    }
    console.print(count_table(counts, summary.failed))
    print_text(f"\nThe scores are in {summary.folder}", console)
    for line in summary.notes:
        print_text(f"\n{line}", console)
    show_reasons(summary.common_reasons, summary.failures, console)
    if summary.failures is not None:
        print_text("The same command tries them again.", console)
