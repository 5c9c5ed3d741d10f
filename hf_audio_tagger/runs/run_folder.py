"""Where a run keeps its shards and what it must remember: DEST, told apart by its form.

| DEST | shards | state |
|---|---|---|
| a folder | `DEST/data/` | `DEST/.hf_audio_tagger/` |
| `name.jsonl`, `name.parquet` | in the state | `.name.jsonl.hf_audio_tagger/` beside it |
| `hf://datasets/user/name[@branch]` | in the state | in this package's cache folder |

The state holds `run.json` (what was asked for), `shards.jsonl` and `written.json` (by which damage to the
shards and to a file as DEST is seen), `lock`, `failures.jsonl` and `log.txt`. It stays when the run is
through, for --retry-failed, for a larger --limit, and to know that nothing is left to do; who wants none
of that may remove it.
"""

import json
import os
import re
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from .._version import __version__
from ..digests import digest_values
from ..errors import RunError, SettingsError
from ..models.weights import cache_folder
from ..settings import shown_settings
from ..sources.data_files import find_data_files
from ..sources.source import Source
from ..tagger import Tagger
from .plain_rows import write_lines
from .shards import (
    DAMAGED_SUFFIX,
    read_batches,
    read_groups,
    remove_leftovers,
    replace_file,
    shard_paths,
    sync,
    temporary_path,
    write_file,
)
from .typed_json import read_as
from .written import is_result_of, remember_result

FORMAT = 1  # of this folder
ADVICE = "Choose another DEST, or remove it."
LOCK_WAIT_SECONDS = 3.0  # workers of a run that was just killed may take a moment to go
BATCH_ROWS = 256  # read at once when shards are joined
HUB_DEST = re.compile(r"hf://datasets/(?P<repo>[^/@]+/[^/@]+?)(?:@(?P<revision>.+?))?/?")


@dataclass(frozen=True)
class Record:
    """What a run was begun with: one that goes on must be asked for the same."""

    settings: dict[str, Any]
    fingerprint: str  # of the settings
    source: str
    source_fingerprint: str
    source_rows: int | None
    shard_rows: int
    limit: int | None
    package_version: str = __version__
    format: int = FORMAT


@dataclass(frozen=True)
class RunFolder:
    """DEST and the places that belong to it."""

    dest: str
    file: Path | None  # the one file that DEST is, if it is one
    repo_id: str | None  # or the Hub dataset
    revision: str | None
    shards: Path
    state: Path

    @property
    def failures(self) -> Path:
        return self.state / "failures.jsonl"

    @property
    def log(self) -> Path:
        return self.state / "log.txt"

    @property
    def record(self) -> Path:
        return self.state / "run.json"

    @property
    def ledger(self) -> Path:
        return self.state / "shards.jsonl"

    @property
    def written(self) -> Path:
        return self.state / "written.json"

    @property
    def keeps_bytes(self) -> bool:
        """False for JSON Lines, which hold paths and never a file's bytes."""
        return self.file is None or self.file.suffix != ".jsonl"


def folder_for(dest: str | os.PathLike[str]) -> RunFolder:
    """Tell a folder, a file and the Hub apart; nothing is touched.

    >>> folder_for("out/tags.jsonl").state.name
    '.tags.jsonl.hf_audio_tagger'
    """
    name = os.fspath(dest)
    if name.startswith("hf://"):
        match = HUB_DEST.fullmatch(name)
        if match is None:
            raise SettingsError(f"{name}: on the Hub, DEST is hf://datasets/user/name or .../name@branch.")
        key = name.removeprefix("hf://datasets/").strip("/").replace("/", "--")
        state = cache_folder() / "runs" / key
        return RunFolder(name, None, match["repo"], match["revision"], state / "data", state)
    path = Path(name).expanduser()
    if path.suffix in (".jsonl", ".parquet"):
        state = path.with_name(f".{path.name}.hf_audio_tagger")
        return RunFolder(name, path, None, None, state / "data", state)
    if path.suffix in (".json", ".csv", ".arrow", ".txt") or path.is_file():
        raise SettingsError(
            f"{name}: DEST is a folder, a .jsonl or .parquet file, or hf://datasets/user/name."
        )
    return RunFolder(name, None, None, None, path / "data", path / ".hf_audio_tagger")


