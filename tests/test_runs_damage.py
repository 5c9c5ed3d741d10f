"""Damaged shards, files that do not belong there, links, and media that are not read without need."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, load_dataset
from small_runs import ROWS, SHARD, TAGGER, Seeing, rows_of, write_clips, write_embedded
from typer.testing import CliRunner

from hf_audio_tagger import build_tagger
from hf_audio_tagger.cli import app
from hf_audio_tagger.errors import RunError, SettingsError
from hf_audio_tagger.runs import load_result, shards, tag_dataset
from hf_audio_tagger.sources import open_source

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("one_thread_everywhere")]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("made") / "clips")


@pytest.fixture(scope="module")
def embedded(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same clips as bytes in cells: then shards hold media."""
    return write_embedded(clips, tmp_path_factory.mktemp("embedded") / "rows.parquet")


@pytest.fixture(scope="module")
def done(embedded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run gives that nothing disturbs."""
    dest = tmp_path_factory.mktemp("done") / "out"
    tag_dataset(embedded, dest, TAGGER, shard_rows=SHARD)
    return dest


@pytest.fixture
def dest(done: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(done, tmp_path / "out"))


def shard(dest: Path, index: int = 1) -> Path:
    return dest / "data" / f"shard-{index:05d}.parquet"


# Damaged shards


def zero_the_media(path: Path) -> None:
    zero(path, "video.bytes")


def zero_the_tags(path: Path) -> None:
    zero(path, "video_audio_tags.list.element")


def zero(path: Path, column: str) -> None:
    """Zeros in a column's pages; the footer stays good."""
    group = pq.read_metadata(path).row_group(0)
    chunks = {one.path_in_schema: one for one in map(group.column, range(group.num_columns))}
    chunk = chunks[column]
    with path.open("r+b") as file:
        file.seek((chunk.dictionary_page_offset or chunk.data_page_offset) + chunk.total_compressed_size // 2)
        file.write(bytes(16))


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def take_neighbour(path: Path) -> None:
    """A whole shard of the same run at the place of another."""
    shutil.copy(path.with_name("shard-00000.parquet"), path)


DAMAGES = [zero_the_media, zero_the_tags, truncate, empty, make_folder, take_neighbour]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_shard_is_made_again(
    embedded: Path, done: Path, dest: Path, damage: Callable[[Path], None]
) -> None:
    damage(shard(dest))
    watcher = Seeing()
    summary = tag_dataset(embedded, dest, TAGGER, watcher=watcher)
    assert (summary.processed_now, summary.rows, summary.failed) == (SHARD, ROWS, 1)
    assert len(watcher.notes) == 1
    assert "shard-00001.parquet" in watcher.notes[0]
    assert "are tagged again" in watcher.notes[0] or "tags its rows again" in watcher.notes[0]
    assert rows_of(dest) == rows_of(done)
    assert load_dataset(str(dest), split="train").num_rows == ROWS
    again = Seeing()
    assert tag_dataset(embedded, dest, TAGGER, watcher=again).processed_now == 0
    assert not again.notes


@pytest.mark.parametrize(("index", "damage"), [(0, zero_the_media), (0, zero_the_tags), (1, zero_the_tags)])
@pytest.mark.parametrize("num_proc", [None, 1])
def test_damage_that_no_time_of_change_tells_ends_one_run_at_most(
    embedded: Path, tmp_path: Path, index: int, damage: Callable[[Path], None], num_proc: int | None
) -> None:
    dest = tmp_path / "out.parquet"
    tag_dataset(embedded, dest, TAGGER, shard_rows=SHARD, limit=6)
    path = shard(tmp_path / ".out.parquet.hf_audio_tagger", index)
    info = path.stat()
    damage(path)
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
    with pytest.raises(RunError, match=r"shard-0000\d\.parquet is damaged.*the same command tags its rows"):
        tag_dataset(embedded, dest, TAGGER, num_proc=num_proc)
    assert tag_dataset(embedded, dest, TAGGER).rows == ROWS
    assert pq.read_table(dest).num_rows == ROWS


def test_a_shard_of_a_run_with_other_shards_is_made_again(embedded: Path, done: Path, dest: Path) -> None:
    """A row too many, for any shard and for what is left at the end."""
    for index, shard_rows in ((1, SHARD + 1), (2, SHARD - 1)):
        other = dest.parent / f"shards of {shard_rows}"
        tag_dataset(embedded, other, TAGGER, shard_rows=shard_rows)
        shutil.copy(shard(other, index), shard(dest, index))
    watcher = Seeing()
    assert tag_dataset(embedded, dest, TAGGER, watcher=watcher).processed_now == ROWS - SHARD
    assert [note.count("is damaged, or of another run") for note in watcher.notes] == [1, 1]
    assert rows_of(dest) == rows_of(done)


def test_the_shell_tells_what_is_made_again(embedded: Path, dest: Path) -> None:
    truncate(shard(dest))
    settings = ["--model", "demo", "--device", "cpu", "--batch-size", "2", "--num-proc", "1"]
    told = CliRunner().invoke(app, ["tag", str(embedded), "--out", str(dest), *settings])
    assert told.exit_code == 3, told.output  # one row failed
    assert "shard-00001.parquet is damaged" in told.stderr


def test_all_shards_damaged(embedded: Path, done: Path, dest: Path) -> None:
    for path, damage in zip(sorted((dest / "data").iterdir()), DAMAGES, strict=False):
        damage(path)
    assert tag_dataset(embedded, dest, TAGGER, num_proc=2).processed_now == ROWS
    assert rows_of(dest) == rows_of(done)


def test_a_stream_goes_back_to_the_shard_that_is_damaged(embedded: Path, done: Path, tmp_path: Path) -> None:
    stream = open_source(embedded, streaming=True)
    dest = tmp_path / "out"
    tag_dataset(stream, dest, TAGGER, shard_rows=SHARD)
    truncate(shard(dest))
    watcher = Seeing(1)
    with pytest.raises(KeyboardInterrupt):
        tag_dataset(stream, dest, TAGGER, watcher=watcher)
    assert len(watcher.notes) == 2  # the one behind it cannot stay
    assert [row["video"]["path"] for row in rows_of(dest)] == [f"{n}.mp4" for n in range(len(rows_of(dest)))]
    tag_dataset(stream, dest, TAGGER)
    assert rows_of(dest) == rows_of(done)


def test_a_good_shard_is_not_thrown_away_when_files_cannot_be_opened(
    embedded: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Any, *_: Any, **__: Any) -> None:
        raise OSError(errno.EMFILE, "Too many open files", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(shards.pq, "ParquetFile", refused)
        with pytest.raises(RunError, match="Too many open files"):
            tag_dataset(embedded, dest, TAGGER)
    assert tag_dataset(embedded, dest, TAGGER).processed_now == 0


def test_shards_are_read_whole_once_and_not_at_each_start(
    embedded: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (dest / ".hf_audio_tagger" / "shards.jsonl").unlink()  # as an earlier version left it
    with (dest / ".hf_audio_tagger" / "shards.jsonl").open("w") as file:
        file.write('{"shard": ["shard-0\n[]\n')  # and torn
    assert tag_dataset(embedded, dest, TAGGER).processed_now == 0

    def read(_: Path) -> None:
        raise AssertionError("it was read before")

    monkeypatch.setattr("hf_audio_tagger.runs.shards.read_groups", read)
    assert tag_dataset(embedded, dest, TAGGER).processed_now == 0


# Files that do not belong there


@pytest.mark.parametrize(
    "name", ["shard-00009.parquet", "shard-00001 (copy).parquet", "shard-000001.parquet", "x.parquet"]
)
def test_files_beside_the_shards_are_refused(embedded: Path, dest: Path, name: str) -> None:
    shutil.copy(shard(dest), dest / "data" / name)
    with pytest.raises(SettingsError, match=r"holds 'shard-.*not part of this run.*Move it|'x\.parquet'"):
        tag_dataset(embedded, dest, TAGGER)
    (dest / "data" / name).unlink()
    assert tag_dataset(embedded, dest, TAGGER).rows == ROWS


def test_a_result_holds_the_rows_of_its_run(dest: Path) -> None:
    shutil.copy(shard(dest), dest / "data" / "shard-00001 (copy).parquet")
    shutil.copy(shard(dest), dest / "data" / "shard-00009.parquet")
    assert load_result(dest).num_rows == ROWS


def test_what_others_keep_under_hidden_names_is_left_alone(embedded: Path, dest: Path) -> None:
    (dest / "data" / ".mine.tmp").write_text("mine")
    (dest / "data" / ".folder.1.tmp").mkdir()
    (dest / "data" / ".shard-00007.parquet.4711.tmp").write_text("of a host that was switched off")
    tag_dataset(embedded, dest, TAGGER)
    assert {path.name for path in (dest / "data").glob(".*")} == {".mine.tmp", ".folder.1.tmp"}


# Links and folders in the way


@pytest.mark.parametrize("name", ["out", "out.jsonl", "out.parquet"])
@pytest.mark.parametrize("is_overwritten", [False, True])
def test_a_link_that_leads_nowhere_is_not_replaced(
    embedded: Path, tmp_path: Path, name: str, is_overwritten: bool
) -> None:
    (tmp_path / name).symlink_to(tmp_path / "disk" / "that is not mounted")
    with pytest.raises(SettingsError, match=r"is a link.*that is not mounted"):
        tag_dataset(embedded, tmp_path / name, TAGGER, limit=1, overwrite=is_overwritten)
    assert (tmp_path / name).is_symlink()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_link_to_a_folder_is_that_folder(embedded: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    tag_dataset(embedded, tmp_path / "out", TAGGER, limit=1)
    assert tag_dataset(embedded, tmp_path / "disk", TAGGER, limit=1).processed_now == 0


@pytest.mark.parametrize("name", ["lock", "run.json", "failures.jsonl", "log.txt", "shards.jsonl"])
def test_links_and_folders_in_the_state_are_refused(embedded: Path, dest: Path, name: str) -> None:
    victim = dest.parent / "victim"
    victim.write_text("mine")
    path = dest / ".hf_audio_tagger" / name
    path.unlink(missing_ok=True)
    path.symlink_to(victim)
    with pytest.raises(SettingsError, match=rf"{name} is a link"):
        tag_dataset(embedded, dest, TAGGER, num_proc=1, retry_failed=True)
    assert victim.read_text() == "mine"
    path.unlink()
    path.mkdir()
    with pytest.raises(SettingsError, match=rf"{name} is a folder.*remove it"):
        tag_dataset(embedded, dest, TAGGER)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe", b'{"settings": 5}', None])
def test_a_damaged_record_is_told(embedded: Path, dest: Path, content: bytes | None) -> None:
    record = dest / ".hf_audio_tagger" / "run.json"
    wrong = json.dumps({**json.loads(record.read_bytes()), "settings": 5}).encode()
    record.write_bytes(wrong if content is None else content)
    with pytest.raises(RunError, match=r"run\.json is damaged.*overwrite=True"):
        tag_dataset(embedded, dest, TAGGER)


# DEST and SOURCE


@pytest.mark.parametrize("is_overwritten", [False, True])
def test_a_run_does_not_write_over_its_source(
    clips: Path, embedded: Path, tmp_path: Path, is_overwritten: bool
) -> None:
    rows = Path(shutil.copy(embedded, tmp_path / "rows.parquet"))
    folder = Path(shutil.copytree(clips, tmp_path / "clips"))
    (folder / "metadata.jsonl").write_text('{"file_name": "00.mp4"}\n')
    Dataset.from_parquet(str(rows)).save_to_disk(str(tmp_path / "saved"))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    (tmp_path / "link").symlink_to(tmp_path)
    for source, dest in [
        (rows, rows),
        (rows, tmp_path / "link" / "rows.parquet"),
        (str(tmp_path / "*.parquet"), rows),
        (folder, folder),
        (folder, folder / "metadata.jsonl"),
        (tmp_path / "saved", tmp_path / "saved"),
    ]:
        with pytest.raises(SettingsError, match="is part of the source"):
            tag_dataset(source, dest, TAGGER, limit=1, overwrite=is_overwritten)
    assert all(path.stat().st_mtime_ns == before[path] for path in before if path.is_file())


def test_a_run_does_not_read_what_it_wrote(embedded: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    shutil.copy(embedded, tmp_path / "rows.parquet")
    tag_dataset(tmp_path / "rows.parquet", tmp_path, TAGGER, limit=1)
    with pytest.raises(SettingsError, match="is part of the source"):
        tag_dataset(str(tmp_path / "**" / "*.parquet"), tmp_path, TAGGER, limit=1, overwrite=True)
    assert len(rows_of(tmp_path)) == 1


def test_dest_inside_a_folder_of_media(clips: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(clips, tmp_path / "clips"))
    for name in ("tagged", "tags.jsonl"):
        assert tag_dataset(folder, folder / name, TAGGER).processed_now == ROWS
        assert tag_dataset(folder, folder / name, TAGGER).processed_now == 0


# Media are not read without need


def test_failures_are_listed_without_reading_media(clips: Path, tmp_path: Path) -> None:
    """Counted by Arrow itself: what it held at most while a run with nothing to do went through."""
    size, rows = 1 << 20, 24
    media = [bytes([number]) * size for number in range(rows)]
    lists = [[{"bytes": one, "path": f"{place}.mp4"}] for place, one in enumerate(media)]
    pq.write_table(pa.table({"videos": lists}), tmp_path / "rows.parquet", compression="none")
    first = tag_dataset(tmp_path / "rows.parquet", tmp_path / "out", TAGGER)
    assert first.failed == rows
    pool = pa.proxy_memory_pool(pa.default_memory_pool())
    before = pa.default_memory_pool()
    pa.set_memory_pool(pool)
    try:
        again = tag_dataset(tmp_path / "rows.parquet", tmp_path / "out", TAGGER)
    finally:
        pa.set_memory_pool(before)
    assert (again.processed_now, again.failed) == (0, rows)
    assert 0 < (pool.max_memory() or 0) < size
    assert again.failures is not None
    listed = [json.loads(line) for line in Path(again.failures).read_text().splitlines()]
    assert [one["path"] for one in listed] == [f"{place}.mp4" for place in range(rows)]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary()])
def test_failures_are_named_by_what_the_cells_hold(tmp_path: Path, kind: pa.DataType) -> None:
    cells = ["no file.mp4", "nor this.mp4"]
    values = [one.encode() for one in cells] if kind == pa.binary() else cells
    pq.write_table(pa.table({"my.video": pa.array(values, kind)}), tmp_path / "rows.parquet")
    tagger = build_tagger("demo", column="my.video", device="cpu", on_error="record")
    summary = tag_dataset(tmp_path / "rows.parquet", tmp_path / "out", tagger)
    assert summary.failures is not None
    listed = [json.loads(line) for line in Path(summary.failures).read_text().splitlines()]
    assert [one["path"] for one in listed] == ([None, None] if kind == pa.binary() else cells)


def test_joined_parquet_is_written_a_few_clips_at_a_time(
    embedded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "GROUP_BYTES", 1)
    tag_dataset(embedded, tmp_path / "out.parquet", TAGGER)
    metadata = pq.read_metadata(tmp_path / "out.parquet")
    rows = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    assert rows == [TAGGER.batch_size] * (ROWS // TAGGER.batch_size)
