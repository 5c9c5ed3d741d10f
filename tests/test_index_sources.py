"""An index wherever a table may be: open_source, tag and label, with --root and --files."""

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import Audio, load_dataset
from typer.testing import CliRunner

from hf_audio_tagger import build_tagger, read_index
from hf_audio_tagger.cli import app
from hf_audio_tagger.errors import ColumnError, SettingsError
from hf_audio_tagger.sources import open_source
from tests.index_files import ROWS, SEGMENTS, row, write_rows


@pytest.fixture
def library(tmp_path: Path, clips: dict[str, Path]) -> Path:
    """A root with two of three clips, and the index src.csv beside it."""
    rows = [row(id="siren"), row(id="gone"), row(id="silent", dir="", aclip=["mp4"])]
    for name, place in (("Siren", "all_70000_105000/aclip/siren.p0.mp3"), ("EMPTY", "aclip/silent.mp4")):
        file = tmp_path / "clips" / place
        file.parent.mkdir(parents=True)
        file.write_bytes(clips[name].read_bytes())
    write_rows(tmp_path / "src.csv", rows)
    return tmp_path


def test_map_reads_the_column(library: Path) -> None:
    ds = read_index(library / "src.csv", library / "clips").select([0, 2])
    tagged = ds.map(build_tagger("demo", batch_size=2), batched=True)
    assert tagged["video_audio_tags"][:] == [["Siren"], ["EMPTY"]]
    assert tagged.features["audio"] == Audio(decode=False)


@pytest.mark.campaign  # takes ten seconds
def test_tag_takes_an_index(library: Path) -> None:
    out = library / "tagged.jsonl"
    command = ["tag", str(library / "src.csv"), "--out", str(out), "--model", "demo", "--json"]
    done = CliRunner().invoke(app, [*command, "--root", str(library / "clips")])
    assert done.exit_code == 3, done.output  # one clip is missing
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [one["video_audio_tags"] for one in rows] == [["Siren"], [None], ["EMPTY"]]
    assert [one["id"] for one in rows] == ["siren", "gone", "silent"]
    assert "No such file" in rows[1]["video_audio_error"][0]
    again = CliRunner().invoke(app, [*command, "--root", str(library / "clips")])
    assert json.loads(again.stdout)["rows"] == 3
    assert open_source(str(out)).dataset.column_names[0] == "dir"  # a table again, which is no index


@pytest.mark.campaign  # takes ten seconds
def test_label_takes_an_index_and_files(library: Path) -> None:
    (library / "list.csv").write_text(
        SEGMENTS.replace("--PJHxphWEs", "siren").replace("-aE2O5G5WE_", "absent")
    )
    command = [
        "label",
        str(library / "list.csv"),
        "--out",
        str(library / "scores"),
        "--model",
        "demo",
        "--json",
    ]
    files = ["--root", str(library / "clips"), "--files", "all_70000_105000/aclip/{id}.p0.mp3"]
    done = CliRunner().invoke(app, command + files)
    assert done.exit_code == 3, done.output
    summary = json.loads(done.stdout)
    assert (summary["labelled"], summary["failed"]) == (1, 1)


def test_an_index_without_its_clips_says_what_is_missing(library: Path) -> None:
    done = CliRunner().invoke(
        app, ["tag", str(library / "src.csv"), "--out", str(library / "x.jsonl"), "--model", "demo"]
    )
    assert done.exit_code == 1
    assert "name the folder of its clips" in " ".join(done.output.split())
    with pytest.raises(ColumnError, match="name the folder of its clips"):
        read_index(library / "src.csv").map(build_tagger("demo"))


def test_a_glob_of_indexes_is_one_source(tmp_path: Path) -> None:
    write_rows(tmp_path / "src_a.csv", ROWS[:1])
    write_rows(tmp_path / "src_b.csv", [row(id="b")])
    source = open_source(str(tmp_path / "src_*.csv"), root=tmp_path)
    assert source.dataset["id"][:] == [ROWS[0]["id"], "b"]
    before = source.fingerprint
    assert open_source(str(tmp_path / "src_*.csv"), root=tmp_path).fingerprint == before
    write_rows(tmp_path / "src_b.csv", [row(id="c")])
    assert open_source(str(tmp_path / "src_*.csv"), root=tmp_path).fingerprint != before


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
def test_tables_are_tables_still(tmp_path: Path, name: str) -> None:
    table = load_dataset(
        "json", data_files={"train": str(write_rows(tmp_path / "rows.jsonl", [{"video": "a.mp4"}]))}
    )
    getattr(table["train"], {"a.jsonl": "to_json", "a.csv": "to_csv"}.get(name, "to_parquet"))(
        tmp_path / name
    )
    assert open_source(str(tmp_path / name)).dataset.column_names == ["video"]
    with pytest.raises(SettingsError, match="root= does not apply"):
        open_source(str(tmp_path / name), root=tmp_path)


@pytest.mark.parametrize("key", ["clip", "wav", "path"])
def test_a_table_with_ids_and_paths_is_no_index(tmp_path: Path, key: str) -> None:
    file = write_rows(tmp_path / "rows.jsonl", [{"id": "a", key: "a.webm"}])
    assert open_source(str(file)).dataset.column_names == ["id", key]


@pytest.mark.parametrize("options", [{"split": "train"}, {"streaming": True}, {"follow_links": True}])
def test_options_of_other_sources_do_not_apply(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r"is an index of clips, which \w+= does not apply to"):
        open_source(str(write_rows(tmp_path / "src.csv")), **options)
