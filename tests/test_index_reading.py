"""`read_index`: all published forms of AudioSet's indexes, as one schema, and what is wrong with others."""

import json
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from datasets import Dataset, List, Value

from hf_audio_tagger import read_index
from hf_audio_tagger.errors import SettingsError
from tests.conftest import folder_from
from tests.index_files import AST, AUDIOCAPS, ROWS, SEGMENTS, row, write_rows

TYPES = {
    **dict.fromkeys(("id", "dir"), Value("string")),
    **dict.fromkeys(("bos", "eos"), Value("float64")),
    **dict.fromkeys(("aclip", "frame", "labels", "captions"), List(Value("string"))),
}


def write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8", newline="")
    return path


def paths(ds: Dataset, root: Path) -> list[str | None]:
    """Of the audio column, below the root."""
    found = [None if cell is None else cell["path"] for cell in ds["audio"]]
    assert all(one is None or one.startswith(f"{root}/") for one in found)
    return [None if one is None else one.removeprefix(f"{root}/") for one in found]


def test_json_lines_that_are_named_csv(tmp_path: Path) -> None:
    ds = read_index(write_rows(tmp_path / "src_eval_segments.csv"), root=tmp_path)
    assert {name: ds.features[name] for name in TYPES} == TYPES
    assert ds.column_names == [  # the file's own order, then what it lacks
        *("dir", "aclip", "frame", "aclip_128", "id", "bos", "eos", "labels", "captions", "audio")
    ]
    assert ds["bos"][:] == [30.0, 0.5, 10.0]
    assert ds["eos"][:] == [40.0, 9.25, 20.0]
    assert ds["aclip_128"][:] == [None, None, "p0.npz"]
    assert ds["captions"][:] == [None, None, ["a dog", "ein H\u00fcndchen"]]
    for name in ("id", "dir", "aclip", "frame", "labels"):
        assert ds[name][:] == [one[name] for one in ROWS]
    assert paths(ds, tmp_path) == [
        "all_70000_105000/aclip/a1B2c3D4e5F.p0.mp3",
        "all_0_35000/aclip/-p0_withDash.p0.mp3",
        "aclip/ABCDEFGHIJK.p0.mp3",
    ]
    assert ds[0]["audio"]["bytes"] is None  # and reading a row decodes nothing
    assert "audio" not in read_index(tmp_path / "src_eval_segments.csv").column_names


def test_npz_rows_have_texts_and_no_folder(tmp_path: Path) -> None:
    rows = [
        {"aclip": "a/x.npz", "frame": "b/x.npz", "id": "x", "bos": "0.000", "eos": "10.000", "labels": []}
    ]
    ds = read_index(write_rows(tmp_path / "npz_train.csv", [*rows, {**rows[0], "aclip": None}]), tmp_path)
    assert ds["aclip"][:] == [["a/x.npz"], None]
    assert ds["dir"][:] == [None, None]
    assert paths(ds, tmp_path) == ["a/x.npz", None]


def test_the_older_key_clip_names_its_own_folder(tmp_path: Path) -> None:
    rows = [row(aclip=None, clip=["p0.wav"]), row(aclip=None, clip=[])]
    ds = read_index(write_rows(tmp_path / "src.csv", rows), tmp_path)
    assert ds["clip"][:] == [["p0.wav"], []]
    assert paths(ds, tmp_path) == ["all_70000_105000/clip/a1B2c3D4e5F.p0.wav", None]


def test_segments(tmp_path: Path) -> None:
    for name, text in (("a.csv", SEGMENTS), ("b.json", SEGMENTS.replace("\n", "\r\n"))):
        ds = read_index(write(tmp_path / name, text), tmp_path, files="Y{id}.wav")
        assert {name: ds.features[name] for name in TYPES} == TYPES
        assert ds["id"][:] == ["--PJHxphWEs", "-aE2O5G5WE_"]
        assert (ds["bos"][:], ds["eos"][:]) == ([30.0, 0.5], [40.0, 9.25])
        assert ds["labels"][:] == [["/m/09x0r", "/t/dd00088"], ["/m/04rlf"]]
        assert paths(ds, tmp_path) == ["Y--PJHxphWEs.wav", "Y-aE2O5G5WE_.wav"]
    rows_alone = write(tmp_path / "rows.txt", SEGMENTS.split("labels\n")[1])
    assert read_index(rows_alone)["id"][:] == ["--PJHxphWEs", "-aE2O5G5WE_"]


