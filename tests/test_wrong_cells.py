"""Cells that hold no video or sound, or an invalid one."""

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset, load_dataset
from small_clips import write_clips

from hf_audio_tagger import build_tagger, export_predictions
from hf_audio_tagger.cells import NULL_MEDIA, SamplesMedia, parse_cell
from hf_audio_tagger.errors import ColumnError, MediaError
from hf_audio_tagger.runs import tag_dataset


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return write_clips(tmp_path_factory.mktemp("cells"), ("Siren", "White noise", "Dial tone"))


def test_values_of_wrong_types_are_refused() -> None:
    for cell in (3, 0.5, object(), {"url": "x"}, np.zeros(5), [1.0, 2.0]):
        with pytest.raises(ColumnError, match=r"no video or sound"):
            parse_cell(cell)
    assert parse_cell(None) == []
    assert parse_cell({"path": None, "bytes": None}) == []
    assert parse_cell([None]) == [NULL_MEDIA]
    assert parse_cell({"array": None, "sampling_rate": 16_000}) == [NULL_MEDIA]


@pytest.mark.parametrize(
    "sound",
    [
        {"array": [], "sampling_rate": 16_000},
        {"array": [0.0] * 100, "sampling_rate": 0},
        {"array": [0.0] * 100, "sampling_rate": None},
        {"array": [0.0] * 100, "sampling_rate": 10**9},
        {"array": [0.0, np.nan] * 8_000, "sampling_rate": 16_000},
        {"array": [0.0, np.inf] * 8_000, "sampling_rate": 16_000},
        {"array": ["a", "b"], "sampling_rate": 16_000},
        {"array": np.zeros((2, 2, 2)), "sampling_rate": 16_000},
    ],
)
def test_samples_that_are_no_sound(sound: dict[str, Any]) -> None:
    assert isinstance(parse_cell(sound)[0], SamplesMedia)
    with pytest.raises(MediaError, match=r"<samples>: "):
        build_tagger("demo").tag(sound)


WRONG: list[tuple[Any, str]] = [
    ({"path": "x.mp4", "bytes": "text"}, r"x\.mp4: 'bytes' must be the bytes of a file; got str"),
    ({"path": "x.mp4", "bytes": 5}, r"x\.mp4: 'bytes' must be .* got int"),
    ({"path": "x.mp4", "bytes": [1, 2]}, r"x\.mp4: 'bytes' must be .* got list"),
    ({"path": 5}, r"<path>: 'path' must be a text; got int"),
    ({"path": 5, "bytes": b"x"}, r"<path>: 'path' must be a text; got int"),
    ({"path": np.array(["a", "b"])}, r"'path' must be a text; got ndarray"),
    ({"path": ["a.mp4"], "bytes": None}, r"'path' must be a text; got list"),
    ({"array": [[0.0], [0.0, 1.0]], "sampling_rate": 16_000}, r"<samples>: 'array' must be an array"),
    ({"array": [0.0] * 9, "sampling_rate": "fast"}, r"'sampling_rate' must be a whole number.*'fast'"),
    ({"array": [0.0] * 9, "sampling_rate": [16_000, 8_000]}, r"'sampling_rate' must be a whole number"),
    ({"array": [0.0] * 9, "sampling_rate": {}}, r"'sampling_rate' must be a whole number"),
    ({"array": [0.0] * 9, "sampling_rate": np.zeros(2)}, r"'sampling_rate' must be a whole number"),
    ({"array": [0.0] * 9, "sampling_rate": np.nan}, r"'sampling_rate' must be a whole number.*nan"),
    ({"array": [0.0] * 9, "sampling_rate": np.inf}, r"'sampling_rate' must be a whole number.*inf"),
    ({"array": [0.0] * 9, "sampling_rate": 16_000.5}, r"'sampling_rate' must be a whole number.*16000\.5"),
]
NO_SOUND: list[tuple[Any, str]] = [
    ({"array": "text", "sampling_rate": 16_000}, r"<samples>: samples must be numbers"),
    ({"array": 5, "sampling_rate": 16_000}, r"<samples>: samples must be numbers"),
    ({"array": {"a": 1}, "sampling_rate": 16_000}, r"<samples>: samples must be numbers"),
    ({"array": [None, 0.5], "sampling_rate": 16_000}, r"<samples>: samples must be numbers"),
    ({"array": np.array([0.0, "x"], object), "sampling_rate": 16_000}, r"<samples>: samples must be numbers"),
    ({"array": [1j] * 9, "sampling_rate": 16_000}, r"<samples>: samples must be numbers"),
    ({"array": [0.0] * 9, "sampling_rate": True}, r"sample rate must be"),
    ({"array": [0.0] * 9, "sampling_rate": -16_000}, r"sample rate must be .* got -16000"),
    ({"array": [0.0] * 9, "sampling_rate": 0, "path": 7}, r"<samples>: its sample rate must be .* got 0"),
    ({"array": [0.0] * 9, "sampling_rate": 0, "path": "a.wav"}, r"^a\.wav: its sample rate must be .* got 0"),
    ({"path": "", "bytes": None}, ""),
    ({"path": "a\0b.mp4"}, r"null"),
    ({"path": "/" + "a" * 300}, r"name too long"),
    (b"", r"<bytes>: it is empty \(0 bytes\)"),
]


