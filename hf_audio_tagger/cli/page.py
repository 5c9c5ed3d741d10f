"""`hf-audio-tagger report`: a page of a tagged dataset, for a browser."""

import webbrowser
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from .console import print_text, quiet_libraries
from .options import Quiet, Split, option

MEDIA, MORE = "Media", "What it shows"


def count(panel: str, help: str, **more: Any) -> Any:
    return option(panel, min=0, metavar="N", help=help, **more)


def report(
    tagged: Annotated[
        str,
        typer.Argument(
            metavar="TAGGED",
            help="What `tag` or `label` wrote, or any other SOURCE with tags.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FOLDER", help="The page.", show_default="TAGGED's name and -report"
        ),
    ] = None,
    media: Annotated[
        Literal["link", "embed", "none"],
        option(MEDIA, help="Play clips where they lie, or as small previews in the page, or not at all."),
    ] = "link",
    single_file: Annotated[
        bool, typer.Option("--single-file", help="One HTML file with all in it; for few clips.")
    ] = False,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    posters: Annotated[int, count(MEDIA, "At most N clips get a poster or a waveform.")] = 5_000,
    previews: Annotated[
        int | None, count(MEDIA, "With --media embed, at most N clips get a preview.", show_default="all")
    ] = None,
    title: Annotated[str | None, option(MORE, help="Of the page.", show_default="TAGGED's name")] = None,
    column: Annotated[
        str | None, option(MORE, help="The column of tags.", show_default="video_audio_tags")
    ] = None,
    labels: Annotated[
        str | None,
        option(MORE, help="The column of the dataset's own labels.", show_default="labels or label"),
    ] = None,
    neighbors: Annotated[
        int | None,
        count(MORE, "Similar clips of each clip, by embeddings.", show_default="8; 0 for over 20,000 clips"),
    ] = None,
    split: Split = None,
    quiet: Quiet = False,
) -> None:
    """Write a page to look at: which sounds there are, every clip, and what failed.

    It opens by a double click, without a server and without a network.
    """
    quiet_libraries(map_bar=not quiet)
    from ..page.report import report

    path = report(
        tagged,
        out or name_page(tagged, single_file),
        media=media,
        single_file=single_file,
        title=title,
        column=column,
        labels=labels,
        split=split,
        posters=posters,
        previews=previews,
        neighbors=neighbors,
    )
    print_text(f"The page is {path}")
    if open_page:
        webbrowser.open(path.absolute().as_uri())


def name_page(tagged: str, single_file: bool) -> Path:
    """A name in the current folder, like that of what it shows."""
    name = Path(tagged).expanduser().absolute().name
    return Path(f"{name or 'clips'}-report{'.html' if single_file else ''}")
