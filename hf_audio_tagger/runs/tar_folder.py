"""The folder of a run whose results lie beside their tars, each as NAME.tar.tags.parquet."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..cells import is_url
from ..errors import SettingsError
from ..sources.tar_shards import TarSource
from ..stores import Place
from .run_folder import RunFolder
from .share import Share

BESIDE = ".tags.parquet"  # after the tar's name


@dataclass
class BesideFolder(RunFolder):
    """The state lies in the folder of all tars, or in the one above several folders."""

    results: Sequence[Path] = ()  # of each tar

    def find_shards(self, count: int | None = None) -> dict[int, Place]:
        found = enumerate(self.results[:count])
        return {index: path for index, path in found if self.has_shard(index) and path.exists()}

    def clear(self, overwrite: bool) -> None:
        """Remove temporary files that killed runs have left, and results if they do not count any more."""
        own = {path for index, path in enumerate(self.results) if self.has_shard(index)}
        for folder in {path.parent for path in own}:
            for temporary in folder.glob(f".*{BESIDE}.*.tmp"):
                name = temporary.name[1:].partition(BESIDE)[0] + BESIDE
                if folder / name in own:
                    temporary.unlink(missing_ok=True)
        for path in own if overwrite else ():
            path.unlink(missing_ok=True)


def folder_beside(source: TarSource, share: Share | None) -> BesideFolder:
    """The folder of results beside the tars of a source."""
    if any(is_url(tar.path) for tar in source.tars):
        raise SettingsError("beside=True takes tars on this disk; for those behind URLs, pass a DEST.")
    tars = [Path(tar.path).expanduser() for tar in source.tars]
    results = [path.with_name(path.name + BESIDE) for path in tars]
    top = Path(os.path.commonpath([path.absolute().parent for path in tars]))
    state = top / ".hf_audio_tagger"
    return BesideFolder(f"{top} (*{BESIDE})", None, None, None, state / "data", state, share, results)