@pytest.mark.parametrize(("cell", "reason"), [*WRONG, *NO_SOUND], ids=lambda value: repr(value)[:40])
def test_an_invalid_cell_fails_alone(files: list[str], cell: Any, reason: str) -> None:
    tagger = build_tagger("demo", on_error="record", batched=True)
    tagged = tagger({"video": [files[0], cell, [files[2], cell, None], files[1], None]})
    assert tagged["video_audio_tags"] == [
        ["Siren"],
        [None],
        ["Dial tone", None, None],
        ["White noise"],
        [],
    ]
    recorded = [tagged["video_audio_error"][1][0], tagged["video_audio_error"][2][1]]
    assert re.search(reason, recorded[0], re.IGNORECASE)
    assert recorded[0] == recorded[1]
    alone = build_tagger("demo", on_error="record", batched=False)({"video": cell})
    assert alone["video_audio_tags"] == [None]
    kind = ColumnError if any(cell is wrong for wrong, _ in WRONG) else MediaError
    with pytest.raises(kind, match=f"(?i){reason}"):
        build_tagger("demo").tag(cell)


@pytest.mark.parametrize("cell", [3, 0.5, True, object(), {"url": "x"}, np.zeros(5), [1.0, 2.0], [["a.mp4"]]])
def test_a_cell_of_a_wrong_type_fails_alone(files: list[str], cell: Any) -> None:
    tagger = build_tagger("demo", on_error="record", batched=True)
    tagged = tagger({"video": [cell, files[0], None, cell]})
    assert tagged["video_audio_tags"] == [[None], ["Siren"], [], [None]]
    assert "is no video or sound" in tagged["video_audio_error"][0][0]
    with pytest.raises(ColumnError, match="is no video or sound"):
        build_tagger("demo", batched=True)({"video": [files[0], cell]})


def test_a_value_of_a_wrong_type_in_a_list_fails_alone(files: list[str]) -> None:
    results = build_tagger("demo", on_error="record").classify([files[0], 5, None, files[1]])
    assert [result.tag for result in results] == ["Siren", None, None, "White noise"]
    assert "type int is no video or sound" in str(results[1].error)


