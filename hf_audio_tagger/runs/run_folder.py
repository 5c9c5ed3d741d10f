"""The paths of a run's shards and state for each form of DEST.

| DEST | shards | state |
|---|---|---|
| a folder | `DEST/data/` | `DEST/.hf_audio_tagger/` |
| `name.jsonl`, `name.parquet` | in the state | `.name.jsonl.hf_audio_tagger/` beside it |
| `hf://datasets/user/name[@branch]` | in the state | in this package's cache folder |
| `s3://bucket/run`, `s3://bucket/name.parquet` | as of a folder and a file | beside them, in the store |

The state is `run.json` (settings and source), `shards.jsonl` and `written.json` (to detect changes of the
shards and of a file as DEST), `lock`, `failures.jsonl` and `log.txt`. It is kept after the run, for
--retry-failed, for a larger --limit, and to detect that nothing is left to do. It may be removed by hand.
A command that does a share of the run has files of its own, such as `lock-2-of-8`, since lines that several
hosts append to one file of a shared disk may be lost.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ..disk import find_system_folder
from ..errors import SettingsError
from ..models.weights import cache_folder
from ..results.run_files import FILES, find_shard_folder, find_shards, find_state, shard_index
from ..stores import Place, StorePath, is_store
from ..text import hide_secrets
from .share import Share

HUB_DEST = re.compile(r"hf://datasets/(?P<repo>[^/@]+/[^/@]+?)(?:@(?P<revision>.+?))?/?")
ADVICE = "Choose another DEST, or remove it."
FORMS = (
    "a folder or a .jsonl or .parquet file, on a disk or in a store (s3://bucket/run), or "
    "hf://datasets/user/name"
)


@dataclass
class RunFolder:
    """DEST and the files that belong to it."""

    dest: str
    file: Place | None  # DEST, if it is a file
    repo_id: str | None  # if DEST is on the Hub
    revision: str | None
    shards: Place
    state: Place
    share: Share | None = None  # of this command, where several do the run

    def __post_init__(self) -> None:
        self.record = self.state / "run.json"
        self.written = self.state / "written.json"
        self.finished = self.state / "finished.json"
        self.lock = self.state / self.add_suffix("lock")
        self.ledger = self.state / (self.add_suffix("shards") + ".jsonl")
        self.failures = self.state / (self.add_suffix("failures") + ".jsonl")
        logs = find_cached_state(self.dest) if isinstance(self.state, StorePath) else self.state
        self.log = logs / (self.add_suffix("log") + ".txt")  # on this disk: lines are appended to it

    def add_suffix(self, name: str) -> str:
        """The name of a file of this command's own, where several do the run."""
        return name + (self.share.suffix if self.share else "")

    @property
    def keeps_bytes(self) -> bool:
        """False for JSON Lines, which hold paths instead of a file's bytes."""
        return self.file is None or self.file.suffix != ".jsonl"

    @property
    def local_state(self) -> Path:
        """The state of a DEST that must be on a disk."""
        assert isinstance(self.state, Path)
        return self.state

    def has_shard(self, index: int) -> bool:
        """Whether a shard is one of this command's."""
        return self.share is None or self.share.has(index)

    def find_shards(self, count: int | None = None) -> dict[int, Place]:
        """This command's shards that are there, by index; of the first `count` of the run at most."""
        found = find_shards(self.shards, count)
        return {index: path for index, path in found.items() if self.has_shard(index)}

    def is_ours(self, name: str) -> bool:
        """Whether no other command writes a file of this name in DEST's folders."""
        index = shard_index(Path(name))
        own = {path.name for path in (self.ledger, self.failures, self.log)}
        return self.share is None or name in own or (index is not None and self.share.has(index))


def folder_for(dest: str | os.PathLike[str], share: Share | None = None) -> RunFolder:
    """The paths of a run for a folder, a file, a store or the Hub as DEST; reads and writes no file.

    >>> folder_for("out/tags.jsonl").state.name
    '.tags.jsonl.hf_audio_tagger'
    """
    name = os.fspath(dest)
    if name.startswith("hf://"):
        return folder_on_hub(name, share)
    if "://" in name and not is_store(name):
        raise SettingsError(f"{hide_secrets(name)}: results cannot be written there. DEST must be {FORMS}.")
    path: Place = StorePath(name.rstrip("/")) if is_store(name) else Path(name).expanduser()
    file = path if path.suffix in FILES else None
    is_other = isinstance(path, Path) and path.is_file()
    if file is None and (path.suffix in (".json", ".csv", ".arrow", ".txt") or is_other):
        raise SettingsError(f"{name}: DEST must be {FORMS}.")
    return RunFolder(name, file, None, None, find_shard_folder(path), find_state(path), share)


def folder_on_hub(name: str, share: Share | None) -> RunFolder:
    match = HUB_DEST.fullmatch(name)
    if match is None:
        raise SettingsError(f"{name}: DEST on the Hub must be hf://datasets/user/name or .../name@branch.")
    if share is not None:
        raise SettingsError(
            f"{name}: with shard=, DEST must be a folder or file that all commands see; push= sends it to "
            "the Hub."
        )
    state = find_cached_state(name)
    return RunFolder(name, None, match["repo"], match["revision"], state / "data", state)


def find_cached_state(name: str) -> Path:
    """The folder on this disk for what belongs to a DEST that is not."""
    scheme, _, path = name.partition("://")
    path = path.removeprefix("datasets/") if scheme == "hf" else f"{scheme}/{path}"
    return cache_folder() / "runs" / path.strip("/").replace("/", "--")


def check_places(folder: RunFolder) -> None:
    """Refuse links and folders in the place of files, broken links in the place of folders, and devices."""
    assert isinstance(folder.state, Path)
    assert isinstance(folder.file, Path | None)
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
    files = [folder.lock, folder.record, folder.ledger, folder.written, folder.failures, folder.log]
    for path in map(Path, map(str, files if folder.file is None else [folder.file, *files])):
        if path.is_symlink() or (path.exists() and not path.is_file()):
            what = f"a link (to {os.readlink(path)})" if path.is_symlink() else describe_kind(path)
            raise SettingsError(f"{path} is {what}, and must be a file or not exist. {ADVICE}")


def describe_kind(path: Path) -> str:
    if path.is_dir():
        return "a folder"
    return "a file" if path.is_file() else "a device or a pipe"