def test_captions_are_gathered_by_clip(tmp_path: Path) -> None:
    ds = read_index(write(tmp_path / "val.csv", AUDIOCAPS), tmp_path, files="{id}_{bos:.0f}_{eos:.0f}.wav")
    assert {name: ds.features[name] for name in TYPES} == TYPES
    assert ds["id"][:] == ["ABCDEFGHIJK", "a1B2c3D4e5F"]
    assert ds["captions"][:] == [["A dog, barking", "Caf\u00e9 noise"], ["Rain falls"]]
    assert (ds["bos"][:], ds["eos"][:]) == ([70.0, 0.0], [80.0, 10.0])
    assert ds["audiocap_id"][:] == [["103549", "103541"], ["103548"]]
    assert paths(ds, tmp_path) == ["ABCDEFGHIJK_70_80.wav", "a1B2c3D4e5F_0_10.wav"]


@pytest.mark.parametrize("indent", [None, 2])
def test_asts_json(tmp_path: Path, indent: int | None) -> None:
    ds = read_index(write(tmp_path / "eval.csv", json.dumps(AST, indent=indent)), tmp_path)
    assert {name: ds.features[name] for name in TYPES} == TYPES
    assert ds["id"][:] == ["--4gqARaEJE", "ABCDEFGHIJK"]
    assert ds["labels"][:] == [["/m/068hy", "/m/0bt9lr"], []]
    assert paths(ds, tmp_path) == [one["wav"] for one in AST["data"]]
    below = {"data": [{"wav": str(tmp_path / "x" / "abc.flac"), "labels": "/m/068hy"}]}  # an id: the name
    ds = read_index(write(tmp_path / "esc.json", json.dumps(below)), tmp_path)
    assert (ds["id"][:], paths(ds, tmp_path)) == (["abc"], ["x/abc.flac"])