@pytest.mark.parametrize("on_error", ["raise", "record"])
def test_a_column_without_videos_is_refused(on_error: str) -> None:
    """Also with on_error="record": a wrong column is a mistake, and would fail in every row."""
    for values in ([1, 2], [None, 1], [[1.0], []], [{"a": 1}, {"a": 2}]):
        with pytest.raises(ColumnError, match="is no video or sound"):
            build_tagger("demo", batched=True, on_error=on_error)({"video": values})
    with pytest.raises(ColumnError, match="type int is no video"):
        Dataset.from_dict({"video": [1, 2]}).map(build_tagger("demo", on_error=on_error))


def test_a_recorded_cell_can_be_written(files: list[str]) -> None:
    """Names that are not UTF-8 are escaped, in whatever form they are given."""
    name = "lat\udce9in.mp4"
    rows = [
        {"video": files[0]},
        {"video": {"path": name, "bytes": b"no video"}},
        {"video": {"path": name, "bytes": "text"}},
        {"video": {"path": os.fsencode(name), "bytes": None}},
        {"video": {"array": [0.0], "sampling_rate": 0, "path": name}},
        {"video": 3},
    ]
    tagger = build_tagger("demo", on_error="record", batched=True)
    tagged = tagger({"video": [row["video"] for row in rows]})
    errors = tagged["video_audio_error"]
    assert [len(error) for error in errors] == [1] * len(rows)
    assert errors[0] == [None]
    assert all("lat\\udce9in.mp4" in error[0] for error in errors[1:5])
    assert Dataset.from_dict({"error": errors})["error"][:] == errors


def test_rates_of_any_library() -> None:
    for rate in (
        16_000,
        16_000.0,
        np.int64(16_000),
        np.float32(16_000),
        np.array(16_000),
    ):
        media = parse_cell({"array": [0.0] * 9, "sampling_rate": rate})[0]
        assert isinstance(media, SamplesMedia)
        assert media.rate_hz == 16_000
        assert type(media.rate_hz) is int


# Cells of mixed kinds, which `datasets` keeps as JSON


@pytest.fixture
def mixed(files: list[str], tmp_path: Path) -> Path:
    """Rows as a JSON Lines file may have them, some cells of wrong types."""
    name = os.path.relpath(files[0], tmp_path)
    cells = [name, {"x": 1}, None, {"path": files[0]}, 5, [name], [7]]
    lines = [json.dumps({"id": f"row {row}", "video": cell}) for row, cell in enumerate(cells)]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    return tmp_path / "rows.jsonl"


def test_in_a_run_a_wrong_cell_fails_alone(mixed: Path) -> None:
    tagger = build_tagger("demo", on_error="record", batch_size=1, device="cpu")
    dest = mixed.with_name("tagged.jsonl")
    assert tag_dataset(mixed, dest, tagger).failed == 3
    given, made = ([json.loads(line) for line in path.read_text().splitlines()] for path in (mixed, dest))
    heard, failed = ["Siren"], [None]
    assert [row["video_audio_tags"] for row in made] == [heard, failed, [], heard, failed, heard, failed]
    assert [row["video"] for row in made] == [row["video"] for row in given]
    assert made[1]["video_audio_error"][0].startswith('{"x":1}: A cell of type dict is no video')


def test_in_an_export_a_wrong_cell_fails_alone(mixed: Path) -> None:
    tagger = build_tagger("demo", on_error="record", device="cpu")
    labelled = export_predictions(mixed, mixed.with_name("labelled"), tagger=tagger, id_column="id")
    assert (labelled.labelled, labelled.failed) == (3, 3)


@pytest.mark.parametrize("batched", [True, False])
def test_in_a_map_a_wrong_cell_fails_alone(mixed: Path, files: list[str], batched: bool) -> None:
    mixed.write_text(mixed.read_text().replace(os.path.relpath(files[0], mixed.parent), files[0]))
    rows = load_dataset("json", data_files=str(mixed), split="train")
    tagged = rows.map(build_tagger("demo", on_error="record", device="cpu"), batched=batched)
    heard, failed = ["Siren"], [None]
    assert tagged["video_audio_tags"][:] == [heard, failed, [], heard, failed, heard, failed]
