"""`report`: a page of a tagged dataset."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypedDict, Unpack, get_args, overload

from datasets import Dataset

from ..checks import check_choice, check_counts
from ..tagger import Tagger
from .folder import INDEX
from .making import ReportSettings, write_report
from .media import MediaKind
from .notebook import InlineReport
from .tagged import open_tagged

PREVIEWS_INLINE = 50  # all of a page in a notebook is kept in the notebook's file


class ReportOptions(TypedDict, total=False):
    """The arguments of `report` that it has defaults for, for type checkers."""

    tagger: Tagger | None
    media: MediaKind | None
    single_file: bool
    title: str | None
    column: str | None
    labels: str | None
    split: str | None
    posters: int
    previews: int | None
    neighbors: int | None


@overload
def report(
    ds: Dataset | str | os.PathLike[str], folder: None = None, **options: Unpack[ReportOptions]
) -> InlineReport: ...


@overload
def report(
    ds: Dataset | str | os.PathLike[str], folder: str | os.PathLike[str], **options: Unpack[ReportOptions]
) -> Path: ...


def report(
    ds: Dataset | str | os.PathLike[str],
    folder: str | os.PathLike[str] | None = None,
    *,
    tagger: Tagger | None = None,
    media: MediaKind | None = None,
    single_file: bool = False,
    title: str | None = None,
    column: str | None = None,
    labels: str | None = None,
    split: str | None = None,
    posters: int = 5_000,
    previews: int | None = None,
    neighbors: int | None = None,
) -> Path | InlineReport:
    """Write a page of a tagged dataset, to look at in a browser; returns the path of its index.html.

    Without a folder, the page is returned as an object that notebooks show inline.

    The page needs no server and no network: it opens from disk, from a web server, or after a download from
    the Hub. Tags alone suffice; top labels, segments, embeddings, errors, the dataset's own labels and other
    columns are shown where there are any.

    Args:
        ds: a tagged `Dataset`, the folder or file of a run, labelled predictions, or a source with tags.
        folder: of the page, replaced when the new page is whole. With `single_file`, it may be a .html file.
        tagger: the one that made the tags, for the page's head. Default: the one recorded with the rows; a
            bare `map` records none.
        media: "link" plays the clips where they lie, by their paths from the page; "embed" adds small
            previews of their first 30 seconds; "none" shows no clips. Default: "link"; in a notebook, "embed"
            for 50 clips.
        single_file: one HTML file with all in it; for at most 20,000 clips.
        title: of the page. Default: the name of the run or dataset.
        column: of the tags. Default: the tagger's, else "video_audio_tags".
        labels: the column of the dataset's own labels. Default: "labels" or "label", where they hold any.
        split: of a source with several.
        posters: at most so many clips get a poster, or a waveform; with more clips, evenly spread.
        previews: with media="embed", at most so many clips get a preview. Default: all.
        neighbors: similar clips for each clip, by its embedding. Default: 8 for up to 20,000 clips, and none
            for more: every clip is compared with every other.

    >>> report("tagged/", "page/")  # doctest: +SKIP
    PosixPath('page/index.html')
    """
    kinds = get_args(MediaKind)
    if media is not None:
        check_choice("media", media, kinds)
    check_numbers(posters=posters, previews=previews, neighbors=neighbors)
    is_inline = folder is None
    settings = ReportSettings(
        media=media or ("embed" if is_inline else "link"),
        single_file=single_file or is_inline,
        title=title,
        column=tagger.tag_column if column is None and tagger is not None else column,
        labels=labels,
        posters=posters,
        previews=PREVIEWS_INLINE if is_inline and previews is None else previews,
        neighbors=neighbors,
    )
    tagged = open_tagged(ds, split, tagger)
    if folder is not None:
        return write_report(tagged, Path(folder).expanduser(), settings)
    with TemporaryDirectory(prefix="hf_audio_tagger_") as temporary:
        page = write_report(tagged, Path(temporary) / INDEX, settings)
        return InlineReport(page.read_text("utf-8"))


def check_numbers(**counts: int | None) -> None:
    """Whole numbers from 0 on, or None."""
    check_counts(**{name: count for name, count in counts.items() if count is not False and count != 0})
