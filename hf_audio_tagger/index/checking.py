"""`check_index`: which clips of an index are there, and whether they sound as long as it says."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, Features, Value, concatenate_datasets

from ..audioset.labels import check_dataset
from ..cells import FileMedia, Media, UnreadableMedia, is_url, parse_cells, read_cells
from ..checks import check_counts
from ..errors import ColumnError
from ..media_column import pick_column
from ..media_paths import select_paths
from .clip_paths import NEEDED, ClipFolders, check_template, find_clip_paths, make_audio
from .decoding import Decoded, decode_clips
from .reading import find_root

OK, MISSING, UNREADABLE, NO_SOUND, SHORT = "ok", "missing", "unreadable", "no sound", "short"
STATUSES = (MISSING, UNREADABLE, NO_SOUND, SHORT, OK)  # that of a row with several clips is the first
TOLERANCE_SECONDS = (
    1.0  # clips are cut at whole seconds: a good one may be up to a second shorter than stated
)
ROUNDING_SECONDS = 1e-6
ROWS_WITH_BYTES = 200  # in memory at once, where cells hold whole files
ADDED = Features({"status": Value("string"), "seconds": Value("float64"), "reason": Value("string")})

NOT_NAMED = "the row does not say which clip it is"
NO_FOLDER = "its folder is not there"
NO_FILE = "there is no such file in its folder"
NOT_A_FILE = "it is not a file"
NO_STREAM = "it has no audio stream"
TOO_SHORT = f"more than {TOLERANCE_SECONDS:g} s shorter than eos - bos"


@dataclass(frozen=True)
class Status:
    """The result for one clip."""

    status: str
    seconds: float | None = None
    reason: str | None = None


FOUND = Status(OK)
ABSENT, WITHOUT_FOLDER = Status(MISSING, reason=NO_FILE), Status(MISSING, reason=NO_FOLDER)


class Listing:
    """Which files are in the folders that are asked for; each folder is read once, and no file is opened."""

    def __init__(self) -> None:
        self.folders: dict[str, dict[str, bool] | None] = {}  # by name, whether it is a file

    def find(self, path: str) -> Status:
        folder, name = os.path.split(path)
        if folder not in self.folders:
            self.folders[folder] = list_folder(folder)
        names = self.folders[folder]
        if names is None:
            return WITHOUT_FOLDER
        is_file = names.get(name)
        if is_file is None:
            return ABSENT
        return FOUND if is_file else Status(UNREADABLE, reason=NOT_A_FILE)


def list_folder(folder: str) -> dict[str, bool] | None:
    """The names in a folder, and whether each is a file; None where there is no such folder."""
    try:
        with os.scandir(folder or ".") as entries:
            return {entry.name: entry.is_file() for entry in entries}
    except (FileNotFoundError, NotADirectoryError):
        return None


def check_index(
    ds: Dataset,
    root: str | os.PathLike[str] | None = None,
    files: str | None = None,
    *,
    column: str | None = None,
    decode: bool = False,
    num_proc: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Dataset:
    """The rows with `status`, `seconds` and `reason` of their clips.

    Folders are listed once, so that hundreds of thousands of clips take a moment: a clip is "ok" if its file
    is there, else "missing". With `decode` each clip is decoded to its end, and may also be "unreadable", or
    "short" (more than 1.0 s shorter than eos - bos), or have "no sound"; `seconds` is its length.

    Args:
        ds: an index, or any dataset with a column of media. Of several clips in a row the worst counts.
        root: the folder of the clips, if `read_index` was not given one.
        files: how they are called there, as in `read_index`.
        column: of the media, if there is no `root`.
        decode: decode the clips.
        num_proc: so many processes decode.
        on_progress: called with the number of rows that are done, and of all.

    >>> checked = check_index(read_index("src.csv", root="clips"), decode=True)  # doctest: +SKIP
    >>> checked.filter(lambda status: status == "ok", input_columns="status")  # doctest: +SKIP
    """
    check_dataset(ds)
    check_counts(num_proc=num_proc)
    if root is None:
        name = pick_column(ds.column_names, column, lambda: ds.features)
        cells = ds.select_columns([name]).with_format("arrow")[:][name]
    else:
        cells = make_cells(ds, find_root(os.fspath(root)), files)
    return add_statuses(ds, check_cells(ds, cells, decode, num_proc, on_progress))


def make_cells(ds: Dataset, root: str, files: str | None) -> pa.ChunkedArray:
    template = None if files is None else check_template(files)
    needed = [name for name in NEEDED if name in ds.column_names]
    table = ds.select_columns(needed).with_format("arrow")[:]
    return make_audio(find_clip_paths(table, root, template, ClipFolders(root)), root)


def check_cells(
    ds: Dataset,
    cells: pa.ChunkedArray,
    decode: bool,
    num_proc: int | None,
    on_progress: Callable[[int, int], None],
) -> list[Status]:
    """The status of each row, whose media are in `cells`."""
    listing, stated = Listing(), read_stated(ds)
    step = max(1, len(cells)) if has_only_paths(cells) else ROWS_WITH_BYTES
    found: list[Status] = []
    for first in range(0, len(cells), step):
        rows = read_clips(cells.slice(first, step))
        statuses = [[find_file(media, listing) for media in clips] for clips in rows]
        if decode:
            decode_present(
                rows,
                statuses,
                stated[first : first + step],
                num_proc,
                lambda done, first=first: on_progress(first + done, len(cells)),  # type: ignore[misc]
            )
        found += map(pick_worst, statuses)
    return found


def has_only_paths(cells: pa.ChunkedArray) -> bool:
    """Whether cells are structs of a path without bytes, of which millions fit into memory."""
    kind = cells.type
    if not pa.types.is_struct(kind) or {field.name for field in kind} != {"bytes", "path"}:
        return False
    data = (pc.struct_field(chunk, "bytes") for chunk in cells.chunks)
    return all(one.null_count == len(one) for one in data)


def read_clips(cells: pa.ChunkedArray) -> Sequence[Sequence[Media]]:
    """The clips of each row."""
    if not has_only_paths(cells):
        return parse_cells(read_cells(cells))
    paths = (path for chunk in cells.chunks for path in select_paths(chunk).to_pylist())
    return [() if path is None else (FileMedia(path),) for path in paths]


def decode_present(
    rows: Sequence[Sequence[Media]],
    statuses: list[list[Status]],
    stated: Sequence[float | None],
    num_proc: int | None,
    on_progress: Callable[[int], None],
) -> None:
    """Replace the status of each clip that is there by what decoding it gives."""
    places = [(r, c) for r, row in enumerate(statuses) for c, one in enumerate(row) if one.status == OK]
    absent = max(0, len(rows) - len(places))
    clips = [rows[row][clip] for row, clip in places]
    decoded = decode_clips(clips, num_proc, lambda done: on_progress(min(absent + done, len(rows))))
    for (row, clip), result in zip(places, decoded, strict=True):
        is_alone = len(rows[row]) == 1  # the index states the length of one clip
        statuses[row][clip] = judge(result, stated[row] if is_alone else None)


def find_file(media: Media, listing: Listing) -> Status:
    if isinstance(media, UnreadableMedia):
        return Status(UNREADABLE, reason=media.reason.rstrip("."))
    if isinstance(media, FileMedia) and not is_url(media.path):
        return listing.find(media.path)
    return FOUND  # bytes and samples are here, and a URL only tells when it is read


def read_stated(ds: Dataset) -> Sequence[float | None]:
    """For each row how long its clip is by the index."""
    if not {"bos", "eos"} <= set(ds.column_names):
        return [None] * len(ds)
    table = ds.select_columns(["bos", "eos"]).with_format("arrow")[:]
    stated: list[float | None] = pc.subtract(
        table["eos"].cast(pa.float64()), table["bos"].cast(pa.float64())
    ).to_pylist()
    return stated


def judge(decoded: Decoded, stated: float | None) -> Status:
    if decoded.failure is not None:
        return Status(UNREADABLE, reason=decoded.failure)
    if decoded.seconds is None:
        return Status(NO_SOUND, reason=NO_STREAM)
    if stated is not None and stated - decoded.seconds > TOLERANCE_SECONDS + ROUNDING_SECONDS:
        return Status(SHORT, decoded.seconds, TOO_SHORT)
    return Status(OK, decoded.seconds)


def pick_worst(clips: Iterable[Status]) -> Status:
    return min(clips, key=lambda one: STATUSES.index(one.status), default=Status(MISSING, reason=NOT_NAMED))


def add_statuses(ds: Dataset, found: Sequence[Status]) -> Dataset:
    """The rows with the three columns; those of an earlier check are replaced."""
    present = [name for name in ADDED if name in ds.column_names]
    if present and len(present) < len(ADDED):
        raise ColumnError(
            f"The rows have a column {present[0]!r} already, which the check would replace: rename it."
        )
    columns = {name: [getattr(one, name) for one in found] for name in ADDED}
    added = Dataset.from_dict(columns, features=ADDED)
    return concatenate_datasets([ds.remove_columns(present), added], axis=1)


@dataclass(frozen=True)
class CheckSummary:
    """Counts of a check."""

    rows: int
    counts: dict[str, int]  # by status, those that occur
    reasons: list[tuple[str, str, int]]  # status, reason and rows, the most frequent first

    @property
    def failed(self) -> int:
        return self.rows - self.counts.get(OK, 0)


def summarize_check(checked: Dataset) -> CheckSummary:
    """Counts and reasons of rows that `check_index` has checked.

    >>> summarize_check(Dataset.from_dict({"status": ["ok", "missing"], "reason": [None, NO_FILE]})).counts
    {'missing': 1, 'ok': 1}
    """
    pairs = Counter(zip(checked["status"], checked["reason"], strict=True))
    counts: Counter[str] = Counter()
    for (status, _), rows in pairs.items():
        counts[status] += rows
    reasons = [(status, reason, rows) for (status, reason), rows in pairs.most_common() if reason is not None]
    return CheckSummary(len(checked), {name: counts[name] for name in STATUSES if counts[name]}, reasons)