def settings_of(tagger: Tagger) -> dict[str, Any]:
    """The settings that can change a result, for people to read, without the token or a URL's query.

    An "auto" dtype is told by what it comes to.
    """
    named = shown_settings(tagger)
    if tagger.dtype == "auto":
        named["dtype"] = tagger.spec.resolve_dtype(tagger.device)
    return named


def fingerprint_of(tagger: Tagger) -> str:
    """The identity by which `map` caches too: local models count by content, not by place."""
    return digest_values(tagger.identity())


@contextmanager
def locked(folder: RunFolder) -> Iterator[None]:
    """Hold DEST for one run. The lock goes with the process that holds it, however that ends."""
    check_places(folder)
    folder.state.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder.state / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        deadline = time.monotonic() + LOCK_WAIT_SECONDS
        while not try_lock(handle):
            if time.monotonic() > deadline:
                raise SettingsError(
                    f"{folder.dest}: another run is at work there ({holder(handle)}). Wait for it, or choose "
                    "another DEST."
                )
            time.sleep(0.1)
        os.ftruncate(handle, 1)  # the first byte is what Windows locks
        os.lseek(handle, 1, os.SEEK_SET)
        os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
    finally:
        os.close(handle)  # never unlocked by hand: forked workers share it and keep it until they end


def check_places(folder: RunFolder) -> None:
    """Nothing is written through a link to a file, in a folder's place, or behind a link to nothing."""
    if folder.file is not None:
        refuse_no_file(folder.file, "DEST must be a file or not be there; remove it, or choose another DEST.")
    place = folder.state.parent if folder.file is None else folder.state
    for one in (place, folder.state):
        if one.is_symlink() and not one.exists():
            raise SettingsError(f"{one} is a link to {os.readlink(one)}, which is not there. {ADVICE}")
        if one.exists() and not one.is_dir():
            raise SettingsError(f"{one} must be a folder, and is none. {ADVICE}")
    for one in (
        folder.state / "lock",
        folder.record,
        folder.ledger,
        folder.written,
        folder.failures,
        folder.log,
    ):
        refuse_no_file(one, "It must be a file or not be there; remove it.")


def refuse_no_file(path: Path, advice: str) -> None:
    if path.is_symlink():
        raise SettingsError(f"{path} is a link (to {os.readlink(path)}). {advice}")
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "no regular file"
        raise SettingsError(f"{path} is {what}. {advice}")


