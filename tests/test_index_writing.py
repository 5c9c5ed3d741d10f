"""`write_index`: what was read is written byte for byte, and a tagged dataset as labels."""

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import ClassLabel, Dataset, Features, List, Value
from typer.testing import CliRunner

from hf_audio_tagger import build_tagger, ontology, read_index, roll_up, write_index
from hf_audio_tagger.cli import app
from hf_audio_tagger.errors import ColumnError, SettingsError
from tests.conftest import folder_from
from tests.index_files import AST, AUDIOCAPS, ROWS, SEGMENTS, dump_lines, row, write_rows

NPZ = {
    "aclip": "a/x.npz",
    "frame": "x.npz",
    "id": "x",
    "bos": "0.000",
    "eos": "10.000",
    "labels": ["/m/04rlf"],
}
SAME_BYTES: dict[str, list[dict[str, Any]]] = {
    "one key order": [{**ROWS[0]}, {**ROWS[1]}],
    "keys that some rows lack": ROWS,
    "text that needs escaping": [
        row(id="\u00e9", captions=['q"\\', "\u00e9\u4e2d\U0001f600 \x7f\t", "/slash", ""])
    ],
    "empty lists": [row(frame=[], labels=[]), row(captions=[])],
    "numbers of captions": [row(captions=[3, -1])],
    "npz": [NPZ, {**NPZ, "id": "y", "aclip": "y.npz"}],
    "the older key": [{"dir": "all_0_35000", "clip": ["p0.mp3"], "id": "x", "bos": "0.000", "eos": "1.000"}],
}


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("name", SAME_BYTES)
def test_what_was_read_is_written_with_the_same_bytes(tmp_path: Path, name: str) -> None:
    file = write_rows(tmp_path / "src.csv", SAME_BYTES[name])
    write_index(read_index(file, root=tmp_path), tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == file.read_bytes()


def test_values_of_all_kinds(tmp_path: Path) -> None:
    more = {
        "size": 3,
        "share": 0.1,
        "nested": {"a": [1, 2], "b": "\u00e9"},
        "flag": True,
        "lists": [["x"], []],
    }
    file = write_rows(tmp_path / "src.csv", [{**ROWS[0], **more}, {**ROWS[1], **more, "share": 1e-9}])
    write_index(read_index(file), tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == file.read_bytes()


def test_rows_whose_keys_differ_in_order_are_equal_as_objects(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "src.csv", [ROWS[0], dict(reversed(ROWS[1].items()))])
    write_index(read_index(file), tmp_path / "again.csv")
    assert read_rows(tmp_path / "again.csv") == read_rows(file)
    assert list(read_rows(tmp_path / "again.csv")[1]) == list(ROWS[0])


@pytest.mark.parametrize(
    ("name", "text"), [("list", SEGMENTS), ("caps", AUDIOCAPS), ("ast", json.dumps(AST))]
)
def test_other_kinds_are_equal_rows_when_written_and_read_again(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    before = read_index(tmp_path / name)
    write_index(before, tmp_path / "src.csv")
    after = read_index(tmp_path / "src.csv")
    assert after.features == before.features
    assert [dict(sorted(one.items())) for one in after] == [dict(sorted(one.items())) for one in before]


def test_many_rows_shuffled(tmp_path: Path) -> None:
    """More than one batch, through an indices mapping, against json.dumps."""
    rows = [row(id=f"clip{number}", bos=f"{number / 7:.3f}") for number in range(10_500)]
    ds = read_index(write_rows(tmp_path / "src.csv", rows)).shuffle(seed=0)
    write_index(ds, tmp_path / "again.csv")
    expected = [rows[int(id.removeprefix("clip"))] for id in ds["id"]]
    assert (tmp_path / "again.csv").read_text() == dump_lines(expected)


def mids(*names: str) -> list[str]:
    return sorted(ontology[name].id for name in names)


def test_a_tagged_dataset_is_written_with_its_tags_as_labels(tmp_path: Path, clips: dict[str, Path]) -> None:
    rows = [row(id=name, dir="", aclip=["mp4"]) for name in ("Siren", "EMPTY", "broken", "Music")]
    for one in rows:
        file = tmp_path / "aclip" / f"{one['id']}.mp4"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(clips[one["id"]].read_bytes())
    ds = read_index(write_rows(tmp_path / "src.csv", rows), tmp_path)
    ds = ds.map(build_tagger("demo", top_k=2, on_error="record"), batched=True).map(roll_up(1))
    tops = [{one["label"] for video in cell if video for one in video} for cell in ds["video_audio_top"]]
    expected = {
        "video_audio_tags": [mids("Siren"), [], [], mids("Music")],
        "video_audio_top": [mids(*names) for names in tops],
        "video_audio_tags_level1": [mids("Sounds of things"), [], [], mids("Music")],
    }
    assert len(tops[0]) == 2
    for column, labels in expected.items():
        write_index(ds, tmp_path / "tagged.csv", labels=column)
        assert read_rows(tmp_path / "tagged.csv") == [
            {**one, "labels": found} for one, found in zip(rows, labels, strict=True)
        ]
    write_index(ds, tmp_path / "tagged.csv")
    assert read_rows(tmp_path / "tagged.csv") == rows


def test_names_and_class_labels_are_written_as_mids_on_request(tmp_path: Path) -> None:
    ds = Dataset.from_dict({"id": ["a", "b"], "labels": [["Speech", "Dog"], []]})
    write_index(ds, tmp_path / "names.csv", labels="labels")
    numbers = ds.map(lambda cell: {"labels": [0, 1] if cell else []}, input_columns="labels")
    numbers = numbers.cast_column("labels", List(ClassLabel(names=["Dog", "Speech"])))
    with pytest.raises(ColumnError, match=r'labels="labels"'):
        write_index(numbers, tmp_path / "numbers.csv")
    assert not (tmp_path / "numbers.csv").exists()
    write_index(numbers, tmp_path / "numbers.csv", labels="labels")
    assert (tmp_path / "numbers.csv").read_bytes() == (tmp_path / "names.csv").read_bytes()
    assert read_rows(tmp_path / "names.csv")[0] == {"id": "a", "labels": mids("Dog", "Speech")}
    with pytest.raises(ColumnError, match="'dog', which AudioSet does not have"):
        write_index(Dataset.from_dict({"id": ["a"], "tags": ["dog"]}), tmp_path / "x", labels="tags")


def test_what_no_index_can_hold_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    target = tmp_path / "src.csv"
    target.write_text("as it was")
    wrong = [
        ({"name": ["a"]}, "needs a column 'id'"),
        ({"id": ["a", None]}, "Row 1: 'id' is missing"),
        ({"id": [1]}, "'id' must hold a text"),
        ({"id": ["a", "../b"]}, "Row 1: 'id' leaves the folder"),
        ({"id": ["a"], "bos": [float("nan")]}, "Row 0: 'bos' must be seconds"),
        ({"id": ["a"], "when": [float("nan")]}, "JSON cannot hold"),
        ({"id": ["a"], "data": [b"x"]}, "JSON cannot hold"),
    ]
    for columns, reason in wrong:
        with pytest.raises(ColumnError, match=reason):
            write_index(Dataset.from_dict(columns), target)
    assert target.read_text() == "as it was"
    assert [one.name for one in tmp_path.iterdir()] == ["src.csv"]
    with pytest.raises(SettingsError, match="cannot be written"):
        write_index(Dataset.from_dict({"id": ["a"]}), tmp_path / "none" / "src.csv")


@pytest.mark.parametrize("kind", ["int64", "float32"])
def test_times_may_be_numbers_of_any_type(tmp_path: Path, kind: str) -> None:
    features = Features({"id": Value("string"), "bos": Value(kind)})
    write_index(Dataset.from_dict({"id": ["a"], "bos": [30]}, features=features), tmp_path / "src.csv")
    assert (tmp_path / "src.csv").read_text() == '{"id": "a", "bos": "30.000"}\n'


def test_a_file_may_be_written_over_itself(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "src.csv")
    write_index(read_index(file).filter(lambda id: id != ROWS[0]["id"], input_columns="id"), file)
    assert read_rows(file) == ROWS[1:]


def test_the_shell_writes_an_index(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(SEGMENTS)
    command = ["index", str(tmp_path / "list.csv"), "--out", str(tmp_path / "src.csv")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "2 rows" in done.output
    assert read_index(tmp_path / "src.csv")["id"][:] == ["--PJHxphWEs", "-aE2O5G5WE_"]
    table = Dataset.from_dict({"id": ["a"], "video_audio_tags": [["Dog"]]})
    table.to_parquet(tmp_path / "tagged.parquet")
    command = ["index", str(tmp_path / "tagged.parquet"), "--out", str(tmp_path / "tagged.csv")]
    done = CliRunner().invoke(app, [*command, "--labels", "video_audio_tags"])
    assert read_rows(tmp_path / "tagged.csv") == [{"id": "a", "labels": mids("Dog")}]
    assert CliRunner().invoke(app, [*command, "--labels", "tags"]).exit_code == 1


def test_real_lists_are_equal_after_a_round_trip(tmp_path: Path) -> None:
    before = read_index(folder_from("HF_AUDIO_TAGGER_FACTS") / "eval_segments.csv")
    assert before.features["bos"] == Value("float64")
    write_index(before, tmp_path / "src.csv")
    after = read_index(tmp_path / "src.csv").select_columns(before.column_names)
    assert after.data.table.equals(before.data.table)
    lines = (tmp_path / "src.csv").read_text().splitlines()
    assert len(lines) == 20_371
    assert lines[0] == json.dumps(json.loads(lines[0]))
    assert json.loads(lines[0])["bos"] == "0.000"


def test_paths_of_media_are_no_key(tmp_path: Path) -> None:
    """With a key `video` the file would be a table of clips, which `read_index` refuses."""
    ds = Dataset.from_dict({"id": ["a"], "bos": [1.0], "eos": [2.0], "video": ["clips/a.mp4"]})
    write_index(ds, tmp_path / "src.csv")
    assert read_index(tmp_path / "src.csv").to_list()[0]["id"] == "a"
    assert "video" not in (tmp_path / "src.csv").read_text("utf-8")
