"""The operator `video_tagging_from_audio_mapper`: the very lines that are exported.

They are those that py-data-juicer 1.6.1 writes for the same samples, seen by running it with the packaged
checkpoint. Where Data-Juicer drops a sample or stops and this package goes on, the test says so.
"""

import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from recipe_runs import FAILING, META, OPERATOR, lines, link_clips, run_rows, tags_of

from hf_audio_tagger import build_tagger
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.demo.videos import write_video
from hf_audio_tagger.errors import MediaError
from hf_audio_tagger.recipes import Report

Run = Callable[..., Report]


@pytest.fixture
def folder(tmp_path: Path, clips: dict[str, Path]) -> Path:
    return link_clips(tmp_path, clips)


@pytest.fixture
def run(folder: Path) -> Run:
    return partial(run_rows, folder)


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


def test_the_first_channel_is_tagged(run: Run, folder: Path) -> None:
    left, right = synthesize("Siren", 6.0, 44_100, 1), synthesize("White noise", 6.0, 44_100, 2)
    write_video(folder / "clips/stereo.mp4", np.stack([0.02 * left, right]), 44_100)
    assert build_tagger("demo").tag(str(folder / "clips/stereo.mp4")) != "Siren"
    run([{"videos": ["clips/stereo.mp4"], "text": "x"}])
    assert tags_of(folder) == [["Siren"]]


def write_matroska(path: Path, waveform: np.ndarray, rate_hz: int) -> None:
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("aac", rate=rate_hz, layout="mono")
        frame = av.AudioFrame.from_ndarray(waveform[None].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate = rate_hz
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_matroska_is_read_at_its_own_rate(run: Run, folder: Path) -> None:
    """Data-Juicer reads 1000 Hz here, the container's clock, and finds another sound."""
    write_matroska(folder / "clips/siren.mkv", synthesize("Siren", 6.0, 44_100, 7_000), 44_100)
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


def test_a_cell_that_no_video_can_be_fails_alone(run: Run, folder: Path) -> None:
    report = run([{"text": "a", "videos": ["clips/siren.mp4"]}, {"text": "b", "videos": {"x": 1}}])
    assert tags_of(folder) == [["Siren"], [None]]
    assert [(failure.sample, failure.media) for failure in report.failures] == [(1, "<cell>")]
