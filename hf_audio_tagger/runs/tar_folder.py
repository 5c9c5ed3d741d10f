"""The folder of a run whose results lie beside their tars, each as NAME.tar.tags.parquet."""

import os
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..cells import is_url
from ..errors import SettingsError
from ..results.run_files import BESIDE
from ..sources.tar_shards import TarSource
from ..stores import Place, StorePath, is_store
from ..stores.systems import read_scheme
from .run_folder import RunFolder
from .share import Share


@dataclass
class BesideFolder(RunFolder):
    """The state lies in the folder of all tars, or in the one above several folders."""

    results: Sequence[Place] = ()  # of each tar

    def find_shards(self, count: int | None = None) -> dict[int, Place]:
        found = enumerate(self.results[:count])
        return {index: path for index, path in found if self.has_shard(index) and path.exists()}

    def clear(self, overwrite: bool) -> None:
        """Remove temporary files that killed runs have left, and results if they do not count any more."""
        own = {path for index, path in enumerate(self.results) if self.has_shard(index)}
        for folder in {path.parent for path in own if isinstance(path, Path)}:
            for temporary in folder.glob(f".*{BESIDE}.*.tmp"):
                name = temporary.name[1:].partition(BESIDE)[0] + BESIDE
                if folder / name in own:
                    temporary.unlink(missing_ok=True)
        for path in own if overwrite else ():
            path.unlink(missing_ok=True)


def find_top(folders: Sequence[str]) -> Place:
    """The folder that all folders are in, on a disk or in a store."""
    if not is_store(folders[0]):
        return Path(os.path.commonpath(folders))
    scheme, _, _ = folders[0].partition("://")
    return StorePath(f"{scheme}://{posixpath.commonpath([one.partition('://')[2] for one in folders])}")


def folder_beside(source: TarSource, share: Share | None) -> BesideFolder:
    """The folder of results beside the tars of a source."""
    paths = [tar.path for tar in source.tars]
    are_stored = [is_store(path) for path in paths]
    if any(is_url(path) and not is_stored for path, is_stored in zip(paths, are_stored, strict=True)):
        raise SettingsError(
            "beside=True takes tars on this disk or in a store (s3://); for those on a web server or the "
            "Hub, pass a DEST."
        )
    if len(set(map(read_scheme, paths))) > 1:
        raise SettingsError("beside=True takes tars of one disk or one store.")
    tars: list[Place] = [StorePath(path) if is_store(path) else Path(path) for path in paths]
    results = [path.with_name(path.name + BESIDE) for path in tars]
    top = find_top([str(path.parent) for path in tars])
    state = top / ".hf_audio_tagger"
    return BesideFolder(f"{top} (*{BESIDE})", None, None, None, state / "data", state, share, results)
