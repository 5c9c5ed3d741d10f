"""`report`: a page of a tagged dataset."""

import os
from pathlib import Path
from typing import get_args

from datasets import Dataset

from ..checks import check_choice, check_counts
from .making import ReportSettings, write_report
from .media import MediaKind
from .tagged import open_tagged


def report(
    ds: Dataset | str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    media: MediaKind = "link",
    single_file: bool = False,
    title: str | None = None,
    column: str | None = None,
    labels: str | None = None,
    split: str | None = None,
    posters: int = 5_000,
    previews: int | None = None,
    neighbors: int | None = None,
) -> Path:
    """Write a page of a tagged dataset, to look at in a browser; returns the path of its index.html.

    The page needs no server and no network: it opens from disk, from a web server, or after a download from
    the Hub. Tags alone suffice; top labels, segments, embeddings, errors, the dataset's own labels and other
    columns are shown where there are any.

    Args:
        ds: a tagged `Dataset`, the folder or file of a run, labelled predictions, or a source with tags.
        folder: of the page, replaced when the new page is whole. With `single_file`, it may be a .html file.
        media: "link" plays the clips where they lie, by their paths from the page; "embed" adds small
            previews of their first 30 seconds; "none" shows no clips.
        single_file: one HTML file with all in it; for at most 20,000 clips.
        title: of the page. Default: the name of the run or dataset.
        column: of the tags. Default: "video_audio_tags", or the one that a tagger left its record for.
        labels: the column of the dataset's own labels. Default: "labels" or "label", where they hold any.
        split: of a source with several.
        posters: at most so many clips get a poster, or a waveform; with more clips, evenly spread.
        previews: with media="embed", at most so many clips get a preview. Default: all.
        neighbors: similar clips for each clip, by its embedding. Default: 8 for up to 20,000 clips, and none
            for more: every clip is compared with every other.

    >>> report("tagged/", "page/")  # doctest: +SKIP
    PosixPath('page/index.html')
    """
    check_choice("media", media, get_args(MediaKind))
    check_numbers(posters=posters, previews=previews, neighbors=neighbors)
    settings = ReportSettings(media, single_file, title, column, labels, posters, previews, neighbors)
    return write_report(open_tagged(ds, split), Path(folder).expanduser(), settings)


def check_numbers(**counts: int | None) -> None:
    """Whole numbers from 0 on, or None."""
    check_counts(**{name: count for name, count in counts.items() if count is not False and count != 0})