def try_lock(handle: int) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            os.lseek(handle, 0, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def holder(handle: int) -> str:
    os.lseek(handle, 1, os.SEEK_SET)
    return os.read(handle, 200).decode(errors="replace") or "another process"


def begin(folder: RunFolder, wanted: Record, overwrite: bool) -> Record:
    """Make DEST ready for a run: begin anew, or go on with what is there if it is the same run.

    Gives back what holds from here on: a run that goes on keeps its shards' size.
    """
    refuse_source(folder, wanted.source)
    if overwrite:
        clear(folder)
    remove_leftovers(folder.shards)
    remove_leftovers(folder.state)
    there = read_record(folder)
    shards = shard_paths(folder.shards)
    if there is None or not shards:
        refuse_foreign(folder, shards)
        folder.shards.mkdir(parents=True, exist_ok=True)
        record = wanted
    else:
        refuse_other(folder, there, wanted)
        record = replace(there, limit=wanted.limit)
    if record != there:
        write_file(folder.record, json.dumps(asdict(record), indent=1).encode())
    return record


def read_record(folder: RunFolder) -> Record | None:
    try:
        record = read_as(Record, folder.record.read_bytes())
        if any(
            count is not None and count < 1 for count in (record.source_rows, record.shard_rows, record.limit)
        ):
            raise ValueError("a count of rows is below 1")
        return record
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise RunError(
            f"{folder.record} is damaged, or was written by another version; --overwrite starts anew."
        ) from error


def clear(folder: RunFolder) -> None:
    """Remove what runs have made of DEST, and nothing else that lies there."""
    for path in [*shard_paths(folder.shards), *folder.shards.glob(f".shard-*{DAMAGED_SUFFIX}")]:
        path.unlink()
    if folder.file is not None:
        folder.file.unlink(missing_ok=True)
    for path in (folder.failures, folder.record, folder.ledger, folder.written):
        path.unlink(missing_ok=True)


def refuse_source(folder: RunFolder, name: str) -> None:
    """A run does not write over what it reads, nor read what it writes."""
    from ..sources.media_folder import METADATA_FILES

    source = Path(name).expanduser()
    if folder.file is not None:
        is_read = any(is_same(folder.file, file) for file in find_data_files(source)) or (
            folder.file.name in METADATA_FILES and source.resolve() in folder.file.resolve().parents
        )
    else:
        shards = folder.shards.resolve()
        is_read = is_same(source, folder.shards.parent) or any(
            shards in file.resolve().parents for file in find_data_files(source)
        )
    if is_read:
        raise SettingsError(f"{folder.dest} is part of the source {name}; choose another DEST.")


def is_same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


def refuse_foreign(folder: RunFolder, shards: list[Path]) -> None:
    """Nothing is written over, or beside, what no run of ours has made."""
    if folder.file is not None and folder.file.exists():
        raise SettingsError(f"{folder.dest} exists, and no run that could go on. --overwrite replaces it.")
    foreign = [path for path in folder.shards.glob("*") if not path.name.startswith(".")]
    if shards:
        raise SettingsError(
            f"{folder.shards} holds shards of a run whose record is gone. --overwrite starts anew."
        )
    if foreign:
        raise SettingsError(
            f"{folder.shards} holds other files ({foreign[0].name}, ...); choose another DEST."
        )


def refuse_other(folder: RunFolder, there: Record, wanted: Record) -> None:
    """A result is of one source and one set of settings."""
    advice = "--overwrite starts anew (overwrite=True), another DEST keeps both."
    if there.fingerprint != wanted.fingerprint:
        raise SettingsError(
            f"{folder.dest} was begun with other settings: "
            f"{differences(there.settings, wanted.settings)}. {advice}"
        )
    if there.source_fingerprint != wanted.source_fingerprint:
        rows = {True: "", False: f" It had {there.source_rows} rows, now {wanted.source_rows}."}
        raise SettingsError(
            f"{folder.dest} was begun with another source, or {wanted.source} has changed since."
            f"{rows[there.source_rows == wanted.source_rows]} {advice}"
        )
    if wanted.limit is not None and (there.limit is None or wanted.limit < there.limit):
        before = "without a limit" if there.limit is None else f"with --limit {there.limit}"
        raise SettingsError(f"{folder.dest} was begun {before}; a smaller one would take rows away. {advice}")


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    told = [
        f"{name} was {before.get(name)!r}, now {now.get(name)!r}"
        for name in now
        if before.get(name) != now.get(name)
    ]
    return "; ".join(told) or "the model's files, or this package's version of the algorithms, are others"


def record_of(source: Source, tagger: Tagger, shard_rows: int, limit: int | None) -> Record:
    """What is asked for, as it is remembered."""
    return Record(
        settings_of(tagger),
        fingerprint_of(tagger),
        source.name,
        source.fingerprint,
        source.row_count,
        shard_rows,
        limit,
    )


def is_joined(folder: RunFolder) -> bool:
    """True where no file is to be made of the shards, or the one there stands as it was made of them."""
    paths = shard_paths(folder.shards)
    return folder.file is None or not paths or is_result_of(folder.file, paths, folder.written)


def join_shards(folder: RunFolder) -> None:
    """Make the one file that DEST is of all shards, in one step."""
    file = folder.file
    assert file is not None
    paths = shard_paths(folder.shards)
    temporary = temporary_path(folder.state / file.name)
    try:
        with open(temporary, "wb") as output:
            if file.suffix == ".jsonl":
                for path in paths:
                    for table in read_batches(path, BATCH_ROWS):
                        write_lines(output, table)
            else:
                schema = pq.read_schema(paths[0])
                with pq.ParquetWriter(output, schema, write_page_checksum=True) as writer:
                    for path in paths:
                        for table in read_groups(path):
                            writer.write_table(table)
            sync(output)
        replace_file(temporary, file)
        remember_result(file, paths, folder.written)
    finally:
        temporary.unlink(missing_ok=True)
