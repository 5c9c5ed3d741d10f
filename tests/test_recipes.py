"""Data-Juicer recipes: what is read, what is tagged, and the very lines that are exported.

The exported lines are those that py-data-juicer 1.6.1 writes for the same samples, seen by running it
with the packaged checkpoint; where this package goes on and Data-Juicer drops a sample or stops, the
test says so.
"""

import errno
import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner, Result

from hf_audio_tagger import build_tagger
from hf_audio_tagger.cli import app
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.demo.videos import write_video
from hf_audio_tagger.errors import MediaError, SettingsError, TaggerError
from hf_audio_tagger.recipes import OPERATORS, Report, read_recipe, run_recipe
from hf_audio_tagger.recipes.export import WRITERS

OPERATOR = "video_tagging_from_audio_mapper"
META = "__dj__meta__"

Rows = list[dict[str, Any]]
Run = Callable[..., Report]


@pytest.fixture(autouse=True)
def _own_environment() -> Iterator[None]:
    """The command silences libraries through the environment; what it sets ends with the test."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory, clips: dict[str, Path]) -> Path:
    """A folder `clips` with named videos."""
    folder = tmp_path_factory.mktemp("media") / "clips"
    folder.mkdir()
    names = {
        "siren": "Siren",
        "dial": "Dial tone",
        "noise": "White noise",
        "mute": "EMPTY",
        "broken": "broken",
    }
    for name, label in names.items():
        shutil.copy(clips[label], folder / f"{name}.mp4")
    left, right = synthesize("Siren", 6.0, 44_100, 1), synthesize("White noise", 6.0, 44_100, 2)
    write_video(folder / "stereo.mp4", np.stack([0.02 * left, right]), 44_100)
    write_matroska(folder / "siren.mkv", synthesize("Siren", 6.0, 44_100, 7_000), 44_100)
    return folder


@pytest.fixture
def folder(tmp_path: Path, media: Path) -> Path:
    """A folder of its own for each test, with the clips in it."""
    shutil.copytree(media, tmp_path / "clips", copy_function=os.link)
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Run:
    """Write samples and a recipe, run it, give back the report."""

    def run_one(rows: Rows, *, options: dict[str, Any] | None = None, **keys: Any) -> Report:
        path = write_rows(folder / "samples.jsonl", rows)
        recipe = write_recipe(folder, options, **{"dataset_path": str(path), **keys})
        return run_recipe(recipe, lambda line: None, overwrite=True)

    return run_one


def write_matroska(path: Path, waveform: np.ndarray, rate_hz: int) -> None:
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("aac", rate=rate_hz, layout="mono")
        frame = av.AudioFrame.from_ndarray(waveform[None].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate = rate_hz
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def write_rows(path: Path, rows: Rows) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def write_recipe(folder: Path, options: dict[str, Any] | None = None, **keys: Any) -> Path:
    """A recipe as people write them: YAML, the packaged checkpoint for a model."""
    process = [{OPERATOR: {"hf_ast": "demo", "accelerator": "cpu", **(options or {})}}]
    recipe = {"export_path": str(folder / "out" / "res.jsonl"), "np": 1, "process": process, **keys}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return path


def lines(folder: Path, name: str) -> list[str]:
    return (folder / "out" / name).read_text(encoding="utf-8").splitlines()


def tags_of(folder: Path, field: str = "video_audio_tags") -> list[Any]:
    return [json.loads(line)[META].get(field) for line in lines(folder, "res_stats.jsonl")]


# What the operator does, on Data-Juicer's format


def test_the_export_is_data_juicers_line_for_line(run: Run, folder: Path) -> None:
    report = run(
        [
            {"videos": ["clips/siren.mp4"], "text": 'été 日本 "q"', "id": 1, "images": ["a.png"]},
            {"videos": ["clips/mute.mp4"], "text": "no sound", "id": 2, "images": None},
            {
                "videos": ["clips/dial.mp4", "clips/mute.mp4", "clips/noise.mp4"],
                "text": "",
                "id": 3,
                "images": [],
            },
            {"videos": [], "text": "none", "id": 4, "images": []},
            {"videos": None, "text": "null", "id": 5, "images": []},
            {
                "videos": [f"{folder}/clips/noise.mp4", "./clips/dial.mp4"],
                "text": "x",
                "id": None,
                "images": [],
            },
        ]
    )
    assert [line.replace(f'"{folder}/', '"/AT/') for line in lines(folder, "res.jsonl")] == [
        '{"videos": ["/AT/clips/siren.mp4"], "text": "été 日本 \\"q\\"", "id": 1, "images": ["/AT/a.png"]}',
        '{"videos": ["/AT/clips/mute.mp4"], "text": "no sound", "id": 2, "images": null}',
        '{"videos": ["/AT/clips/dial.mp4", "/AT/clips/mute.mp4", "/AT/clips/noise.mp4"], "text": "", '
        '"id": 3, "images": []}',
        '{"videos": [], "text": "none", "id": 4, "images": []}',
        '{"videos": null, "text": "null", "id": 5, "images": []}',
        '{"videos": ["/AT/clips/noise.mp4", "/AT/./clips/dial.mp4"], "text": "x", "id": null, "images": []}',
    ]
    assert lines(folder, "res_stats.jsonl") == [
        '{"__dj__meta__": {"video_audio_tags": ["Siren"]}}',
        '{"__dj__meta__": {"video_audio_tags": ["EMPTY"]}}',
        '{"__dj__meta__": {"video_audio_tags": ["Dial tone", "EMPTY", "White noise"]}}',
        '{"__dj__meta__": {"video_audio_tags": []}}',
        '{"__dj__meta__": {"video_audio_tags": []}}',
        '{"__dj__meta__": {"video_audio_tags": ["White noise", "Dial tone"]}}',
    ]
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["res.jsonl", "res_stats.jsonl"]
    assert report.counts == {"tagged": 6, "already tagged": 0, "EMPTY": 2, "failed": 0}
    assert (report.samples, report.failures) == (6, ())


BROUGHT_ALONG = [
    {"videos": ["clips/siren.mp4"], "text": "x", META: {"other": 1}, "__dj__stats__": {"len": 3}, "id": 1},
    {"videos": ["clips/dial.mp4"], "text": "x", META: {"other": 2}, "__dj__stats__": {"len": 4}, "id": 2},
]
STATS_LINES = [
    '{"__dj__stats__": {"len": 3}, "__dj__meta__": {"other": 1, "video_audio_tags": ["Siren"]}}',
    '{"__dj__stats__": {"len": 4}, "__dj__meta__": {"other": 2, "video_audio_tags": ["Dial tone"]}}',
]


@pytest.mark.parametrize("keep", [False, True])
def test_meta_and_stats_that_the_samples_bring_along(run: Run, folder: Path, keep: bool) -> None:
    run(BROUGHT_ALONG, keep_stats_in_res_ds=keep)
    assert lines(folder, "res_stats.jsonl") == STATS_LINES
    kept = ', "__dj__meta__": {"other": 1, "video_audio_tags": ["Siren"]}, "__dj__stats__": {"len": 3}' * keep
    assert lines(folder, "res.jsonl")[0] == (
        f'{{"videos": ["{folder}/clips/siren.mp4"], "text": "x"{kept}, "id": 1}}'
    )


def test_other_export_formats(run: Run, folder: Path) -> None:
    run(BROUGHT_ALONG, export_path=str(folder / "out" / "res.json"), keep_stats_in_res_ds=True)
    rows = json.loads((folder / "out" / "res.json").read_text())
    assert [row[META] for row in rows] == [
        {"other": 1, "video_audio_tags": ["Siren"]},
        {"other": 2, "video_audio_tags": ["Dial tone"]},
    ]
    run(BROUGHT_ALONG, export_path=str(folder / "out" / "res.parquet"), keep_stats_in_res_ds=True)
    table = pq.read_table(folder / "out" / "res.parquet")
    assert table.column_names == ["videos", "text", META, "__dj__stats__", "id"]
    assert table.schema.field(META).type.field("video_audio_tags").type.value_type == pa.string()
    assert table[META].to_pylist() == [row[META] for row in rows]
    assert lines(folder, "res_stats.jsonl") == STATS_LINES


def test_samples_that_have_tags_keep_them(run: Run, folder: Path) -> None:
    report = run(
        [
            {"videos": ["clips/siren.mp4"], "text": "x", META: {"video_audio_tags": ["Kept"], "other": 1}},
            {"videos": ["clips/dial.mp4"], "text": "x", META: {"other": 2}},
            {"videos": ["clips/noise.mp4"], "text": "x", META: {"video_audio_tags": [], "other": 2}},
        ]
    )
    assert lines(folder, "res_stats.jsonl") == [
        '{"__dj__meta__": {"video_audio_tags": ["Kept"], "other": 1}}',
        '{"__dj__meta__": {"other": 2, "video_audio_tags": ["Dial tone"]}}',
        '{"__dj__meta__": {"video_audio_tags": [], "other": 2}}',
    ]
    assert report.counts == {"tagged": 1, "already tagged": 2, "EMPTY": 0, "failed": 0}


def test_null_in_place_of_tags_counts_as_none(run: Run, folder: Path) -> None:
    """Parquet has the field for every sample. Data-Juicer leaves such a null, or drops the sample."""
    meta = pa.array(
        [{"video_audio_tags": ["Kept"]}, {"video_audio_tags": None}, None],
        pa.struct([("video_audio_tags", pa.list_(pa.string()))]),
    )
    videos = [["clips/siren.mp4"], ["clips/dial.mp4"], ["clips/noise.mp4"]]
    pq.write_table(pa.table({"videos": videos, "text": ["a", "b", "c"], META: meta}), folder / "s.parquet")
    run([], dataset_path=str(folder / "s.parquet"))
    assert tags_of(folder) == [["Kept"], ["Dial tone"], ["White noise"]]


def test_the_first_channel_is_heard(run: Run, folder: Path) -> None:
    assert build_tagger("demo").tag(str(folder / "clips/stereo.mp4")) != "Siren"
    run([{"videos": ["clips/stereo.mp4"], "text": "x"}])
    assert tags_of(folder) == [["Siren"]]


def test_matroska_is_heard_at_its_own_rate(run: Run, folder: Path) -> None:
    """Data-Juicer reads 1000 Hz here, the container's clock, and finds another sound."""
    run([{"videos": ["clips/siren.mkv"], "text": "x"}])
    assert tags_of(folder) == [["Siren"]]


