"""SOURCE → rows: what each kind gives, and where relative paths lead. No model is loaded here."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Audio, Dataset, DatasetDict, List, Value, Video
from huggingface_hub import HfApi

from hf_audio_tagger import build_tagger, digests
from hf_audio_tagger.runs import tag_dataset
from hf_audio_tagger.sources import open_source
from hf_audio_tagger.sources.source import Source, SourceError

pytestmark = pytest.mark.timeout(60)


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"media")
    return folder


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def rows(source: Source) -> list[dict[str, Any]]:
    assert source.row_count is not None
    return source.rows(0, source.row_count).to_pylist()


def tagger_cells(source: Source, column: str) -> list[Any]:
    assert source.row_count is not None
    return source.tagger_cells(source.rows(0, source.row_count)[column], 0).to_pylist()


def test_folder_gives_its_media_in_order_and_nothing_else(tmp_path: Path) -> None:
    touch(
        tmp_path, "b/2.mp4", "a.MKV", "b/1.webm", "b/.hidden.mp4", ".cache/c.mp4", "notes.txt", "b/x.parquet"
    )
    source = open_source(tmp_path)
    assert source.features == {"file_name": Value("string"), "video": Video()}
    assert [row["file_name"] for row in rows(source)] == ["a.MKV", "b/1.webm", "b/2.mp4"]
    assert [row["video"]["path"] for row in rows(source)] == [
        str(tmp_path / name) for name in ("a.MKV", "b/1.webm", "b/2.mp4")
    ]


def test_folder_with_sounds_is_typed_as_audio(tmp_path: Path) -> None:
    source = open_source(touch(tmp_path, "a.wav", "b.mp4"))
    assert source.features["audio"] == Audio()
    assert "video" not in source.features


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_metadata_give_rows_and_columns_as_videofolder_reads_them(tmp_path: Path, kind: str) -> None:
    touch(tmp_path, "x/1.mp4", "x/sub/2.mp4", "y/3.mp4", "y/unnamed.mp4")
    tables = {
        "x": [{"file_name": "sub/2.mp4", "caption": "two"}, {"file_name": "1.mp4", "caption": "one"}],
        "y": [{"file_name": "3.mp4", "caption": "three"}],
    }
    for name, table in tables.items():
        if kind == "csv":
            lines = ["file_name,caption", *[f"{row['file_name']},{row['caption']}" for row in table]]
            (tmp_path / name / "metadata.csv").write_text("\n".join(lines) + "\n")
        else:
            write_lines(tmp_path / name / "metadata.jsonl", table)
    source = open_source(tmp_path)
    assert [(row["file_name"], row["caption"]) for row in rows(source)] == [
        ("x/sub/2.mp4", "two"),
        ("x/1.mp4", "one"),
        ("y/3.mp4", "three"),
    ]
    assert [row["video"]["path"] for row in rows(source)] == [
        str(tmp_path / row["file_name"]) for row in rows(source)
    ]
    assert source.notes == ("1 media files are not listed in a metadata file and are left out.",)


def test_metadata_with_lists_of_files(tmp_path: Path) -> None:
    touch(tmp_path, "1.mp4", "2.mp4")
    write_lines(tmp_path / "metadata.jsonl", [{"file_names": ["2.mp4", "1.mp4"]}, {"file_names": []}])
    source = open_source(tmp_path)
    assert source.features["videos"] == List(Video())
    paths = [[one["path"] for one in row["videos"]] for row in rows(source)]
    assert paths == [[str(tmp_path / "2.mp4"), str(tmp_path / "1.mp4")], []]


@pytest.mark.parametrize("name", ["../secret.mp4", "/etc/secret.mp4", "a/../../b.mp4", "file:///etc/x.mp4"])
def test_metadata_cannot_name_files_outside_of_the_folder(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "1.mp4")
    write_lines(tmp_path / "metadata.jsonl", [{"file_name": name}])
    with pytest.raises(SourceError, match="is not in the metadata file's folder or below"):
        open_source(tmp_path)


CELLS = [
    "clips/a.mp4",
    ["clips/a.mp4", "https://example.org/b.mp4"],
    {"path": "clips/a.mp4", "bytes": None},
    [{"path": "/data/a.mp4", "bytes": None}, {"path": "b.mp4", "bytes": b"in here"}],
    None,
]


@pytest.mark.parametrize("cell", CELLS, ids=["path", "list", "struct", "structs", "null"])
def test_relative_paths_begin_at_the_file_and_the_column_stays(tmp_path: Path, cell: Any) -> None:
    folder = tmp_path / "rows [1]"  # a name that a glob would take for a pattern
    folder.mkdir()
    pq.write_table(pa.table({"video": [cell, "x" if isinstance(cell, str) else cell]}), folder / "r.parquet")
    source = open_source(folder / "r.parquet")
    base = str(folder)
    expected = {
        "path": f"{base}/clips/a.mp4",
        "list": [f"{base}/clips/a.mp4", "https://example.org/b.mp4"],
        "struct": {"path": f"{base}/clips/a.mp4", "bytes": None},
        "structs": [{"path": "/data/a.mp4", "bytes": None}, {"path": "b.mp4", "bytes": b"in here"}],
        "null": None,
    }
    key = ["path", "list", "struct", "structs", "null"][CELLS.index(cell)]
    assert rows(source)[0]["video"] == cell
    assert tagger_cells(source, "video")[0] == expected[key]


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".parquet"])
def test_every_kind_of_file_gives_the_same_rows(tmp_path: Path, suffix: str) -> None:
    table: list[dict[str, Any]] = [{"id": number, "video": f"{number}.mp4"} for number in range(5)]
    path = tmp_path / f"rows{suffix}"
    if suffix == ".json":
        path.write_text(json.dumps(table))
    elif suffix == ".csv":
        path.write_text("id,video\n" + "".join(f"{row['id']},{row['video']}\n" for row in table))
    elif suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(table), path)
    else:
        write_lines(path, table)
    source = open_source(path)
    assert rows(source) == table
    assert tagger_cells(source, "video") == [str(tmp_path / row["video"]) for row in table]


def test_glob_over_folders_keeps_each_files_own_base(tmp_path: Path) -> None:
    for name in ("b/2.jsonl", "a/1.jsonl", "a/2.jsonl"):
        write_lines(tmp_path / name, [{"video": f"{name}-{number}.mp4"} for number in range(3)])
    source = open_source(str(tmp_path / "*" / "*.jsonl"))
    assert source.row_count == 9
    expected = [
        str(tmp_path / folder / f"{folder}/{name}.jsonl-{number}.mp4")
        for folder, name in (("a", "1"), ("a", "2"), ("b", "2"))
        for number in range(3)
    ]
    assert tagger_cells(source, "video") == expected
    middle = source.tagger_cells(source.rows(5, 8)["video"], 5).to_pylist()
    assert middle == expected[5:8]


def test_saved_dataset_and_the_splits_of_a_saved_dict(tmp_path: Path) -> None:
    ds = Dataset.from_dict({"video": ["a.mp4", "/b.mp4"]})
    ds.save_to_disk(str(tmp_path / "one"))
    DatasetDict({"train": ds, "test": ds.select([1])}).save_to_disk(str(tmp_path / "two"))
    assert tagger_cells(open_source(tmp_path / "one"), "video") == [str(tmp_path / "one" / "a.mp4"), "/b.mp4"]
    assert rows(open_source(tmp_path / "two", split="test")) == [{"video": "/b.mp4"}]
    with pytest.raises(SourceError, match="has the splits 'train', 'test': name one"):
        open_source(tmp_path / "two")
    with pytest.raises(SourceError, match="'dev' is none of them"):
        open_source(tmp_path / "two", split="dev")


def test_fingerprint_follows_the_content_and_not_the_place(tmp_path: Path) -> None:
    table = [{"video": f"{number}.mp4"} for number in range(5)]
    first = open_source(write_lines(tmp_path / "one" / "rows.jsonl", table))
    moved = open_source(write_lines(tmp_path / "two" / "rows.jsonl", table))
    other = open_source(write_lines(tmp_path / "three" / "rows.jsonl", [*table[:-1], {"video": "5.mp4"}]))
    assert first.fingerprint == moved.fingerprint != other.fingerprint
    media = touch(tmp_path / "media", "a.mp4", "b/c.mp4")
    before = open_source(media).fingerprint
    shutil.copytree(media, tmp_path / "copy")
    assert open_source(tmp_path / "copy").fingerprint == before
    touch(media, "d.mp4")
    assert open_source(media).fingerprint != before


@pytest.mark.parametrize("changed", [0, 9])
def test_either_end_of_a_large_file_is_in_its_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: int
) -> None:
    monkeypatch.setattr(digests, "DIGESTED_BYTES", 20)
    names = [f"{number}.mp4" for number in range(10)]
    before = open_source(write_lines(tmp_path / "rows.jsonl", [{"video": name} for name in names]))
    names[changed] = "x.mp4"
    after = open_source(write_lines(tmp_path / "rows.jsonl", [{"video": name} for name in names]))
    assert after.fingerprint != before.fingerprint


def test_the_hub_gets_the_taggers_token_and_its_errors_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = []

    def ask(api: HfApi, name: str, **_: object) -> SimpleNamespace:
        tokens.append(api.token)
        return SimpleNamespace(sha="0123")

    def refused(name: str, config: str | None, token: str | None) -> list[str]:
        tokens.append(token)
        raise ConnectionError("401: who are you?")

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", ask)
    monkeypatch.setattr("datasets.get_dataset_split_names", refused)
    tagger = build_tagger("demo", device="cpu", token="hf_one")
    with pytest.raises(SourceError, match=r"user/name: .*reading it from the Hub failed \(401: who are you"):
        tag_dataset("user/name", tmp_path / "out", tagger)
    assert tokens == ["hf_one", "hf_one"]
    assert not (tmp_path / "out").exists()


def test_stream_gives_the_same_rows_and_goes_on_where_it_was(tmp_path: Path) -> None:
    table = [{"id": number, "videos": [f"{number}.mp4"]} for number in range(20)]
    write_lines(tmp_path / "1.jsonl", table[:12])
    write_lines(tmp_path / "2.jsonl", table[12:])
    source = open_source(str(tmp_path / "*.jsonl"), streaming=True)
    assert source.row_count is None
    stream = source.stream()
    taken = stream.take(7).to_pylist() + stream.take(8).to_pylist()
    state = json.loads(json.dumps(stream.state))
    assert not stream.ended
    assert stream.take(9).num_rows == 5
    assert stream.ended
    resumed = open_source(str(tmp_path / "*.jsonl"), streaming=True).stream(state)
    assert taken + resumed.take(100).to_pylist() == table
    first = source.stream().take(1)
    assert source.tagger_cells(first["videos"], 0).to_pylist() == [[str(tmp_path / "0.mp4")]]


@pytest.mark.parametrize(
    ("made", "name", "words"),
    [
        ([], "nothing/here/at/all", "there is no such file or folder"),
        ([], "missing.jsonl", "there is no such file or folder"),
        (["a.txt"], "a.txt", ".txt cannot be read"),
        (["a.jsonl", "b.csv"], "*", "cannot be read as one table"),
        (["folder/a.txt"], "folder", "this folder has no media files"),
        (["folder/data/a.parquet"], "folder", r"folder/\*\*/\*.parquet', in quotes"),
        (["broken.parquet"], "broken.parquet", "broken.parquet: the rows cannot be read"),
    ],
)
def test_what_cannot_be_read_raises_with_advice(
    tmp_path: Path, made: list[str], name: str, words: str
) -> None:
    touch(tmp_path, *made)
    with pytest.raises(SourceError, match=words):
        open_source(str(tmp_path / name))


@pytest.mark.parametrize("streaming", [False, True])
def test_rows_that_are_not_utf8_raise_before_the_run(tmp_path: Path, streaming: bool) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"video": "a.mp4"}\n{"video": "lat\xe9in.mp4"}\n')
    with pytest.raises(SourceError, match=r"UTF-?8"):
        open_source(path, streaming=streaming).stream().take(9)


def test_options_of_the_hub_are_refused_for_files(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    with pytest.raises(SourceError, match="is a folder of media, which split= does not apply to"):
        open_source(tmp_path, split="train")
