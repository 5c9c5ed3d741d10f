"""`hf-audio-tagger index`: rows as an index of AudioSet's clips."""

from typing import Annotated

import typer

from .console import print_text, quiet_libraries
from .options import Split


def index(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="What `tag` wrote, another index, or any SOURCE.")
    ],
    out: Annotated[str, typer.Option("--out", "-o", metavar="FILE", help="The index to write.")],
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="The column that becomes the labels, as mids: video_audio_tags, video_audio_top, ...",
            show_default="labels, as they are",
        ),
    ] = None,
    split: Split = None,
) -> None:
    """Write SOURCE as an index: JSON Lines, as vipant and audioset-dl read them.

    SOURCE may be a tagged dataset, AudioSet's list of segments, AudioCaps' csv
    or AST's json.
    """
    quiet_libraries()
    from ..index.writing import write_index
    from ..results.tagged_rows import open_rows

    rows = open_rows(source, split)
    write_index(rows, out, labels)
    print_text(f"{len(rows):,} rows are written to {out}")