def test_names_of_columns_and_fields(run: Run, folder: Path) -> None:
    rows = [{"clips": ["clips/siren.mp4"], "film": ["clips/dial.mp4"], "caption": "x"}]
    run(rows, options={"tag_field_name": "sounds"}, video_key="clips", text_keys=["caption"])
    assert tags_of(folder, "sounds") == [["Siren"]]
    run(rows, options={"video_key": "film"}, video_key="clips", text_keys="caption")
    assert tags_of(folder) == [["Dial tone"]]
    assert json.loads(lines(folder, "res.jsonl")[0])["clips"] == [f"{folder}/clips/siren.mp4"]


def test_samples_without_the_video_column(run: Run, folder: Path) -> None:
    run([{"text": "a"}, {"text": "b", "id": 3}])
    assert lines(folder, "res.jsonl") == ['{"text": "a", "id": null}', '{"text": "b", "id": 3}']
    assert tags_of(folder) == [[], []]


def test_two_operators_in_a_row(run: Run, folder: Path) -> None:
    steps = [{OPERATOR: {"hf_ast": "demo", "tag_field_name": name}} for name in ("one", "two")]
    run([{"videos": ["clips/siren.mp4"], "text": "x"}], process=steps)
    assert lines(folder, "res_stats.jsonl") == ['{"__dj__meta__": {"one": ["Siren"], "two": ["Siren"]}}']


