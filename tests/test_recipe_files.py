"""The files of a recipe: samples that are read, and exports that are written whole or not at all."""

import errno
import gzip
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from recipe_runs import Rows, invoke, lines, link_clips, write_recipe, write_rows

from hf_audio_tagger.errors import SettingsError, TaggerError
from hf_audio_tagger.recipes import run_recipe
from hf_audio_tagger.recipes.export import WRITERS


@pytest.fixture
def folder(tmp_path: Path, clips: dict[str, Path]) -> Path:
    return link_clips(tmp_path, clips)


def test_files_of_every_format_and_their_paths(folder: Path) -> None:
    """No operator: samples are read, their paths made absolute, and exported."""
    rows = [{"videos": ["a.mp4", "https://x.org/b.mp4", "/c.mp4"], "text": "x"}]
    text = json.dumps(rows[0])
    (folder / "s.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    (folder / "s.json").write_text(json.dumps(rows))
    pq.write_table(pa.Table.from_pylist(rows), folder / "s.parquet")
    for name in ("s.jsonl.gz", "s.json", "s.parquet"):
        run_recipe(write_recipe(folder, dataset_path=str(folder / name), process=[]), overwrite=True)
        expected = {"videos": [f"{folder}/a.mp4", "https://x.org/b.mp4", "/c.mp4"], "text": "x"}
        assert [json.loads(line) for line in lines(folder, "res.jsonl")] == [expected]
    for name, comma in (("s.csv", ","), ("s.tsv", "\t")):
        (folder / name).write_text(f"videos{comma}text\na.mp4{comma}x\n")
        run_recipe(write_recipe(folder, dataset_path=str(folder / name), process=[]), overwrite=True)
        assert json.loads(lines(folder, "res.jsonl")[0]) == {"videos": f"{folder}/a.mp4", "text": "x"}
    assert not (folder / "out" / "res_stats.jsonl").exists()


def test_a_folder_of_files_and_a_list_of_them(folder: Path) -> None:
    data = folder / "data"
    (data / "sub" / "clips").mkdir(parents=True)
    (data / "sub" / "clips" / "own.mp4").touch()
    (data / "clips").mkdir()
    (data / "clips" / "top.mp4").touch()
    write_rows(data / "a.jsonl", [{"videos": ["clips/top.mp4"], "text": "a"}])
    write_rows(data / "sub" / "b.jsonl", [{"videos": ["clips/own.mp4", "clips/top.mp4"], "text": "b"}])
    (data / "notes.csv").write_text("text\nnot a sample\n")
    run_recipe(write_recipe(folder, dataset_path=str(data), process=[]), overwrite=True)
    assert [json.loads(line)["videos"] for line in lines(folder, "res.jsonl")] == [
        [f"{data}/clips/top.mp4"],
        [f"{data}/sub/clips/own.mp4", f"{data}/clips/top.mp4"],
    ]
    run_recipe(
        write_recipe(folder, dataset_path=f"0.3 '{data}/sub/b.jsonl' 0.7 {data}/a.jsonl", process=[]),
        overwrite=True,
    )
    assert [json.loads(line)["text"] for line in lines(folder, "res.jsonl")] == ["b", "a"]


def test_samples_with_a_null_text_are_left_out(folder: Path) -> None:
    rows: Rows = [{"text": "a", "more": "b"}, {"text": None, "more": "c"}, {"text": "d", "more": None}]
    path = write_rows(folder / "s.jsonl", rows)
    notes: list[str] = []
    run_recipe(write_recipe(folder, dataset_path=str(path), process=[]), notes.append, overwrite=True)
    assert [json.loads(line)["text"] for line in lines(folder, "res.jsonl")] == ["a", "d"]
    assert notes == ["Left out: 1 samples without text (text)"]
    run_recipe(
        write_recipe(folder, dataset_path=str(path), text_keys=["text", "more"], process=[]),
        notes.append,
        overwrite=True,
    )
    assert len(lines(folder, "res.jsonl")) == 1
    with pytest.raises(SettingsError, match="no column 'caption' among text, more"):
        run_recipe(
            write_recipe(folder, dataset_path=str(path), text_keys="caption", process=[]), overwrite=True
        )


def test_samples_with_names_that_are_not_utf8_raise(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rows(folder / "s.jsonl", [])
    (folder / "s.jsonl").write_bytes(b'{"text": "a", "videos": ["lat\xe9in.mp4"]}\n')
    with pytest.raises(TaggerError, match=r"the rows cannot be read.*UTF8"):
        run_recipe(write_recipe(folder, dataset_path=str(folder / "s.jsonl"), process=[]))
    odd = Path(os.fsdecode(os.path.join(os.fsencode(folder), b"d\xe9r")))
    try:
        odd.mkdir()
    except (OSError, UnicodeError):
        pytest.skip("this file system takes UTF-8 names alone")
    write_rows(odd / "s.jsonl", [{"text": "a", "videos": ["a.mp4"]}])
    monkeypatch.chdir(odd)
    with pytest.raises(SettingsError, match=r"d\\xe9r/s.jsonl: its name is not UTF-8.*rename it"):
        run_recipe(write_recipe(folder, dataset_path="s.jsonl", process=[]))


def test_an_export_is_synced_before_it_is_put_in_place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(handle: int) -> None:
        synced.append(os.fstat(handle).st_ino)
        real_fsync(handle)

    def replace(source: Path, target: Path) -> None:
        assert os.stat(source).st_ino in synced, f"{target} was put in place before it was synced"
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    path = write_rows(folder / "s.jsonl", [{"text": "a"}])
    run_recipe(write_recipe(folder, dataset_path=str(path), process=[]))
    assert (folder / "out").stat().st_ino in synced


def test_a_disk_that_fills_up_leaves_no_part_of_an_export(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command goes on then: nothing is there that it would have to overwrite."""

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = write_rows(folder / "s.jsonl", [{"text": "a", "__dj__stats__": {"n": 1}}])
    recipe = write_recipe(folder, dataset_path=str(path), process=[])
    with monkeypatch.context() as patch:
        patch.setitem(WRITERS, ".jsonl", fail)
        with pytest.raises(OSError, match="No space left"):
            run_recipe(recipe)
    assert list((folder / "out").iterdir()) == []
    assert [one.name for one in run_recipe(recipe).written] == ["res_stats.jsonl", "res.jsonl"]


def test_an_export_that_fails_leaves_the_last_one(folder: Path) -> None:
    path = write_rows(folder / "s.jsonl", [{"text": "a"}])
    run_recipe(write_recipe(folder, dataset_path=str(path), process=[]), overwrite=True)
    pq.write_table(pa.table({"text": ["b"], "blob": [b"\0"]}), folder / "s.parquet")
    with pytest.raises(SettingsError, match=r"export to \.parquet"):
        run_recipe(write_recipe(folder, dataset_path=str(folder / "s.parquet"), process=[]), overwrite=True)
    assert lines(folder, "res.jsonl") == ['{"text": "a"}']
    assert [path.name for path in (folder / "out").iterdir()] == ["res.jsonl"]


def test_an_export_that_is_there_is_kept_unless_asked_otherwise(folder: Path) -> None:
    recipe = write_recipe(
        folder, dataset_path=str(write_rows(folder / "s.jsonl", [{"text": "a"}])), process=[]
    )
    (folder / "out").mkdir()
    for name in ("res.jsonl", "res_stats.jsonl", "res_failed.jsonl"):
        (folder / "out" / name).write_text("mine")
        with pytest.raises(SettingsError, match=rf"{name} exists.*overwrite=True"):
            run_recipe(recipe)
        assert (folder / "out" / name).read_text() == "mine"
        (folder / "out" / name).unlink()
    assert invoke(recipe).exit_code == 0
    done = invoke(recipe)
    assert (done.exit_code, "--overwrite" in done.stderr) == (1, True)
    (folder / "out" / "res_failed.jsonl").write_text("of a run before")
    assert invoke(recipe, "--overwrite").exit_code == 0
    assert [path.name for path in (folder / "out").iterdir()] == ["res.jsonl"]


@pytest.mark.parametrize(
    ("dataset", "export", "words"),
    [
        ("s.jsonl", "s.jsonl", "is an input of this recipe"),
        ("s.jsonl", "clips/../s.jsonl", "is an input of this recipe"),
        ("s.jsonl", "link.jsonl", "is an input of this recipe"),
        ("s.jsonl", "hard.jsonl", "is an input of this recipe"),
        ("1.0 x_stats.jsonl", "x.jsonl", "is an input of this recipe"),
        ("1.0 x_failed.jsonl", "x.jsonl", "is an input of this recipe"),
        ("s.jsonl", "recipe.json", "is an input of this recipe"),
        ("data", "data/res.jsonl", "is in .*data, and the next run would read it"),
        ("data", "out/data/../../data/sub/res.parquet", "is in .*data, and the next run would read it"),
        ("data", "s.jsonl", "is an input of this recipe"),
        ("s.jsonl", "made.jsonl", "is a folder"),
    ],
)
def test_what_is_read_is_never_written_over(
    folder: Path, monkeypatch: pytest.MonkeyPatch, dataset: str, export: str, words: str
) -> None:
    monkeypatch.chdir(folder)
    for name in ("data/sub", "out/data", "made.jsonl"):
        (folder / name).mkdir(parents=True)
    for name in ("s.jsonl", "x_stats.jsonl", "x_failed.jsonl", "data/a.jsonl"):
        write_rows(folder / name, [{"text": name}])
    (folder / "link.jsonl").symlink_to("s.jsonl")
    (folder / "hard.jsonl").hardlink_to("s.jsonl")
    (folder / "data" / "b.jsonl").symlink_to(folder / "s.jsonl")
    recipe = folder / "recipe.json"
    recipe.write_text(json.dumps({"dataset_path": dataset, "export_path": export}))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(SettingsError, match=words):
        run_recipe(recipe, lambda line: None, overwrite=True)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
