"""`hf-audio-tagger report`: a page of a tagged dataset, for a browser."""

import webbrowser
from pathlib import Path
from typing import Annotated, Literal

import typer

from .console import print_text, quiet_libraries
from .options import Quiet, Split

MEDIA, MORE = "Media", "What it shows"


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
        typer.Option(
            help="Play clips where they lie, or as small previews in the page, or not at all.",
            rich_help_panel=MEDIA,
        ),
    ] = "link",
    single_file: Annotated[
        bool, typer.Option("--single-file", help="One HTML file with all in it; for few clips.")
    ] = False,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    posters: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", help="At most N clips get a poster or a waveform.", rich_help_panel=MEDIA
        ),
    ] = 5_000,
    previews: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="With --media embed, at most N clips get a preview.",
            show_default="all",
            rich_help_panel=MEDIA,
        ),
    ] = None,
    title: Annotated[
        str | None,
        typer.Option(help="Of the page.", show_default="TAGGED's name", rich_help_panel=MORE),
    ] = None,
    column: Annotated[
        str | None,
        typer.Option(help="The column of tags.", show_default="video_audio_tags", rich_help_panel=MORE),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help="The column of the dataset's own labels.",
            show_default="labels or label",
            rich_help_panel=MORE,
        ),
    ] = None,
    neighbors: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Similar clips of each clip, by embeddings.",
            show_default="8; 0 for over 20,000 clips",
            rich_help_panel=MORE,
        ),
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