@pytest.mark.timeout(60)
def test_two_processes_export_what_one_does(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    names = ("siren", "dial", "noise", "mute", "broken")
    rows = [{"videos": [f"clips/{name}.mp4"], "text": name} for name in names]
    run(rows, keep_stats_in_res_ds=True)
    alone = [lines(folder, name) for name in ("res.jsonl", "res_stats.jsonl", "res_failed.jsonl")]
    report = run(rows, keep_stats_in_res_ds=True, np=2)
    assert [lines(folder, name) for name in ("res.jsonl", "res_stats.jsonl", "res_failed.jsonl")] == alone
    assert report.counts == {"tagged": 4, "already tagged": 0, "EMPTY": 1, "failed": 1}


# Videos that cannot be read. Data-Juicer drops their samples


FAILING: Rows = [
    {"videos": ["clips/siren.mp4"], "text": "a"},
    {"videos": ["clips/dial.mp4", "clips/broken.mp4"], "text": "b"},
    {"videos": ["clips/missing.mp4"], "text": "c"},
    {"videos": [None], "text": "d"},
]


def test_a_failed_sample_is_kept_and_listed(run: Run, folder: Path) -> None:
    report = run(FAILING)
    assert [json.loads(line)["text"] for line in lines(folder, "res.jsonl")] == ["a", "b", "c", "d"]
    assert tags_of(folder) == [["Siren"], ["Dial tone", None], [None], [None]]
    listed = [json.loads(line) for line in lines(folder, "res_failed.jsonl")]
    assert [(one["sample"], one["media"]) for one in listed] == [
        (1, f"{folder}/clips/broken.mp4"),
        (2, f"{folder}/clips/missing.mp4"),
        (3, "<null>"),
    ]
    assert "No such file" in listed[1]["reason"]
    assert report.counts == {"tagged": 1, "already tagged": 0, "EMPTY": 0, "failed": 3}


def test_a_failed_sample_is_tagged_when_its_video_is_mended(run: Run, folder: Path) -> None:
    run(FAILING[:3], keep_stats_in_res_ds=True)
    result = (folder / "out" / "res.jsonl").rename(folder / "before.jsonl")
    for name in ("broken", "missing"):
        (folder / f"clips/{name}.mp4").unlink(missing_ok=True)
        shutil.copy(folder / "clips/noise.mp4", folder / f"clips/{name}.mp4")
    report = run([], dataset_path=str(result))
    assert tags_of(folder) == [["Siren"], ["Dial tone", "White noise"], ["White noise"]]
    assert report.counts == {"tagged": 2, "already tagged": 1, "EMPTY": 0, "failed": 0}
    assert not (folder / "out" / "res_failed.jsonl").exists()


def test_skip_op_error_false_ends_the_run(run: Run, folder: Path) -> None:
    with pytest.raises(MediaError, match=r"broken\.mp4"):
        run(FAILING, skip_op_error=False)
    assert not (folder / "out").exists()


# Samples


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
    with pytest.raises(SettingsError, match=r"no column 'caption'\. They have: text, more"):
        run_recipe(
            write_recipe(folder, dataset_path=str(path), text_keys="caption", process=[]), overwrite=True
        )


def test_a_cell_that_no_video_can_be_fails_alone(run: Run, folder: Path) -> None:
    report = run([{"text": "a", "videos": ["clips/siren.mp4"]}, {"text": "b", "videos": {"x": 1}}])
    assert tags_of(folder) == [["Siren"], [None]]
    assert [(failure.sample, failure.media) for failure in report.failures] == [(1, "<cell>")]


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


# Recipes


def test_what_a_recipe_leaves_out(folder: Path) -> None:
    path = folder / "short.json"
    path.write_text(json.dumps({"dataset_path": "x.jsonl", "np": None}))
    recipe = read_recipe(path)
    assert str(recipe.export_path) == "outputs/hello_world/hello_world.jsonl"
    assert (recipe.processes, recipe.video_key, recipe.text_keys) == (4, "videos", None)
    assert (recipe.keep_stats, recipe.skip_errors, recipe.steps) == (False, True, ())
    tagger = OPERATORS[OPERATOR]({}, recipe, print).tagger  # type: ignore[attr-defined]
    assert tagger.model == "MIT/ast-finetuned-audioset-10-10-0.4593"
    assert (tagger.trust_remote_code, tagger.channels, tagger.device) == (False, "first", None)


def test_yaml_is_loaded_safely(folder: Path) -> None:
    path = folder / "evil.yaml"
    path.write_text(f"dataset_path: !!python/object/apply:os.system ['touch {folder}/was_here']\n")
    with pytest.raises(SettingsError, match="could not determine a constructor"):
        read_recipe(path)
    assert not (folder / "was_here").exists()


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("- a\n", "a recipe maps keys to values; this is of type list"),
        ("", "this is empty"),
        ("a: [1", "cannot be parsed"),
        ("np: 2", "dataset_path is missing"),
        ("dataset: {configs: []}", "The key 'dataset' is not read"),
        ("dataset_path: nowhere.jsonl", "there is no file or folder .*nowhere.jsonl"),
        ("dataset_path: recipe.yaml", r"samples are read from \.jsonl"),
        ("dataset_path: x\nnp: 0", "np=0 cannot be"),
        ("dataset_path: x\nnp: true", "np=True cannot be"),
        ("dataset_path: x\ntext_keys: {a: 1}", "text_keys="),
        ("dataset_path: x\nkeep_stats_in_res_ds: 'no'", "it is true or false"),
        ("dataset_path: x\nexport_path: out/res", r"must end in \.jsonl, \.json, \.parquet"),
        ("dataset_path: x\nexport_path: s3://b/res.jsonl", "only local files"),
        ("dataset_path: x\nprocess: op", "it is a list of operators"),
        ("dataset_path: x\nprocess: [{a: 1, b: 2}]", "is no entry"),
        ("dataset_path: x\nprocess: [{a: 1}]", "not a mapping"),
        (f"dataset_path: x\nprocess: [nsfw_filter: , other: , {OPERATOR}: ]", "(?s)is no entry|Unknown"),
        (
            f"dataset_path: x\nprocess: [{OPERATOR}: {{hf_asst: demo}}]",
            "no option 'hf_asst'. It has: accelerator,",
        ),
        (f"dataset_path: x\nprocess: [{OPERATOR}: {{accelerator: tpu}}]", "it is cpu or cuda"),
        (f"dataset_path: x\nprocess: [{OPERATOR}: {{trust_remote_code: 1}}]", "trust_remote_code=1"),
        (f"dataset_path: x\nprocess: [{OPERATOR}: {{tag_field_name: ''}}]", "tag_field_name=''"),
    ],
)
def test_wrong_recipes_are_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, recipe: str, message: str
) -> None:
    monkeypatch.chdir(folder)
    (folder / "recipe.yaml").write_text(recipe)
    with pytest.raises(SettingsError, match=message):
        run_recipe("recipe.yaml", lambda line: None)