def test_keys_and_types_that_come_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrow infers types from a first block: dates would become timestamps, late keys be lost."""
    monkeypatch.setattr("hf_audio_tagger.index.formats.BLOCK_BYTES", 2_000)
    rows = [row(id=f"clip{number}", when="2020-01-01", size=number) for number in range(300)]
    rows[250] |= {"captions": ["late"], "source": {"url": "https://x/y", "n": [1]}, "size": 2.5}
    rows[299] |= {"size": None, "source": {"url": "z", "n": []}}
    ds = read_index(write_rows(tmp_path / "src.csv", rows))
    assert ds["id"][:] == [one["id"] for one in rows]
    assert set(ds["when"]) == {"2020-01-01"}
    assert ds["size"][:] == [one["size"] for one in rows]
    assert ds["captions"][:] == [one.get("captions") for one in rows]
    assert ds["source"][250] == rows[250]["source"]
    assert ds["source"][0] is None


def test_lines_of_any_form(tmp_path: Path) -> None:
    text = "\ufeff" + "".join(
        [json.dumps(one, ensure_ascii=False, separators=(",", ":")) + "\r\n\n" for one in ROWS]
    )
    long = json.dumps(row(captions=["x" * 3_000_000]))
    ds = read_index(write(tmp_path / "src.csv", text + long))
    assert ds["id"][:] == [*(one["id"] for one in ROWS), ROWS[0]["id"]]
    assert len(ds["captions"][3][0]) == 3_000_000


def test_numbers_of_captions_and_times_stay_numbers(tmp_path: Path) -> None:
    rows = [row(captions=[], bos=30, eos=40.5), row(captions=[-1], bos=1.5, eos=2)]
    ds = read_index(write_rows(tmp_path / "a_cap.csv", rows))
    assert ds["captions"][:] == [[], [-1]]
    assert (ds["bos"][:], ds["eos"][:]) == ([30.0, 1.5], [40.5, 2.0])


GOOD = json.dumps(ROWS[0])
WRONG_LINES = {
    "a text where others have a list": (
        json.dumps(row(labels="/m/04rlf")),
        "'labels' must be a list of texts",
    ),
    "a list where others have a text": (json.dumps(row(id=["x"])), "'id' must be a text"),
    "numbers among texts": (json.dumps(row(frame=[1])), "'frame' must be a list"),
    "a number where others have text": (json.dumps(row(bos=3.5)), "'bos' must be a text"),
    "no time": (json.dumps(row(eos="soon")), "'eos' must be seconds"),
    "no finite time": (json.dumps(row(eos="inf")), "'eos' must be seconds"),
    "no id": (json.dumps(row(id=None)), "'id' is missing"),
    "an empty id": (json.dumps(row(id="")), "'id' is missing"),
    "cut": (GOOD[:60], "no JSON object"),
    "two objects": (GOOD + GOOD, "no JSON object"),
    "no object": ("[1, 2]", "must be a JSON object"),
    "a key twice": (GOOD[:-1] + ', "id": "x"}', "a key is there twice"),
    "not a number": (GOOD[:-1] + ', "x": NaN}', "NaN is not JSON"),
    "too deep": (GOOD[:-1] + ', "x": ' + "[" * 200_000 + "]" * 200_000 + "}", "nest too deeply"),
    "deep objects": (GOOD[:-1] + ', "x": ' + '{"a": ' * 200_000 + "1" + "}" * 200_001, "nest too deeply"),
    "spaces around a time": (json.dumps(row(eos=" 40.000")), "'eos' must be seconds"),
    "half a pair": (GOOD[:-1] + ', "x": "\\ud800"}', "no JSON object"),
}


@pytest.mark.parametrize("name", WRONG_LINES)
def test_a_wrong_line_is_an_error_with_its_number(tmp_path: Path, name: str) -> None:
    line, reason = WRONG_LINES[name]
    file = write(tmp_path / "src.csv", f"{GOOD}\n\n{GOOD}\n{line}\n{GOOD}\n")
    with pytest.raises(SettingsError, match=r"src\.csv, line 4: ") as caught:
        read_index(file)
    assert reason in str(caught.value)


def test_brackets_in_texts_do_not_nest(tmp_path: Path) -> None:
    captions = ['[{" \\' * 500, "]" * 900]
    ds = read_index(write_rows(tmp_path / "src.csv", [row(), row(captions=captions)]))
    assert ds["captions"][1] == captions


def test_too_many_keys_are_refused(tmp_path: Path) -> None:
    rows = [row(**{f"key{number}": 1}) for number in range(1_000)]
    with pytest.raises(SettingsError, match=r"line 994: the rows have more than 1,000 different keys"):
        read_index(write_rows(tmp_path / "src.csv", rows))


def test_a_full_disk_is_an_error_that_names_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hf_audio_tagger.index.reading.write_tables", fail)
    with pytest.raises(SettingsError, match=r"cache of datasets.*No space left on device"):
        read_index(write_rows(tmp_path / "src.csv"))


def test_text_that_is_not_utf8_is_an_error_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "src.csv").write_bytes(
        f"{GOOD}\n{GOOD}\n".encode() + GOOD.encode("utf-8").replace(b"a1B", b"\xff")
    )
    with pytest.raises(SettingsError, match=r"src\.csv, line 3: it is not UTF-8"):
        read_index(tmp_path / "src.csv")


@pytest.mark.parametrize(
    "line",
    [
        '"""/m/a"",/m/b,""/m/c"""',  # as a spreadsheet wrote it
        'ABCDEFGHIJK, 30.000, 40.000, """/m/09x0r"""',
        'ABCDEFGHIJK, 30.000, 40.000, "/m/09x0r",,',
        'ABCDEFGHIJK, 30.000, 40.000, "Speech"',
        'ABCDEFGHIJK, 30.000, 40.000, ""',
        'ABCDEFGHIJK, 30.000, 40.000, "/m/09x0r',
        'ABCDEFGHIJK, 30.000, "/m/09x0r"',
        'ABCDEFGHIJK, 30.000, nan, "/m/09x0r"',
        'ABCDEFGHIJK, , 40.000, "/m/09x0r"',
        '../../passwd, 30.000, 40.000, "/m/09x0r"',
        ', 30.000, 40.000, "/m/09x0r"',
    ],
)
def test_a_wrong_segment_is_an_error_with_its_number(tmp_path: Path, line: str) -> None:
    with pytest.raises(SettingsError, match=r"list\.csv, line 6: it must be YTID, start, end"):
        read_index(write(tmp_path / "list.csv", SEGMENTS + line + "\n"))


@pytest.mark.parametrize(
    "line",
    [
        "1,ABCDEFGHIJK,x,text",
        "x",
        "1,ABCDEFGHIJK,3," + "x" * 200_000,
        "1,ABCDEFGHIJK,3",
        "1,ABC,3,text,more",
        "1,,3,text",
    ],
)
def test_a_wrong_caption_is_an_error_with_its_number(tmp_path: Path, line: str) -> None:
    with pytest.raises(SettingsError, match=r"val\.csv, line 5: "):
        read_index(write(tmp_path / "val.csv", AUDIOCAPS + line + "\n"))


@pytest.mark.parametrize("entry", [3, {"wav": ["x"]}, {"video_id": "x", "labels": 3}, {"wav": ""}, {}])
def test_a_wrong_entry_is_an_error_with_its_number(tmp_path: Path, entry: Any) -> None:
    with pytest.raises(SettingsError, match=r"x\.json, entry 3 of 'data': "):
        read_index(write(tmp_path / "x.json", json.dumps({"data": [*AST["data"], entry]})))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('["ID.p0.4_01", [1, 2]]\n', "pairs of captions"),
        ('[12, "a dog barks"]\n', "pairs of captions"),
        ('{"SEED_ID": [["ID", 0.5]]}\n', "is no index"),
        ('{"id": "x", "video": "x.mp4", "bos": 1, "eos": 2}\n', "is no index"),  # a table of videos
        ("video,label\na.mp4,Dog\n", "is no index"),
        ("", "is no index"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        read_index(write(tmp_path / "x.json", text))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        read_index(tmp_path / "src.csv")
    with pytest.raises(SettingsError, match="folder of the clips is not there"):
        read_index(write_rows(tmp_path / "src.csv"), root=tmp_path / "clips")


def test_the_file_is_read_again_only_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_rows(tmp_path / "src.csv")
    first = read_index(file)
    with monkeypatch.context() as patch:
        patch.setattr("hf_audio_tagger.index.json_lines.read_blocks", None)  # would raise
        again = read_index(file)
    assert again[:] == first[:]
    assert again._fingerprint == first._fingerprint  # so that maps are cached as well
    write_rows(file, ROWS[:2])
    assert len(read_index(file)) == 2


def test_real_lists(tmp_path: Path) -> None:
    facts = folder_from("HF_AUDIO_TAGGER_FACTS")
    balanced, evaluation = (
        read_index(facts / f"{name}_segments.csv", tmp_path, files="{id}_{bos:.3f}.flac")
        for name in ("balanced_train", "eval")
    )
    assert (len(balanced), len(evaluation)) == (22_160, 20_371)
    tables = [ds.with_format("arrow")[:] for ds in (balanced, evaluation)]
    assert [len(pc.list_flatten(table["labels"])) for table in tables] == [52_882, 51_804]
    assert not pc.any(pc.is_in(tables[0]["id"], tables[1]["id"])).as_py()
    lengths = [pc.subtract(table["eos"], table["bos"]).to_numpy().round(3) for table in tables]
    assert [int((one < 10).sum()) for one in lengths] == [345, 361]
    assert evaluation[0]["labels"] == ["/m/068hy", "/m/07q6cd_", "/m/0bt9lr", "/m/0jbk"]
    assert paths(evaluation.select([0]), tmp_path) == ["--4gqARaEJE_0.000.flac"]
