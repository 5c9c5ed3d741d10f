"""A report from rows to files: survey, similar clips and map, clips, head."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets.utils import tqdm

from ..errors import RunError, SettingsError
from ..text import as_utf8
from .clips import Clip, read_clips
from .folder import INDEX, copy_page, join_files, replaced_folder, write_one_file
from .head import About, describe_tags, make_head
from .layout import Layout, find_layout
from .media import MediaKind, MediaPlan
from .scripts import pack
from .similar import MOST_COMPARED, NEIGHBORS, find_neighbors, make_map
from .survey import Survey, take_survey
from .tables import Tables
from .tagged import Tagged
from .writing import Neighbors, Writer

MOST_IN_ONE_FILE = 20_000  # clips


@dataclass(frozen=True)
class ReportSettings:
    """How a report is made; `report` says what each means."""

    media: MediaKind = "link"
    single_file: bool = False
    title: str | None = None
    column: str | None = None
    labels: str | None = None
    posters: int = 5_000
    previews: int | None = None
    neighbors: int | None = None


def write_report(tagged: Tagged, folder: Path, settings: ReportSettings) -> Path:
    """Write a report; returns the path of its HTML file."""
    try:
        return write_files(tagged, folder, settings)
    except OSError as error:
        place = f": {error.filename}" if error.filename else ""
        raise RunError(
            f"The report cannot be written ({error.strerror or error}{place}). {folder} is as it was before."
        ) from error


def write_files(tagged: Tagged, folder: Path, settings: ReportSettings) -> Path:
    layout = find_layout(tagged.tables, settings.column, settings.labels)
    if settings.single_file:
        path = folder if folder.suffix in (".html", ".htm") else folder / INDEX
        with tempfile.TemporaryDirectory(prefix="hf_audio_tagger_") as temporary:
            make_files(tagged, layout, Path(temporary), path.parent, settings)
            write_one_file(join_files(Path(temporary)), path)
        return path
    with replaced_folder(folder) as temporary_folder:
        make_files(tagged, layout, temporary_folder, folder, settings)
        copy_page(temporary_folder)
    return folder / INDEX


def make_files(tagged: Tagged, layout: Layout, folder: Path, place: Path, settings: ReportSettings) -> None:
    """Write the data of a report to `folder`; the page itself will be in `place`."""
    tables, notes = tagged.tables, list[str]()
    writer = Writer(folder, layout.labels, settings.single_file)
    with tempfile.TemporaryDirectory(prefix="hf_audio_tagger_") as scratch:
        with progress("Reading", tables.row_count, "rows") as advance:
            survey = take_survey(tables, layout, Path(scratch), advance)
        check_size(survey, settings)
        neighbors = compare_clips(survey, settings.neighbors, notes)
        map_note = write_map(survey, writer)
    plan = make_plan(tagged, layout, survey, place, settings)
    with progress("Writing", survey.clip_count, "clips") as advance:
        writer.write(read_clips(tables, layout, survey.root), plan, neighbors, advance)
    failures = writer.write_columns()
    run, shown, versions = describe_tags(tables.provenance, layout.tags, tagged.times)
    about = About(
        title=as_utf8(settings.title or tagged.title),
        rows=tables.row_count,
        media=settings.media,
        run=run,
        settings=shown,
        versions=versions,
        notes=[*notes, *describe_media(plan, writer)],
    )
    writer.write_script("head", "head", make_head(writer, failures, about, map_note))


@contextmanager
def progress(what: str, total: int, unit: str) -> Iterator[Callable[[int], Any]]:
    """A bar of `datasets`, which its own switch hides."""
    with tqdm(total=total, desc=what, unit=f" {unit}") as bar:
        yield bar.update


def check_size(survey: Survey, settings: ReportSettings) -> None:
    if settings.single_file and survey.clip_count > MOST_IN_ONE_FILE:
        raise SettingsError(
            f"single_file=True is for at most {MOST_IN_ONE_FILE:,} clips; these are {survey.clip_count:,}. "
            "Leave it out: a folder is read in parts."
        )


def compare_clips(survey: Survey, count: int | None, notes: list[str]) -> Neighbors:
    """Similar clips of each clip."""
    if survey.units is None:
        return {}
    if count is None and len(survey.units) > MOST_COMPARED:
        notes.append(
            f"Similar clips are left out: with {len(survey.units):,} embeddings every clip would be compared "
            "with every other. neighbors= asks for them."
        )
        return {}
    with progress("Comparing", len(survey.units), "clips") as advance:
        return find_neighbors(survey, NEIGHBORS if count is None else count, advance)


def write_map(survey: Survey, writer: Writer) -> str | None:
    """Write the map; returns its note, None without a map."""
    points = make_map(survey)
    if points is None:
        return None
    values = {"clips": pack(points.clips, "u4"), "x": pack(points.x, "u2"), "y": pack(points.y, "u2")}
    writer.write_script("map", "map", values)
    return points.note


def make_plan(
    tagged: Tagged, layout: Layout, survey: Survey, place: Path, settings: ReportSettings
) -> MediaPlan:
    column = layout.media

    def read_bytes(clip: Clip) -> bytes | None:
        return None if column is None else find_bytes(tagged.tables.read_cell(column, clip.row), clip.place)

    return MediaPlan(
        kind=settings.media,
        posters=settings.posters,
        previews=survey.clip_count if settings.previews is None else settings.previews,
        clip_count=survey.clip_count,
        base=tagged.base,
        folder=place.absolute(),
        read_bytes=read_bytes,
        holds_bytes=column is not None and may_hold_bytes(tagged.tables, column),
    )


def may_hold_bytes(tables: Tables, column: str) -> bool:
    """True where a column's cells may have media within them."""
    return "binary" in str(tables.features.arrow_schema.field(column).type)


def find_bytes(cell: Any, place: int) -> bytes | None:
    """A video's bytes in a row's cell."""
    if isinstance(cell, list):
        cell = cell[place] if place < len(cell) else None
    if isinstance(cell, dict):
        cell = cell.get("bytes")
    return cell if isinstance(cell, bytes) and cell else None


def describe_media(plan: MediaPlan, writer: Writer) -> Iterator[str]:
    """Notes on what the page has of the clips."""
    clips = len(writer.columns)
    if plan.kind == "link" and clips and not writer.with_media:
        if plan.holds_bytes:
            yield 'No clip can be played: they lie inside the dataset. media="embed" adds previews.'
        else:
            yield "No clip can be played: no file was found where the page was made."
    elif plan.kind == "link" and writer.with_media < clips:
        yield f"Of {clips:,} clips, {writer.with_media:,} have a file that can be played."
    if plan.kind == "embed" and plan.previews < clips:
        yield f"Of {clips:,} clips, {writer.with_media:,} have a preview."
    if 0 < plan.posters < clips:
        yield f"Posters and waveforms were made of {plan.posters:,} clips, evenly spread."