def test_an_export_that_is_there_is_kept_unless_asked_otherwise(folder: Path) -> None:
    recipe = write_recipe(
        folder, dataset_path=str(write_rows(folder / "s.jsonl", [{"text": "a"}])), process=[]
    )
    (folder / "out").mkdir()
    for name in ("res.jsonl", "res_stats.jsonl", "res_failed.jsonl"):
        (folder / "out" / name).write_text("mine")
        with pytest.raises(SettingsError, match=rf"{name} is there already\. --overwrite"):
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
    ("dataset", "export", "told"),
    [
        ("s.jsonl", "s.jsonl", "is a file that this recipe reads"),
        ("s.jsonl", "clips/../s.jsonl", "is a file that this recipe reads"),
        ("s.jsonl", "link.jsonl", "is a file that this recipe reads"),
        ("s.jsonl", "hard.jsonl", "is a file that this recipe reads"),
        ("1.0 x_stats.jsonl", "x.jsonl", "is a file that this recipe reads"),
        ("1.0 x_failed.jsonl", "x.jsonl", "is a file that this recipe reads"),
        ("s.jsonl", "recipe.json", "is a file that this recipe reads"),
        ("data", "data/res.jsonl", "lies in .*data, whose files are the samples"),
        ("data", "out/data/../../data/sub/res.parquet", "lies in .*data, whose files are the samples"),
        ("data", "s.jsonl", "is a file that this recipe reads"),
        ("s.jsonl", "made.jsonl", "is a folder"),
    ],
)
def test_what_is_read_is_never_written_over(
    folder: Path, monkeypatch: pytest.MonkeyPatch, dataset: str, export: str, told: str
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
    with pytest.raises(SettingsError, match=told):
        run_recipe(recipe, lambda line: None, overwrite=True)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join(['*' + before] * 9)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {k: v}\n" + "".join(
    f"n{number}: &n{number} {{<<: [{', '.join([f'*{before}'] * 2)}]}}\n"
    for number, before in enumerate(["a", *(f"n{number}" for number in range(40))])
)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("r.yaml", f"{BOMB}dataset_path: *i\n", "more than 10,000 values"),
        ("r.yaml", f"{BOMB}process: [*i]\n", "more than 10,000 values"),
        ("r.yaml", MERGES, "more than 10,000 values"),
        ("r.yaml", f"a: &a {'x' * 9_999}\nb: [{'*a, ' * 200}]\n", "more than 1,048,576 characters"),
        ("r.yaml", "a: &a [*a]\n", "an alias stands in what it stands for"),
        ("r.yaml", "[" * 60, "more than 50 levels"),
        ("r.json", "[" * 60 + "]" * 60, "more than 50 levels"),
        ("r.json", "[" * 9_000 + "]" * 9_000, "cannot be parsed"),
        ("r.yaml", "# " + "x" * (1 << 19), "more than 524,288 bytes"),
        ("r.json", '"' + "x" * (1 << 19) + '"', "more than 524,288 bytes"),
    ],
    ids=[
        "bomb",
        "in a list",
        "merges",
        "long",
        "itself",
        "deep",
        "deep json",
        "deeper",
        "large",
        "large json",
    ],
)
def test_a_recipe_that_would_grow_is_refused(folder: Path, name: str, text: str, told: str) -> None:
    (folder / name).write_text(text)
    with pytest.raises(SettingsError, match=told) as refused:
        read_recipe(folder / name)
    assert len(str(refused.value)) < 1_000


