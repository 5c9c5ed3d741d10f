"""What reaches the disk, in which order, and what is said when the disk refuses it."""

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from small_runs import SHARD, TAGGER, write_clips, write_embedded

from hf_audio_tagger import atomic_files
from hf_audio_tagger.errors import RunError
from hf_audio_tagger.runs import tag_dataset

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("one_thread_everywhere")]


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    return write_embedded(write_clips(folder / "clips"), folder / "rows.parquet")


@pytest.mark.parametrize("name", ["out", "out.jsonl", "out.parquet"])
def test_all_that_is_put_in_place_is_synced_first_and_its_folder_behind_it(
    embedded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """After a power cut a file is there whole or not at all: no rename may be seen before its bytes."""
    told: list[tuple[str, Any]] = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(handle: int) -> None:
        info = os.fstat(handle)
        told.append(("sync", (info.st_ino, None if stat.S_ISDIR(info.st_mode) else info.st_size)))
        real_fsync(handle)

    def replace(source: Any, target: Any) -> None:
        info, folder = os.stat(source), os.stat(Path(target).parent)
        told.append(("replace", (info.st_ino, info.st_size, Path(target).name, folder.st_ino)))
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    tag_dataset(embedded, tmp_path / name, TAGGER, shard_rows=SHARD)
    replaced = [(place, values) for place, (what, values) in enumerate(told) if what == "replace"]
    names = {values[2] for _, values in replaced}
    assert {"run.json", "failures.jsonl", *(f"shard-{number:05d}.parquet" for number in range(3))} <= names
    assert name == "out" or {name, "written.json"} <= names
    for place, (file, size, target, folder) in replaced:
        assert ("sync", (file, size)) in told[:place], f"{target} was put in place before it was synced"
        assert told[place + 1] == ("sync", (folder, None)), f"the folder of {target} was not synced"


def test_a_disk_that_cannot_sync_keeps_nothing_of_the_shard(
    embedded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    tag_dataset(embedded, tmp_path / "out", TAGGER, shard_rows=SHARD, limit=2)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out" / "data").iterdir()}
    with monkeypatch.context() as patch:
        patch.setattr(atomic_files, "sync", failing)
        with pytest.raises(RunError, match="Input/output error"):
            tag_dataset(embedded, tmp_path / "out", TAGGER)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out" / "data").iterdir()} == before


def test_a_place_that_cannot_be_written_is_named(embedded: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(RunError, match=r"^Reading or writing failed \(Not a directory: .*file"):
        tag_dataset(embedded, tmp_path / "file" / "out", TAGGER, limit=1)
