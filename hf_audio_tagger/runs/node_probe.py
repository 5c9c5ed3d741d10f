"""Whether a run's jobs can be done on another machine of a cluster: asked there before any clip is scored."""

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..atomic_files import temporary_path
from ..digests import digest_values
from ..disk import describe_fullest, find_mount
from ..sources.columns import find_media_column
from ..sources.source import Source
from ..sources.tar_shards import TarSource
from ..stores import Place, StoreError
from ..tagger import Tagger
from ..text import one_line
from .stamps import MISSING, make_stamp, make_stamps

FREE_BYTES = 64 << 20  # that a disk must have left


@dataclass(frozen=True, eq=False)
class NodeProbe:
    """Compares another machine with this one. Called there, it returns what is wrong, a sentence each."""

    source: Source
    tagger: Tagger
    fingerprint: str  # of the tagger here
    folder: Place  # of DEST's state
    stamps: tuple[bytes, ...]  # of some of the source's files, as they are here
    mark: Place | None = None  # a file in DEST with a text that nothing else has
    text: str = ""

    def __call__(self) -> list[str]:
        checks = (self.check_model, self.check_source, self.check_folder, self.check_disks)
        return [problem for check in checks if (problem := check())]

    def check_model(self) -> str | None:
        try:
            replace(self.tagger, device=None).check_machine()
            fingerprint = digest_values(self.tagger.identity())
        except Exception as error:
            return f"the model {self.tagger.model!r} cannot be used there ({one_line(error)})"
        if fingerprint != self.fingerprint:
            return f"its files of the model {self.tagger.model!r} are not those of this machine"
        return None

    def check_source(self) -> str | None:
        try:
            names = name_samples(self.source)
            stamps = [*read_stamps(self.source, self.tagger)]
        except Exception as error:
            return f"the source {self.source.name} cannot be read there ({one_line(error)})"
        for name, here, there in zip(names, self.stamps, stamps, strict=True):
            if there == MISSING != here:
                return f"the source {self.source.name} cannot be read there ({name}: no such file)"
            if there != here:
                return f"the source {self.source.name} has other files there ({name})"
        return None

    def check_folder(self) -> str | None:
        try:
            if self.mark is not None and self.mark.read_bytes() != self.text.encode():
                return f"its folder {self.folder} is not the one of this machine"
            written = self.folder / temporary_path(Path("node")).name
            written.write_bytes(self.text.encode())
            written.unlink()
        except FileNotFoundError:
            return f"its folder {self.folder} is not the one of this machine; all nodes must share it"
        except (OSError, StoreError) as error:
            return f"it cannot write to {self.folder} ({one_line(error)})"
        return None

    def check_disks(self) -> str | None:
        for path in (self.folder, Path(tempfile.gettempdir())):
            if isinstance(path, Path) and shutil.disk_usage(find_mount(path)).free < FREE_BYTES:
                return f"there is no room there: {describe_fullest([path])}"
        return None


def make_probe(source: Source, tagger: Tagger, folder: Place) -> NodeProbe:
    """A probe that compares with this machine."""
    folder = folder.absolute() if isinstance(folder, Path) else folder
    stamps = tuple(read_stamps(source, tagger))
    return NodeProbe(source, tagger, digest_values(tagger.identity()), folder, stamps)


def choose_samples(count: int) -> list[int]:
    return sorted({0, (count - 1) // 2, count - 1})


def name_samples(source: Source) -> list[str]:
    if isinstance(source, TarSource):
        return [source.tars[index].path for index in choose_samples(len(source.tars))]
    return [f"row {row:,}" for row in choose_samples(source.row_count or 1)]


def read_stamps(source: Source, tagger: Tagger) -> Iterator[bytes]:
    """The stamps of the files that some rows or tars of the source name, as they are on this machine."""
    if isinstance(source, TarSource):
        for index in choose_samples(len(source.tars)):
            yield make_stamp(source.tars[index].path, ())
        return
    column = find_media_column(source, tagger.column)
    for row in choose_samples(source.row_count or 1):
        yield from make_stamps(source, source.rows(row, row + 1)[column], row)


@contextmanager
def marked(probe: NodeProbe | None) -> Iterator[NodeProbe | None]:
    """The probe with a mark in DEST's state, which is there while the block lasts."""
    if probe is None:
        yield None
        return
    mark, text = probe.folder / temporary_path(Path("nodes")).name, secrets.token_hex(16)
    mark.write_bytes(text.encode())
    try:
        yield replace(probe, mark=mark, text=text)
    finally:
        mark.unlink(missing_ok=True)


def prepare_tagger(tagger: Tagger, is_on_cluster: bool) -> Tagger:
    """Check that the tagger can be used, here or on nodes that may have a device which this machine lacks.

    On a cluster, `dtype="auto"` is what it is here, so that all nodes give the same results.
    """
    if not is_on_cluster:
        tagger.check_machine()
        return tagger
    if tagger.dtype == "auto":
        settings: dict[str, Any] = {"dtype": tagger.spec.resolve_dtype(tagger.device)}
        tagger = replace(tagger, **settings)
    replace(tagger, device=None).check_machine()
    return tagger