def test_aliases_and_merges_that_stay_small_are_read(folder: Path) -> None:
    path = folder / "r.yaml"
    path.write_text(
        "common: &common {hf_ast: demo}\nnames: &names [a, b]\ndataset_path: x\ntext_keys: *names\n"
        f"process:\n  - {OPERATOR}: {{<<: *common, accelerator: cpu}}\n  - {OPERATOR}: *common\n"
    )
    recipe = read_recipe(path)
    assert recipe.text_keys == ("a", "b")
    assert [dict(step.options) for step in recipe.steps] == [
        {"hf_ast": "demo", "accelerator": "cpu"},
        {"hf_ast": "demo"},
    ]


def test_a_wrong_value_is_cut_in_its_error(folder: Path) -> None:
    (folder / "r.yaml").write_text(f"dataset_path: x\nnp: [{'word, ' * 3_000}]\n")
    with pytest.raises(SettingsError, match=r"np=\['word'.*\.\.\. cannot be") as refused:
        read_recipe(folder / "r.yaml")
    assert len(str(refused.value)) < 500


def test_samples_whose_names_are_no_utf8_are_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rows(folder / "s.jsonl", [])
    (folder / "s.jsonl").write_bytes(b'{"text": "a", "videos": ["lat\xe9in.mp4"]}\n')
    with pytest.raises(TaggerError, match=r"the samples cannot be read.*UTF8"):
        run_recipe(write_recipe(folder, dataset_path=str(folder / "s.jsonl"), process=[]))
    odd = Path(os.fsdecode(os.path.join(os.fsencode(folder), b"d\xe9r")))
    try:
        odd.mkdir()
    except (OSError, UnicodeError):
        pytest.skip("this file system takes UTF-8 names alone")
    write_rows(odd / "s.jsonl", [{"text": "a", "videos": ["a.mp4"]}])
    monkeypatch.chdir(odd)
    with pytest.raises(SettingsError, match=r"d\\xe9r/s.jsonl: its name is no UTF-8.*rename it"):
        run_recipe(write_recipe(folder, dataset_path="s.jsonl", process=[]))


