"""The record of a run's settings and source, and checks whether it may be resumed."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .._version import __version__
from ..checks import read_as
from ..digests import digest_values
from ..errors import RunError, SettingsError
from ..results.run_files import find_shards
from ..settings import shown_settings
from ..sources.data_files import find_data_files
from ..sources.media_folder import METADATA_FILES
from ..sources.source import Source
from ..stores import StorePath
from ..tagger import Tagger
from .files import remove_leftovers, write_file
from .locks import preparing
from .run_folder import RunFolder
from .shards import DAMAGED_SUFFIX

FORMAT = 1  # of the state
OVERWRITE_WITH_SHARE = (
    "overwrite=True with shard= would remove what the other commands have done. Remove DEST first."
)
ADVICE = "overwrite=True starts over, another DEST keeps both."


@dataclass(frozen=True)
class Record:
    """The settings and source of a run, which must be the same when it is resumed."""

    settings: dict[str, Any]
    fingerprint: str  # of the settings; local models count by content, not by path
    source: str
    source_fingerprint: str
    source_rows: int | None
    shard_rows: int
    limit: int | None
    sampled: bool = False  # the limited rows are drawn from all over, not the first
    package_version: str = __version__
    format: int = FORMAT

    @property
    def rows(self) -> int | None:
        """The rows of the whole run; None for a stream, whose length is not known."""
        if self.source_rows is None or self.limit is None:
            return self.source_rows
        return min(self.source_rows, self.limit)

    @property
    def shard_count(self) -> int | None:
        """The shards of the whole run; None for a stream."""
        return None if self.rows is None else -(-self.rows // self.shard_rows)

    def count_rows(self, index: int) -> int:
        """The rows of a whole shard; of a stream's, the most."""
        left = self.shard_rows if self.rows is None else self.rows - index * self.shard_rows
        return min(self.shard_rows, left)


def prepare_folder(folder: RunFolder, wanted: Record, overwrite: bool) -> Record:
    """Start a run in DEST, or resume the same run; any other content is an error.

    Returns the record to use: a resumed run keeps its shard size.
    """
    check_source(folder, wanted.source)
    if overwrite and folder.share is not None:
        raise SettingsError(OVERWRITE_WITH_SHARE)
    with preparing(folder) as is_alone:
        if overwrite:
            clear(folder)
        for place in (folder.shards, folder.state):
            remove_leftovers(place, (lambda name: True) if is_alone else folder.is_ours)
        before = read_record(folder)
        if before is None or (is_alone and not find_shards(folder.shards)):
            check_is_unused(folder)
            folder.shards.mkdir(parents=True, exist_ok=True)
            record = wanted
        else:
            check_same_settings(folder.dest, before.settings, before.fingerprint, wanted)
            if not is_alone and before.limit != wanted.limit:
                raise SettingsError(
                    f"{folder.dest}: the commands that run now have limit={before.limit}, this one has "
                    f"limit={wanted.limit}; all need the same."
                )
            check_same_rows(folder.dest, before, wanted)
            record = replace(before, limit=wanted.limit)
        data = json.dumps(asdict(record), indent=1).encode()
        if isinstance(folder.record, StorePath) and before is None:
            is_first = folder.record.create(data)  # another share may have begun meanwhile
        else:
            is_first = True
            if record != before:
                write_file(folder.record, data)
    return record if is_first else prepare_folder(folder, wanted, overwrite)


def read_record(folder: RunFolder) -> Record | None:
    try:
        record = read_as(Record, folder.record.read_bytes())
        counts = (record.source_rows, record.shard_rows, record.limit)
        if any(count is not None and count < 1 for count in counts):
            raise ValueError("a count of rows is below 1")
        return record
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise RunError(
            f"{folder.record} is damaged, or was written by another version; overwrite=True starts over."
        ) from error


def clear(folder: RunFolder) -> None:
    """Remove what runs have written, and no other files."""
    shards = [*find_shards(folder.shards).values(), *folder.shards.glob(f".shard-*{DAMAGED_SUFFIX}")]
    listed = [*folder.state.glob("failures*.jsonl"), *folder.state.glob("shards*.jsonl")]
    for path in (*shards, *listed, folder.file, folder.record, folder.written, folder.finished):
        if path is not None:
            path.unlink(missing_ok=True)


