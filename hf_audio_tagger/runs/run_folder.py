"""The paths of a run's shards and state for each form of DEST, and the lock of DEST.

| DEST | shards | state |
|---|---|---|
| a folder | `DEST/data/` | `DEST/.hf_audio_tagger/` |
| `name.jsonl`, `name.parquet` | in the state | `.name.jsonl.hf_audio_tagger/` beside it |
| `hf://datasets/user/name[@branch]` | in the state | in this package's cache folder |

The state is `run.json` (settings and source), `shards.jsonl` and `written.json` (to detect changes of the
shards and of a file as DEST), `lock`, `failures.jsonl` and `log.txt`. It is kept after the run, for
--retry-failed, for a larger --limit, and to detect that nothing is left to do. It may be removed by hand.
"""

import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..disk import find_system_folder
from ..errors import SettingsError
from ..file_locks import try_lock
from ..models.weights import cache_folder

HUB_DEST = re.compile(r"hf://datasets/(?P<repo>[^/@]+/[^/@]+?)(?:@(?P<revision>.+?))?/?")
ADVICE = "Choose another DEST, or remove it."
LOCK_WAIT_SECONDS = 3.0  # workers of a killed run may take a moment to exit


@dataclass
class RunFolder:
    """DEST and the files that belong to it."""

    dest: str
    file: Path | None  # DEST, if it is a file
    repo_id: str | None  # if DEST is on the Hub
    revision: str | None
    shards: Path
    state: Path

    def __post_init__(self) -> None:
        self.record = self.state / "run.json"
        self.ledger = self.state / "shards.jsonl"
        self.written = self.state / "written.json"
        self.failures = self.state / "failures.jsonl"
        self.log = self.state / "log.txt"

    @property
    def keeps_bytes(self) -> bool:
        """False for JSON Lines, which hold paths instead of a file's bytes."""
        return self.file is None or self.file.suffix != ".jsonl"


def folder_for(dest: str | os.PathLike[str]) -> RunFolder:
    """The paths of a run for a folder, a file or the Hub as DEST; reads and writes no file.

    >>> folder_for("out/tags.jsonl").state.name
    '.tags.jsonl.hf_audio_tagger'
    """
    name = os.fspath(dest)
    if name.startswith("hf://"):
        match = HUB_DEST.fullmatch(name)
        if match is None:
            raise SettingsError(
                f"{name}: DEST on the Hub must be hf://datasets/user/name or .../name@branch."
            )
        state = cache_folder() / "runs" / name.removeprefix("hf://datasets/").strip("/").replace("/", "--")
        return RunFolder(name, None, match["repo"], match["revision"], state / "data", state)
    path = Path(name).expanduser()
    if path.suffix in (".jsonl", ".parquet"):
        state = path.with_name(f".{path.name}.hf_audio_tagger")
        return RunFolder(name, path, None, None, state / "data", state)
    if path.suffix in (".json", ".csv", ".arrow", ".txt") or path.is_file():
        forms = "a folder, a .jsonl or .parquet file, or hf://datasets/user/name"
        raise SettingsError(f"{name}: DEST must be {forms}.")
    return RunFolder(name, None, None, None, path / "data", path / ".hf_audio_tagger")


@contextmanager
def locked(folder: RunFolder) -> Iterator[None]:
    """Lock DEST against other runs. The lock is released when all processes that hold it have ended."""
    check_places(folder)
    folder.state.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder.state / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        deadline = time.monotonic() + LOCK_WAIT_SECONDS
        while not try_lock(handle):
            if time.monotonic() > deadline:
                os.lseek(handle, 1, os.SEEK_SET)
                holder = os.read(handle, 200).decode(errors="replace") or "another process"
                raise SettingsError(
                    f"{folder.dest}: another run is using it ({holder}). Wait for it, or choose another DEST."
                )
            time.sleep(0.1)
        os.ftruncate(handle, 1)  # Windows locks the first byte
        os.lseek(handle, 1, os.SEEK_SET)
        os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
    finally:
        os.close(handle)  # not unlocked: forked workers share the lock and keep it until they end


def check_places(folder: RunFolder) -> None:
    """Refuse links and folders in the place of files, broken links in the place of folders, and devices."""
    if folder.repo_id is None and (system := find_system_folder(folder.file or folder.state.parent)):
        raise SettingsError(
            f"{folder.dest} is in {system}, where the system shows its devices and states; no results can "
            "be kept there. Choose another DEST."
        )
    for path in (folder.state.parent, folder.state) if folder.file is None else (folder.state,):
        if path.is_symlink() and not path.exists():
            raise SettingsError(f"{path} is a link to {os.readlink(path)}, which does not exist. {ADVICE}")
        if path.exists() and not path.is_dir():
            raise SettingsError(
                f"{path} must be a folder, and is {describe_kind(path)}. Choose another DEST."
            )
    files = [folder.state / "lock", folder.record, folder.ledger, folder.written, folder.failures, folder.log]
    for path in files if folder.file is None else [folder.file, *files]:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            what = f"a link (to {os.readlink(path)})" if path.is_symlink() else describe_kind(path)
            raise SettingsError(f"{path} is {what}, and must be a file or not exist. {ADVICE}")


def describe_kind(path: Path) -> str:
    if path.is_dir():
        return "a folder"
    return "a file" if path.is_file() else "a device or a pipe"