# The command


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["run", *map(str, arguments)])


def test_unknown_operators_are_named_with_the_known_ones(folder: Path) -> None:
    steps = [{"nsfw_filter": {}}, {OPERATOR: None}, {"text_fixer": None}]
    done = invoke(write_recipe(folder, dataset_path="x", process=steps))
    assert done.exit_code == 1
    assert done.stderr == f"Unknown operators: nsfw_filter, text_fixer. Known: {', '.join(OPERATORS)}.\n"
    assert OPERATOR in OPERATORS


def test_ignored_keys_have_a_line_each(folder: Path) -> None:
    path = write_rows(folder / "s.jsonl", [{"videos": [], "text": "x"}])
    options = {"batch_size": 3, "num_proc": 2}
    recipe = write_recipe(folder, options, dataset_path=str(path), project_name="p", open_tracer=True)
    done = invoke(recipe)
    assert (done.exit_code, done.stdout.splitlines()[0]) == (
        0,
        "1 samples, 1 tagged, 0 already tagged, 0 EMPTY, 0 failed",
    )
    assert sorted(done.stderr.splitlines()) == [
        "Ignored: open_tracer",
        "Ignored: project_name",
        f"Ignored: {OPERATOR}.batch_size",
        f"Ignored: {OPERATOR}.num_proc",
    ]