def check_source(folder: RunFolder, name: str) -> None:
    """Refuse a DEST that would overwrite the source, or be read as part of it."""
    if isinstance(folder.state, StorePath):
        own = [folder.file or folder.shards.parent, folder.shards, folder.shards / "*.parquet"]
        if name.rstrip("/") in map(str, own):
            raise SettingsError(f"{folder.dest} is part of the source {name}; choose another DEST.")
        return
    source = Path(name).expanduser()
    assert isinstance(folder.shards, Path)
    if isinstance(folder.file, Path):
        is_read = any(is_same_file(folder.file, file) for file in find_data_files(source)) or (
            folder.file.name in METADATA_FILES and source.resolve() in folder.file.resolve().parents
        )
    else:
        shards = folder.shards.resolve()
        is_read = is_same_file(source, folder.shards.parent) or any(
            shards in file.resolve().parents for file in find_data_files(source)
        )
    if is_read:
        raise SettingsError(f"{folder.dest} is part of the source {name}; choose another DEST.")


def is_same_file(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


def check_is_unused(folder: RunFolder) -> None:
    """Refuse to write over, or beside, files that no run of this package has written."""
    if folder.file is not None and folder.file.exists():
        raise SettingsError(
            f"{folder.dest} exists, and there is no run to resume. overwrite=True replaces it."
        )
    if find_shards(folder.shards):
        raise SettingsError(
            f"{folder.shards} holds shards of a run whose record is missing. overwrite=True starts over."
        )
    for path in folder.shards.glob("[!.]*"):
        raise SettingsError(f"{folder.shards} holds other files ({path.name}, ...); choose another DEST.")


def check_same_settings(dest: str, settings: Mapping[str, Any], fingerprint: str, wanted: Record) -> None:
    if fingerprint != wanted.fingerprint:
        changes = describe_changes(settings, wanted.settings)
        raise SettingsError(f"{dest} was started with other settings: {changes}. {ADVICE}")


def check_same_rows(dest: str, before: Record, wanted: Record) -> None:
    """Refuse to resume a run with another source, other rows of it, or fewer."""
    if before.sampled != wanted.sampled:
        started = "with" if before.sampled else "without"
        raise SettingsError(f"{dest} was started {started} a sample of the rows. {ADVICE}")
    if before.source_fingerprint != wanted.source_fingerprint:
        is_same_count = before.source_rows == wanted.source_rows
        rows = "" if is_same_count else f" It had {before.source_rows} rows, now {wanted.source_rows}."
        raise SettingsError(
            f"{dest} was started with another source, or {wanted.source} has changed since.{rows} {ADVICE}"
        )
    if wanted.limit is not None and (before.limit is None or wanted.limit < before.limit):
        name = "sample" if before.sampled else "limit"
        limit = f"without a {name}" if before.limit is None else f"with {name}={before.limit}"
        raise SettingsError(f"{dest} was started {limit}; a smaller one would remove rows. {ADVICE}")


def describe_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    changes = [
        f"{name} was {before.get(name)!r:.200}, now {value!r:.200}"
        for name, value in now.items()
        if before.get(name) != value
    ]
    return "; ".join(changes) or "the model's files, or this package's ALGORITHMS_VERSION, have changed"


def make_record(source: Source, tagger: Tagger, shard_rows: int, limit: int | None) -> Record:
    settings, fingerprint = describe_settings(tagger), digest_values(tagger.identity())
    rows = (source.fingerprint, source.row_count, shard_rows, limit)
    return Record(settings, fingerprint, source.name, *rows, sampled=source.order is not None)


def describe_settings(tagger: Tagger) -> dict[str, Any]:
    """The settings that can change a result, without secrets, and with the dtype that "auto" selects here."""
    named = shown_settings(tagger)
    if tagger.dtype == "auto":
        named["dtype"] = tagger.spec.resolve_dtype(tagger.device)
    return named
