"""`hf-audio-tagger demo`: tag a dozen generated videos."""

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from ..errors import SettingsError
from .console import mark, print_text, quiet_libraries, stderr, stdout

if TYPE_CHECKING:
    from datasets import Dataset

    from ..demo.videos import DemoVideo

PAGE = "demo-report.html"
DETAILS = {"windows": "all", "top_k": 5, "segments": True, "embeddings": True}  # for the page
Row = dict[str, list[str | None]]  # the columns that the tagger adds, of one row

FIRST_CLIP = "hf-audio-tagger tag clip.mp4 --model yamnet"  # its weights are packaged

NEXT_STEPS = """\
from datasets import load_dataset; from hf_audio_tagger import build_tagger
ds = load_dataset("videofolder", data_dir="my/videos", split="train")
ds = ds.map(build_tagger(), batched=True)  # ds["video_audio_tags"][0] is then such as ["Music"]"""


def demo(
    folder: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Keep the videos here.", show_default="a temporary folder"),
    ] = None,
    num_proc: Annotated[
        int | None, typer.Option(min=1, help="Processes that tag.", show_default="this one")
    ] = None,
    report: Annotated[
        bool, typer.Option("--report", help=f"Also write a page of them to look at, {PAGE}, here.")
    ] = False,
) -> None:
    """Try it: tag a dozen generated videos. No network needed."""
    quiet_libraries(map_bar=True)
    from ..demo.videos import UNREADABLE, write_demo_videos

    console = stdout()
    with ExitStack() as stack:
        place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hf_audio_tagger_")))
        with stderr().status("Making a dozen short videos"):
            try:
                videos = write_demo_videos(place)
            except OSError as error:
                raise SettingsError(
                    f"Cannot write to --folder {place}: {error.strerror or error}."
                ) from error
        console.print(f"Made {len(videos)} short videos" + (f" in {place}." if folder else "."), markup=False)
        tagged = tag(videos, num_proc, DETAILS if report else {})
        rows: list[Row] = tagged.remove_columns("video").to_list()
        page = write_page(tagged) if report else None
    table, wrong = Table("file", "expected", "tag", "", box=SIMPLE_HEAD), 0
    for video, row in zip(videos, rows, strict=True):
        shown = row["video_audio_tags"][0] or UNREADABLE
        state = "ok" if shown == video.expected else "error"
        wrong += state == "error"
        table.add_row(video.path.name, video.expected, shown, mark(console, state))
    console.print(table)
    for reason in filter(None, (row["video_audio_error"][0] for row in rows)):
        print_text(f"video_audio_error of {reason.replace(f'{place}{os.sep}', '')}", console, "dim")
    if wrong:
        console.print(
            f"{wrong} of {len(videos)} are not as expected. `hf-audio-tagger doctor` looks for a cause.",
            style="red",
        )
        raise typer.Exit(1)
    if page is not None:
        print_text(f"A page of them, to open in a browser: {page}\n", console)
    console.print(f"All {len(videos)} are as expected. A clip of your own, 521 classes, no network needed:\n")
    print_text(FIRST_CLIP, console, "cyan")
    console.print("\nA dataset, AudioSet's 527 classes:\n")
    print_text(NEXT_STEPS, console, "cyan")


def write_page(tagged: "Dataset") -> Path:
    """A page with previews of the videos, which may lie in a temporary folder."""
    from ..page.report import report

    return report(tagged, Path(PAGE), media="embed", single_file=True, title="A dozen generated videos")


def tag(videos: "list[DemoVideo]", num_proc: int | None, details: dict[str, Any]) -> "Dataset":
    """Tag as a user would: map a dataset with a column of videos.

    A dataset that is made from values is kept in memory: nothing is written to a cache.
    """
    from datasets import Dataset, Video

    from ..provenance import add_provenance, record_tagger
    from ..tagger import build_tagger

    ds = Dataset.from_dict({"video": [str(video.path) for video in videos]}).cast_column("video", Video())
    tagger = build_tagger("demo", on_error="record", **details)
    tagged = ds.map(tagger, batched=True, batch_size=64, num_proc=num_proc, desc="Tagging")
    return add_provenance(tagged, {tagger.tag_column: (record_tagger(tagger),)})
