"""`check_index`: which clips are there, missing, unreadable, without sound or short."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from datasets import Audio, Dataset, load_dataset
from typer.testing import CliRunner

from hf_audio_tagger import check_index, read_index
from hf_audio_tagger.cli import app
from hf_audio_tagger.errors import ColumnError, ResourceError, SettingsError
from tests.conftest import folder_from
from tests.index_files import row, write_noise, write_rows

# name of the row, seconds of its clip, seconds that the index states, status with decode
CLIPS = [
    ("whole", 4.0, "34.000", "ok"),
    ("floored", 3.0, "34.000", "ok"),  # cut at whole seconds: up to one second is missing
    ("short", 2.9, "34.000", "short"),
    ("longer", 9.0, "34.000", "ok"),
]
FOLDER = "all_70000_105000/aclip"
REASONS = {
    "short": "more than 1 s shorter than eos - bos",
    "gone": "there is no such file in its folder",
    "elsewhere": "its folder is not there",
    "nameless": "the row does not say which clip it is",
    "folder": "it is not a file",
    "mute": "it has no audio stream",
}
STATUSES = {
    **{name: status for name, _, _, status in CLIPS},
    **dict.fromkeys(("gone", "elsewhere", "nameless"), "missing"),
    **dict.fromkeys(("folder", "empty", "text"), "unreadable"),
    "mute": "no sound",
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, clips: dict[str, Path]) -> Path:
    """An index src.csv, with its clips in a folder of every status."""
    top = tmp_path_factory.mktemp("library")
    folder = top / "clips" / FOLDER
    folder.mkdir(parents=True)
    rows = []
    for name, seconds, eos, _ in CLIPS:
        write_noise(folder / f"{name}.p0.mp3", seconds)
        rows.append(row(id=name, eos=eos))
    rows += [row(id="gone"), row(id="elsewhere", dir="all_0_35000"), row(id="nameless", aclip=[])]
    rows += [row(id=name) for name in ("folder", "empty", "text", "mute")]
    (folder / "folder.p0.mp3").mkdir()
    (folder / "empty.p0.mp3").write_bytes(b"")
    (folder / "text.p0.mp3").write_bytes(b"no sound at all" * 100)
    (folder / "mute.p0.mp3").write_bytes(clips["EMPTY"].read_bytes())
    write_rows(top / "src.csv", rows)
    return top


def statuses(checked: Dataset) -> dict[str, str]:
    return dict(zip(checked["id"], checked["status"], strict=True))


def test_folders_are_listed_and_no_file_is_opened(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_audio_tagger.index.decoding.open_sound", None)
    listed: list[str] = []
    scandir = os.scandir

    def scandir_noted(path: str) -> Any:
        listed.append(path)
        return scandir(path)

    ds = read_index(library / "src.csv", library / "clips")
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", scandir_noted)
        checked = check_index(ds)
    assert sorted(listed) == [str(library / "clips" / folder) for folder in ("all_0_35000/aclip", FOLDER)]
    by_listing = {"missing": "missing", "unreadable": "ok", "no sound": "ok", "short": "ok", "ok": "ok"}
    expected = {name: by_listing[status] for name, status in STATUSES.items()} | {"folder": "unreadable"}
    assert statuses(checked) == expected
    assert set(checked["seconds"]) == {None}
    reasons = dict(zip(checked["id"], checked["reason"], strict=True))
    assert {name: reason for name, reason in reasons.items() if reason} == {
        name: REASONS[name] for name in ("gone", "elsewhere", "nameless", "folder")
    }


@pytest.mark.parametrize("num_proc", [None, 2])
def test_decoding_tells_the_rest(library: Path, num_proc: int | None) -> None:
    progress: list[tuple[int, int]] = []
    ds = read_index(library / "src.csv", library / "clips")
    checked = check_index(
        ds, decode=True, num_proc=num_proc, on_progress=lambda done, total: progress.append((done, total))
    )
    assert statuses(checked) == STATUSES
    assert checked["seconds"][:4] == [4.0, 3.0, 2.9, 9.0]
    assert set(checked["seconds"][4:]) == {None}
    reasons = dict(zip(checked["id"], checked["reason"], strict=True))
    assert {name: reasons[name] for name in REASONS} == REASONS
    assert "empty" in reasons["empty"]
    assert reasons["text"]
    assert str(library) not in reasons["text"]  # reasons are counted: no names in them
    assert [reasons[name] for name in ("whole", "floored", "longer")] == [None] * 3
    assert progress[-1] == (11, 11)
    assert checked.select_columns(ds.column_names)[:] == ds[:]


def test_a_root_may_be_given_to_the_check(library: Path) -> None:
    ds = read_index(library / "src.csv").shuffle(seed=0)
    checked = check_index(ds, library / "clips")
    assert checked["id"][:] == ds["id"][:]
    assert sum(status == "ok" for status in checked["status"]) == 7
    files = check_index(ds, library / "clips" / FOLDER, files="{id}.p0.mp3")
    assert sum(status == "ok" for status in files["status"]) == 7
    with pytest.raises(ColumnError, match="name the folder of its clips"):
        check_index(ds)
    with pytest.raises(SettingsError, match="num_proc must be"):
        check_index(ds, library / "clips", num_proc=0)


def test_a_check_replaces_an_earlier_one_and_no_other_column(library: Path) -> None:
    ds = read_index(library / "src.csv", library / "clips")
    again = check_index(check_index(ds), decode=True)
    assert statuses(again) == STATUSES
    assert again.column_names.count("status") == 1
    with pytest.raises(ColumnError, match="'status' already"):
        check_index(ds.rename_column("dir", "status"))


def test_any_dataset_with_media_can_be_checked(library: Path) -> None:
    folder = library / "clips" / FOLDER
    good, bad = (folder / "whole.p0.mp3").read_bytes(), b"nonsense" * 50
    ds = Dataset.from_dict({"audio": [{"bytes": good, "path": None}, {"bytes": bad, "path": "x.mp3"}, None]})
    checked = check_index(ds.cast_column("audio", Audio(decode=False)), decode=True)
    assert checked["status"][:] == ["ok", "unreadable", "missing"]
    lists = Dataset.from_dict({"videos": [[str(folder / "whole.p0.mp3"), str(folder / "gone.mp3")], []]})
    assert check_index(lists)["status"][:] == ["missing", "missing"]
    assert check_index(lists.rename_column("videos", "mine"), column="mine")["status"][0] == "missing"


def test_an_exhausted_resource_ends_the_check(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("hf_audio_tagger.index.decoding.open_sound", fail)
    ds = read_index(library / "src.csv", library / "clips")
    with pytest.raises(ResourceError, match="too many files are open"):
        check_index(ds, decode=True)
    command = ["check", str(library / "src.csv"), "--root", str(library / "clips"), "--decode"]
    assert CliRunner().invoke(app, command).exit_code == 2


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_the_shell_counts_and_writes_the_statuses(library: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"statuses{suffix}"
    command = ["check", str(library / "src.csv"), "--root", str(library / "clips"), "--out", str(out)]
    done = CliRunner().invoke(app, [*command, "--decode", "--json"])
    assert done.exit_code == 3, done.output
    facts = json.loads(done.stdout)
    counts = {"missing": 3, "unreadable": 3, "no sound": 1, "short": 1, "ok": 3}
    assert {name: facts[name] for name in counts} == counts
    assert facts["rows"] == 11
    assert {"status": "short", "reason": REASONS["short"], "rows": 1} in facts["reasons"]
    kind = {".csv": "csv", ".jsonl": "json"}.get(suffix, "parquet")
    table = load_dataset(kind, data_files={"train": str(out)}, split="train")
    assert statuses(table) == STATUSES
    assert table["path"][0] == str(library / "clips" / FOLDER / "whole.p0.mp3")


def test_the_shell_shows_a_table_of_reasons(library: Path, tmp_path: Path) -> None:
    command = ["check", str(library / "src.csv"), "--root", str(library / "clips")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 3
    text = " ".join(done.output.split())
    assert "missing 3" in text
    assert f"missing {REASONS['gone']} 1" in text
    whole = write_rows(tmp_path / "src.csv", [row(id="whole")])
    done = CliRunner().invoke(app, ["check", str(whole), "--root", str(library / "clips")])
    assert done.exit_code == 0, done.output
    wrong = CliRunner().invoke(app, [*command, "--out", "x.txt"])
    assert wrong.exit_code == 1
    assert "--out must end in .csv, .jsonl, .parquet" in " ".join(wrong.output.split())
    assert CliRunner().invoke(app, ["check", str(library / "src.csv")]).exit_code == 1  # without --root


def test_the_shell_checks_a_folder_of_media(library: Path) -> None:
    done = CliRunner().invoke(app, ["check", str(library / "clips"), "--decode", "--json"])
    facts = json.loads(done.stdout)
    assert (facts["rows"], facts["ok"], facts["unreadable"], facts["no sound"]) == (7, 4, 2, 1)


def test_real_lists_against_a_folder(tmp_path: Path) -> None:
    source = folder_from("HF_AUDIO_TAGGER_FACTS") / "eval_segments.csv"
    first = read_index(source)["id"][:2_000]
    for id in first[::2]:
        (tmp_path / f"Y{id}.wav").touch()
    command = ["check", str(source), "--root", str(tmp_path), "--files", "Y{id}.wav", "--json"]
    facts = json.loads(CliRunner().invoke(app, command).stdout)
    assert (facts["rows"], facts["ok"], facts["missing"]) == (20_371, 1_000, 19_371)
