"""`hf-audio-tagger tag`: a long run from the shell."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..errors import SettingsError
from ..text import safe_text
from .clips import print_clips, read_sources
from .console import print_text, stdout
from .dry_run import show_dry_run
from .ending import describe_work, show_reasons
from .options import (
    HUB,
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
    Split,
    option,
    read_cluster,
    takes_tagger,
)
from .report import count_table, finish, run_with_bar, settings_table
from .wording import SETTINGS, use_options

if TYPE_CHECKING:
    from ..runs import RunPlan, Summary
    from ..sources.source import Source
    from ..tagger import Tagger

BAR_WIDTH = 30  # of the most frequent tag


@takes_tagger(on_error="record")
def tag(
    source: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="Clips and folders of clips, or - for a list of them on standard input. Or one .jsonl, "
            ".json, .csv or .parquet file or a glob of them in quotes, one index of AudioSet's clips (with "
            "--root), one folder written by save_to_disk, or one dataset on the Hub (user/name). Or tars in "
            "WebDataset's layout: 'shards/*.tar', 'shards/{000..099}.tar', URLs.",
        ),
    ],
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DEST",
            help="A folder or a .jsonl or .parquet file, also in a store (s3://bucket/run), or "
            "hf://datasets/user/name.",
            show_default="print the tags",
        ),
    ] = None,
    config: Annotated[str | None, option(SOURCES, help="Config (subset) of a Hub dataset.")] = None,
    split: Split = None,
    streaming: Annotated[
        bool, option(SOURCES, "--streaming", help="Stream the rows, without a copy on this disk.")
    ] = False,
    follow_links: FollowLinks = False,
    root: Root = None,
    files: Files = None,
    limit: Annotated[int | None, option(SOURCES, min=1, metavar="N", help="Only the first N rows.")] = None,
    sample: Sample = None,
    *,
    tagger: "Tagger",
    num_proc: Processes = None,
    ray: Ray = None,
    shard_rows: Annotated[
        int | None, option(RUN, min=1, metavar="N", help="Rows that are saved at once.", show_default="1000")
    ] = None,
    beside: Annotated[
        bool, option(RUN, "--beside", help="Of tars: write NAME.tar.tags.parquet beside each, and no DEST.")
    ] = False,
    keep_files: Annotated[
        bool, option(RUN, "--keep-files", help="Of tars: rows keep media and all other members, too.")
    ] = False,
    overwrite: Annotated[bool, option(RUN, "--overwrite", help="Remove an earlier run's result.")] = False,
    retry_failed: Annotated[
        bool, option(RUN, "--retry-failed", help="Tag only the rows that failed.")
    ] = False,
    max_failures: Annotated[
        str | None, option(RUN, metavar="N|N%", help="Stop when more rows failed. What is done is kept.")
    ] = None,
    shard: Shard = None,
    dry_run: Annotated[
        bool,
        option(
            RUN,
            "--dry-run",
            help="Say how long the run will take here, and how it is faster. Nothing is written.",
        ),
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    push: Annotated[
        str | None, option(HUB, metavar="USER/NAME", help="Push the result to this dataset, with a card.")
    ] = None,
    private: Annotated[bool, option(HUB, "--private", help="If the dataset is created now.")] = False,
    push_revision: Annotated[str | None, option(HUB, help="The branch to push to.")] = None,
    only_tags: Annotated[bool, option(HUB, "--only-tags", help="Push keys and tags, not media.")] = False,
    push_report: Annotated[bool, option(HUB, "--push-report", help="Push a page to look at, too.")] = False,
) -> None:
    """Print what SOURCE sounds like, a line a label: clip, label, score. Or tag it into DEST.

    With --out DEST, the same command continues a run that was interrupted.

    Exit codes: 0 all well, 1 wrong use or settings, 2 the run could not
    continue, 3 done and some rows failed, 130 interrupted.
    """
    from ..clips import list_clip_files

    is_printed = out is None and not beside
    if is_printed:
        needs_out = {
            "--keep-files": keep_files,
            "--num-proc": num_proc,
            "--ray": ray,
            "--shard-rows": shard_rows,
            "--overwrite": overwrite,
            "--retry-failed": retry_failed,
            "--max-failures": max_failures,
            "--shard": shard,
            "--push": push,
        }
        check_without_out({} if dry_run else needs_out)
    push_options = make_push_options(push, out, private, push_revision, only_tags, push_report)
    sources = read_sources(source)
    options: dict[str, Any] = {"config": config, "split": split, "streaming": streaming}
    options |= {"follow_links": follow_links, "root": root, "files": files}
    if is_printed and not dry_run and not any(options.values()) and list_clip_files(sources):
        print_clips(sources, tagger, limit, sample, as_json, quiet)
        return
    from ..executors import default_num_proc
    from ..runs import tag_dataset
    from ..sources import open_source

    opened = open_source(sources, token=tagger.token, **options)
    if dry_run:
        rows = limit if sample is None else sample
        processes = num_proc or default_num_proc(tagger.device)
        show_dry_run(opened, tagger, describe_run(opened, tagger, out), rows, processes, as_json)
        return
    if is_printed:
        print_clips(opened, tagger, limit, sample, as_json, quiet)
        return
    cluster = read_cluster(ray)
    if cluster is None and num_proc is None:
        num_proc = default_num_proc(tagger.device) if opened.is_divisible else 1
    summary = run_with_bar(
        out or "the files beside the tars",
        lambda plan: describe_run(opened, tagger, out, plan),
        lambda bar: tag_dataset(
            opened,
            out,
            tagger,
            num_proc=num_proc,
            executor=cluster,
            shard_rows=shard_rows,
            limit=limit,
            sample=sample,
            overwrite=overwrite,
            retry_failed=retry_failed,
            max_failures=max_failures,
            shard=shard,
            push=push_options,
            beside=beside,
            keep_files=keep_files,
            watcher=bar,
        ),
        quiet=quiet,
    )
    failed = summary.failed + summary.broken_tars
    finish(summary.as_dict(), failed, as_json, lambda: show_summary(summary, stdout()))


def check_without_out(given: Mapping[str, object]) -> None:
    """Refuse options of a run where the tags are printed."""
    if wrong := [name for name, value in given.items() if value]:
        raise SettingsError(f"{', '.join(wrong)} and such are for a run; add --out DEST.")


def make_push_options(
    push: str | None, out: str | None, private: bool, revision: str | None, only_tags: bool, report: bool
) -> dict[str, Any] | None:
    """The options of a push, if --push is given or DEST is on the Hub."""
    to_hub = (out or "").startswith("hf://")
    if push is None and not to_hub:
        if private or revision or only_tags or report:
            names = "--private, --push-revision, --only-tags and --push-report"
            raise SettingsError(f"{names} go with --push user/name.")
        return None
    if push is not None and to_hub:
        raise SettingsError("--push and an --out on the Hub name two places; pass one of them.")
    options: dict[str, Any] = {"revision": revision, "only_tags": only_tags, "private": private or None}
    options |= {"report": True} if report else {}
    return options if push is None else {"repo_id": push, **options}


def describe_run(source: "Source", tagger: "Tagger", out: str | None, plan: "RunPlan | None" = None) -> Table:
    """The resolved settings; a dry run has no plan."""
    from ..sources.columns import find_media_column
    from ..sources.tar_shards import TarSource

    facts = {"source": source.name, "rows": format_count(source.row_count)}
    facts |= {} if out is None else {"out": out}
    if plan is not None:
        if isinstance(source, TarSource):
            facts["tars"] = f"{len(source.tars):,}"
        else:
            facts["sample" if plan.record.sampled else "limit"] = format_count(plan.record.limit, "none")
            facts["shard_rows"] = f"{plan.record.shard_rows:,}"
        facts["num_proc"] = str(plan.num_proc or 1)
        if plan.folder.share is not None:
            facts["shard"] = f"{plan.folder.share}, {format_count(plan.total_rows)} rows"
        facts["done before"] = f"{plan.done_rows:,} rows"
    column = find_media_column(source, tagger.column)
    return settings_table(facts, tagger, source.notes, column=column)


def format_count(number: int | None, unknown: str = "not known before the end") -> str:
    return unknown if number is None else f"{number:,}"


def show_summary(summary: "Summary", console: Console) -> None:
    """Show counts, the ten most frequent tags as bars, and where failures are listed."""
    counts = {"rows": summary.rows, "tagged": summary.tagged, "kept tags": summary.kept}
    counts |= {"EMPTY": summary.empty, "without videos": summary.without_videos, "failed": summary.failed}
    optional = ("without videos", "kept tags")
    counts |= {"broken tars": summary.broken_tars} if summary.broken_tars else {}
    shown = {name: f"{number:,}" for name, number in counts.items() if number or name not in optional}
    console.print(count_table(shown | describe_work(summary, "rows"), summary.failed))
    if summary.most_frequent:
        tags = Table(show_header=False, box=None, pad_edge=False)
        most = summary.most_frequent[0][1]
        block = "█" if console.encoding.startswith("utf") else "#"
        for name, count in summary.most_frequent:
            bar = block * max(1, round(BAR_WIDTH * count / most))
            tags.add_row(escape(safe_text(name)), f"{count:,}", bar, style="cyan")
        console.print()
        console.print(tags)
    for line in summary.notes:
        print_text(f"\n{use_options(line, SETTINGS)}", console)
    show_reasons(summary.common_reasons, summary.failures, console)
    if summary.failures is not None:
        print_text("The same command with --retry-failed tags these rows anew.", console)
    if summary.url is not None:
        print_text(f"\nPushed to {summary.url}", console)
