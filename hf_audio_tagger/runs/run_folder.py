"""Where a run keeps its shards and its state, by the form of DEST.

| DEST | shards | state |
|---|---|---|
| a folder | `DEST/data/` | `DEST/.hf_audio_tagger/` |
| `name.jsonl`, `name.parquet` | in the state | `.name.jsonl.hf_audio_tagger/` beside it |
| `hf://datasets/user/name[@branch]` | in the state | in this package's cache folder |

The state is `run.json` (what was asked for), `shards.jsonl` and `written.json` (by which damage to the shards
and to a file as DEST is noticed), `lock`, `failures.jsonl` and `log.txt`. It stays when the run is done, for
--retry-failed, for a larger --limit, and to know that nothing is left to do. It may be removed by hand.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import SettingsError
from ..models.weights import cache_folder

HUB_DEST = re.compile(r"hf://datasets/(?P<repo>[^/@]+/[^/@]+?)(?:@(?P<revision>.+?))?/?")
FORMS = "a folder, a .jsonl or .parquet file, or hf://datasets/user/name"


@dataclass(frozen=True)
class RunFolder:
    """DEST and the files that belong to it."""

    dest: str
    file: Path | None  # DEST, where it is a file
    repo_id: str | None  # where it is on the Hub
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
        """False for JSON Lines, which hold paths instead of a file's bytes."""
        return self.file is None or self.file.suffix != ".jsonl"


def folder_for(dest: str | os.PathLike[str]) -> RunFolder:
    """The places of a run for a folder, a file or the Hub as DEST; nothing is read or written.

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
        key = name.removeprefix("hf://datasets/").strip("/").replace("/", "--")
        state = cache_folder() / "runs" / key
        return RunFolder(name, None, match["repo"], match["revision"], state / "data", state)
    path = Path(name).expanduser()
    if path.suffix in (".jsonl", ".parquet"):
        state = path.with_name(f".{path.name}.hf_audio_tagger")
        return RunFolder(name, path, None, None, state / "data", state)
    if path.suffix in (".json", ".csv", ".arrow", ".txt") or path.is_file():
        raise SettingsError(f"{name}: DEST must be {FORMS}.")
    return RunFolder(name, None, None, None, path / "data", path / ".hf_audio_tagger")