def test_a_run_that_cannot_go_on_exits_with_2(folder: Path) -> None:
    path = write_rows(folder / "s.jsonl", FAILING)
    done = invoke(write_recipe(folder, dataset_path=str(path), skip_op_error=False))
    assert done.exit_code == 2
    assert "broken.mp4" in done.stderr
    (folder / "s.jsonl").write_text('{"text": "a"\n')
    done = invoke(write_recipe(folder, dataset_path=str(path)))
    assert (done.exit_code, "the samples cannot be read" in done.stderr) == (2, True)


@pytest.mark.timeout(100)
def test_the_command_in_the_recipes_folder(folder: Path, tmp_path: Path) -> None:
    """As a person runs it: relative paths in the recipe start from the current folder."""
    write_rows(folder / "s.jsonl", [*FAILING[:3], {"videos": ["clips/mute.mp4"], "text": "e"}])
    write_recipe(folder, dataset_path="s.jsonl", export_path="res/res.jsonl", turbo=False)
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "hf_audio_tagger", "run", "recipe.yaml", "--json"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3, done.stderr
    assert done.stderr == "Ignored: turbo\n"
    summary = json.loads(done.stdout)
    assert {key: summary[key] for key in ("samples", "tagged", "EMPTY", "failed")} == {
        "samples": 4,
        "tagged": 2,
        "EMPTY": 1,
        "failed": 2,
    }
    assert summary["written"] == ["res/res_stats.jsonl", "res/res_failed.jsonl", "res/res.jsonl"]
    stats = (folder / "res" / "res_stats.jsonl").read_text().splitlines()
    assert [json.loads(line)[META]["video_audio_tags"] for line in stats] == [
        ["Siren"],
        ["Dial tone", None],
        [None],
        ["EMPTY"],
    ]
