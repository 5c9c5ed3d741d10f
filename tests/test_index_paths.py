"""Where the clips of an index lie, and what must never be opened."""

import json
from pathlib import Path
from typing import Any

import pytest

from hf_audio_tagger import read_index
from hf_audio_tagger.errors import SettingsError
from tests.index_files import AST, ROWS, SEGMENTS, row, write_rows
from tests.test_index_reading import paths, write

OUTSIDE = ["../x", "a/../../x", "..", "/etc", "a\\..\\x", "C:/x", "http://host/x", "zip://a::http://host/x"]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("key", ["id", "dir", "aclip", "frame", "clip"])
def test_names_that_leave_the_root_are_refused(tmp_path: Path, key: str, name: str) -> None:
    value = [name] if key in ("aclip", "frame", "clip") else name
    file = write_rows(tmp_path / "src.csv", [row(), row(**{key: value})])
    with pytest.raises(SettingsError, match=rf"src\.csv, line 2: '{key}' leaves the folder of the clips"):
        read_index(file, root=tmp_path)


def test_names_that_only_look_like_it_are_kept(tmp_path: Path) -> None:
    rows = [row(id="..a"), row(id="a..", dir="all..1/.x"), row(dir=".")]
    ds = read_index(write_rows(tmp_path / "src.csv", rows), tmp_path)
    assert paths(ds, tmp_path) == [
        "all_70000_105000/aclip/..a.p0.mp3",
        "all..1/.x/aclip/a...p0.mp3",
        "./aclip/a1B2c3D4e5F.p0.mp3",
    ]


@pytest.mark.parametrize("wav", ["/data/x.flac", "../x.flac", "a\\b/x.flac", "https://host/x.flac"])
def test_asts_paths_that_leave_the_root_are_refused(tmp_path: Path, wav: str) -> None:
    entries = [*AST["data"], {"wav": wav, "labels": ""}]
    file = write(tmp_path / "x.json", json.dumps({"data": entries}))
    with pytest.raises(SettingsError, match=r"is not below the folder.*files="):
        read_index(file, root=tmp_path)
    assert read_index(file)["wav"][2] == wav  # without a root nothing is opened
    assert len(paths(read_index(file, tmp_path, files="{id}.flac"), tmp_path)) == 3


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ("{id}_{bos:.3f}.flac", ["a1B2c3D4e5F_30.000.flac", "ABCDEFGHIJK_10.000.flac"]),
        ("{dir}/{id}.wav", ["all_70000_105000/a1B2c3D4e5F.wav", "ABCDEFGHIJK.wav"]),
        ("{id}_{bos:06.0f}.mp4", ["a1B2c3D4e5F_000030.mp4", "ABCDEFGHIJK_000010.mp4"]),
        ("wav/{id}-{eos}.wav", ["wav/a1B2c3D4e5F-40.0.wav", "wav/ABCDEFGHIJK-20.0.wav"]),
    ],
)
def test_files_says_how_clips_are_called(tmp_path: Path, files: str, expected: list[str]) -> None:
    file = write_rows(tmp_path / "src.csv", [ROWS[0], ROWS[2]])
    assert paths(read_index(file, tmp_path, files), tmp_path) == expected


@pytest.mark.parametrize(
    "files",
    [
        *("x.wav", "{}.wav", "{id", "{name}.wav", "{id.__class__}", "{id[0]}", "{id!r}"),
        *("{id:{dir}}", "{bos:d}", "{id:.3f}", "", 3),
    ],
)
def test_other_templates_are_refused(tmp_path: Path, files: Any) -> None:
    with pytest.raises(SettingsError, match="files must be a text with the fields id, dir, bos, eos"):
        read_index(write_rows(tmp_path / "src.csv"), tmp_path, files)


@pytest.mark.parametrize(
    "files", ["../{id}.wav", "/{id}.wav", "{dir}/../../{id}", "{dir}{id}", "http://{id}"]
)
def test_templates_that_leave_the_root_are_refused(tmp_path: Path, files: str) -> None:
    rows = [row(dir=".", id="./x")]
    with pytest.raises(SettingsError, match="is not below the folder"):
        read_index(write_rows(tmp_path / "src.csv", rows), tmp_path, files)


def test_a_template_needs_its_fields_and_a_root(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "src.csv", [row(), row(bos=None)])
    with pytest.raises(SettingsError, match=r"lacks what files='\{bos:\.1f\}.wav' needs"):
        read_index(file, tmp_path, "{bos:.1f}.wav")
    with pytest.raises(SettingsError, match="root=, which is missing"):
        read_index(file, files="{id}.wav")


def test_lists_without_names_of_clips_ask_for_them(tmp_path: Path) -> None:
    file = write(tmp_path / "eval_segments.csv", SEGMENTS)
    with pytest.raises(SettingsError, match=r"do not say how their clips are called.*files="):
        read_index(file, root=tmp_path)


def test_audio_is_tried_where_there_is_no_aclip(tmp_path: Path) -> None:
    """Each folder by itself, and looked up again when the index is."""
    root = tmp_path / "clips"
    for folder in ("all_70000_105000/audio", "all_0_35000/audio", "all_0_35000/aclip", "audio"):
        (root / folder).mkdir(parents=True)
    file = write_rows(tmp_path / "src.csv")
    assert paths(read_index(file, root), root) == [
        "all_70000_105000/audio/a1B2c3D4e5F.p0.mp3",
        "all_0_35000/aclip/-p0_withDash.p0.mp3",
        "audio/ABCDEFGHIJK.p0.mp3",
    ]
    (root / "aclip").mkdir()
    assert paths(read_index(file, root), root)[2] == "aclip/ABCDEFGHIJK.p0.mp3"


def test_a_root_may_be_relative_or_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_rows(tmp_path / "src.csv", ROWS[:1])
    monkeypatch.chdir(tmp_path)
    assert paths(read_index(file, root="."), tmp_path) == ["all_70000_105000/aclip/a1B2c3D4e5F.p0.mp3"]
    there = read_index(file, root="hf://datasets/me/clips/")
    assert there["audio"][0]["path"] == "hf://datasets/me/clips/all_70000_105000/aclip/a1B2c3D4e5F.p0.mp3"
