"""`hf-audio-tagger tag`: a long run from the shell."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..errors import SettingsError
from ..text import safe_json, safe_text
from .console import note, quiet_libraries, stderr, stdout
from .ends import INTERRUPTED, SOME_FAILED, exit_codes, terminated_like_ctrl_c
from .options import (
    COLUMNS,
    HEARING,
    HUB,
    MODEL,
    RUN,
    SOURCES,
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
    from ..runs import Summary
    from ..sources.source import Source
    from ..tagger import Tagger

BAR_WIDTH = 30  # of the most frequent tag
LONGEST_VALUE = 300  # characters of a cell in a dry run
DEFAULT_WORDS = {  # what a setting of None stands for
    "revision": "the newest",
    "column": "video, videos or audio",
    "windows": "the model's own",
    "hop_seconds": "the model's own",
    "top_k": "off",
    "threshold": "off",
    "weights": "the model's own",
    "device": "CUDA if there is any, else CPU",
}


def tag(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A folder of media, a .jsonl, .json, .csv or .parquet file or a glob of them in quotes, "
            "a folder written by save_to_disk, or a Hub dataset (user/name).",
        ),
    ],
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DEST",
            help="A folder, a .jsonl or .parquet file, or hf://datasets/user/name.",
        ),
    ] = None,
    config: Annotated[str | None, option(SOURCES, help="Config (subset) of a Hub dataset.")] = None,
    split: Annotated[str | None, option(SOURCES, help="Needed where there are several.")] = None,
    streaming: Annotated[
        bool, option(SOURCES, "--streaming", help="Read rows as they come, with no copy on this disk.")
    ] = False,
    follow_links: FollowLinks = False,
    limit: Annotated[int | None, option(SOURCES, min=1, metavar="N", help="Only the first N rows.")] = None,
    model: Annotated[
        str,
        option(MODEL, help="A Hub id, a local folder, yamnet, vggish, or demo (packaged, offline)."),
    ] = "MIT/ast-finetuned-audioset-10-10-0.4593",
    revision: Revision = None,
    trust_remote_code: Annotated[
        bool, option(MODEL, "--trust-remote-code", help="Run code that comes with a Hub model.")
    ] = False,
    token: Annotated[
        str | None,
        option(
            MODEL, help="For private data or models.", show_default="HF_TOKEN, or that of `hf auth login`"
        ),
    ] = None,
    weights: Weights = None,
    engine: Engine = "torch",
    device: Device = None,
    dtype: Dtype = "float32",
    batch_size: BatchSize = 16,
    windows: Annotated[
        str | None,
        option(HEARING, help="first, all, or how many, spread evenly.", show_default="the model's"),
    ] = None,
    hop_seconds: Annotated[float | None, option(HEARING, help='From window to window with "all".')] = None,
    channels: Channels = "mean",
    decoder: Decoder = "auto",
    column: Annotated[
        str | None, option(COLUMNS, help="Where the media are.", show_default="video, videos or audio")
    ] = None,
    tag_column: Annotated[
        str, option(COLUMNS, help="The column to add; the others' names begin like it.")
    ] = "video_audio_tags",
    top_k: Annotated[int | None, option(COLUMNS, min=1, help="Add the best labels and their scores.")] = None,
    threshold: Annotated[float | None, option(COLUMNS, help="Least score of a label in top-k.")] = None,
    segments: Annotated[bool, option(COLUMNS, "--segments", help="Add which label leads when.")] = False,
    embeddings: Annotated[
        bool, option(COLUMNS, "--embeddings", help="Add the state before the classifier.")
    ] = False,
    on_error: Annotated[
        str, option(COLUMNS, help='"record" the reason in a column and go on, or "raise".')
    ] = "record",
    redo: Annotated[
        bool, option(COLUMNS, "--redo", help="Hear rows again that come with tags, and replace these.")
    ] = False,
    num_proc: Processes = None,
    shard_rows: Annotated[
        int | None, option(RUN, min=1, metavar="N", help="Rows that are saved at once.", show_default="1000")
    ] = None,
    overwrite: Annotated[bool, option(RUN, "--overwrite", help="Remove an earlier run's result.")] = False,
    retry_failed: Annotated[
        bool, option(RUN, "--retry-failed", help="Tag the rows again that failed, and no others.")
    ] = False,
    max_failures: Annotated[
        str | None, option(RUN, metavar="N|N%", help="Stop when more rows failed. What is done is kept.")
    ] = None,
    dry_run: Annotated[
        bool, option(RUN, "--dry-run", help="Show settings, count rows, tag one. Nothing is written.")
    ] = False,
    as_json: AsJson = False,
    push: Annotated[
        str | None, option(HUB, metavar="USER/NAME", help="Push the result to this dataset, with a card.")
    ] = None,
    private: Annotated[bool, option(HUB, "--private", help="If the dataset is created now.")] = False,
    push_revision: Annotated[str | None, option(HUB, help="The branch to push to.")] = None,
    only_tags: Annotated[
        bool, option(HUB, "--only-tags", help="Push keys and tags without the media.")
    ] = False,
) -> None:
    """Tag SOURCE into DEST. The same command again goes on where it was, whatever ended it.

    Exit codes: 0 all well, 1 wrong use or settings, 2 the run could not go on, 3 done and some rows
    failed, 130 interrupted.
    """
    quiet_libraries(hub_bars=True)  # a dataset or model may take long to fetch; workers print to a log
    with exit_codes(context):
        from .. import build_tagger
        from ..sources import open_source

        tagger = build_tagger(
            model,
            revision=revision,
            trust_remote_code=trust_remote_code,
            token=token,
            weights=weights,
            column=column,
            tag_column=tag_column,
            windows=int(windows) if windows is not None and windows.isdigit() else windows,
            hop_seconds=hop_seconds,
            top_k=top_k,
            threshold=threshold,
            segments=segments,
            embeddings=embeddings,
            channels=channels,
            decoder=decoder,
            device=device,
            dtype=dtype,
            engine=engine,
            batch_size=batch_size,
            on_error=on_error,
            redo=redo,
        )
        if out is None and not dry_run:
            raise SettingsError("--out DEST says where the result goes; --dry-run looks without one.")
        pushed = push_options(push, out, private, push_revision, only_tags)
        opened = open_source(
            source, config=config, split=split, streaming=streaming, token=token, follow_links=follow_links
        )
        if dry_run:
            show_preview(opened, tagger, out, limit)
            return
        assert out is not None
        summary = run(
            opened,
            out,
            tagger,
            num_proc=num_proc,
            shard_rows=shard_rows,
            limit=limit,
            overwrite=overwrite,
            retry_failed=retry_failed,
            max_failures=max_failures,
            push=pushed,
        )
        if as_json:
            typer.echo(safe_json(summary.as_dict()))
        else:
            show_summary(summary, stdout())
    if summary.failed:
        raise typer.Exit(SOME_FAILED)


def push_options(
    push: str | None, out: str | None, private: bool, revision: str | None, only_tags: bool
) -> dict[str, Any] | None:
    """How to push, where that is asked for; a DEST on the Hub is such a wish too."""
    to_hub = (out or "").startswith("hf://")
    if push is None and not to_hub:
        if private or revision or only_tags:
            raise SettingsError("--private, --push-revision and --only-tags go with --push user/name.")
        return None
    if push is not None and to_hub:
        raise SettingsError("--push and an --out on the Hub are two places; name one of them.")
    options: dict[str, Any] = {"revision": revision, "only_tags": only_tags, "private": private or None}
    return options if push is None else {"repo_id": push, **options}


def run(source: "Source", out: str, tagger: "Tagger", *, num_proc: int | None, **how: Any) -> "Summary":
    """The run, with a bar. Ctrl-C and SIGTERM end it alike, and what was heard is kept."""
    from ..executors import default_num_proc
    from ..runs import tag_dataset
    from .progress import Bar

    if num_proc is None:
        num_proc = 1 if source.is_stream else default_num_proc(tagger.device)
    bar = Bar(stderr(), lambda plan: settings_table(source, tagger, out, num_proc, plan))
    try:
        with bar, terminated_like_ctrl_c():
            return tag_dataset(source, out, tagger, num_proc=num_proc, watcher=bar, **how)
    except KeyboardInterrupt:
        note(f"Interrupted. What was heard is kept in {out}; the same command goes on from there.")
        raise typer.Exit(INTERRUPTED) from None


def settings_table(
    source: "Source", tagger: "Tagger", out: str | None, num_proc: int | None, plan: Any
) -> Table:
    """The resolved settings. A token is never among them."""
    from ..rows import pick_column
    from ..runs.record import describe_settings

    settings = {**describe_settings(tagger), "device": tagger.device, "batch_size": tagger.batch_size}
    settings["column"] = pick_column(list(source.features), tagger.column)
    rows = {"source": source.name, "rows": counted(source.row_count)}
    if out is not None:
        rows["out"] = out
    if plan is not None:
        rows["limit"] = counted(plan.record.limit, "none")
        rows["shard_rows"] = counted(plan.record.shard_rows)
        rows["num_proc"] = str(num_proc)
        rows["done before"] = f"{plan.done_rows:,} rows"
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in {**rows, **settings}.items():
        word = DEFAULT_WORDS.get(name, "none") if value is None else value
        shown = {True: "yes", False: "no"}[word] if isinstance(word, bool) else str(word)
        table.add_row(name, escape(shown), style="dim" if value is None else None)
    for line in source.notes:
        table.add_row("note", escape(line))
    return table


def counted(number: int | None, unknown: str = "not known before the end") -> str:
    return unknown if number is None else f"{number:,}"


def show_preview(source: "Source", tagger: "Tagger", out: str | None, limit: int | None) -> None:
    """Settings, how many rows there are, and the first of them tagged."""
    from ..columns import prefix_of
    from ..runs import preview

    console = stdout()
    console.print(settings_table(source, tagger, out, None, None))
    with stderr().status("Tagging the first row"):
        row = preview(source, tagger)
    rows = source.row_count if limit is None or source.row_count is None else min(limit, source.row_count)
    console.print(f"\n{counted(rows)} rows would be tagged. The first:")
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in row.items():
        style = "green" if name.startswith(prefix_of(tagger.tag_column)) else None
        table.add_row(*(escape(safe_text(text)) for text in (name, str(value)[:LONGEST_VALUE])), style=style)
    console.print(table)


def show_summary(summary: "Summary", console: Console) -> None:
    """Counts, the ten most frequent tags as bars, and where failures are listed."""
    counts = Table(show_header=False, box=None, pad_edge=False)
    counts.add_column(style="bold")
    counts.add_column(justify="right")
    for name, number in (
        ("rows", summary.rows),
        ("tagged", summary.tagged),
        ("kept tags", summary.kept),
        ("EMPTY", summary.empty),
        ("without videos", summary.without_videos),
        ("failed", summary.failed),
    ):
        if number or name not in ("without videos", "kept tags"):
            counts.add_row(name, f"{number:,}", style="red" if name == "failed" and number else None)
    counts.add_row("seconds", f"{summary.seconds:,.1f}")
    counts.add_row("clips/s", f"{summary.clips_per_second:,.2f}")
    console.print(counts)
    if summary.most_frequent:
        tags = Table(show_header=False, box=None, pad_edge=False)
        most = summary.most_frequent[0][1]
        block = "█" if console.encoding.startswith("utf") else "#"
        for name, count in summary.most_frequent:
            tags.add_row(
                escape(safe_text(name)),
                f"{count:,}",
                block * max(1, round(BAR_WIDTH * count / most)),
                style="cyan",
            )
        console.print()
        console.print(tags)
    for line in summary.notes:
        console.print(f"\n{line}", markup=False, soft_wrap=True)
    if summary.failures is not None:
        console.print(f"\nFailures are listed in {summary.failures}", markup=False, soft_wrap=True)
        console.print("The same command with --retry-failed tags them again.", markup=False, soft_wrap=True)
