"""The base of maps that add one value for each video: kinds of rows, duplicates, failures, fingerprints."""

import os
import pickle
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest
from datasets import Dataset, Features, List, Value, Video
from datasets.fingerprint import Hasher

from hf_audio_tagger.cells import BytesMedia, FileMedia, Media
from hf_audio_tagger.errors import MediaError, ResourceError, SettingsError
from hf_audio_tagger.measures.base import Measure, without_effect

MEASURED: list[str] = []  # the names of clips that were measured in this process


@dataclass(frozen=True, kw_only=True)
class ByteCount(Measure):
    """The size of a file, times a factor."""

    name: ClassVar[str] = "video_bytes"
    value_type: ClassVar[pa.DataType] = pa.int64()

    factor: int = 1
    threads: int = without_effect(2)

    def measure(self, media: Media) -> int:
        MEASURED.append(media.name)
        if isinstance(media, BytesMedia):
            return len(media.data) * self.factor
        assert isinstance(media, FileMedia)
        if media.path.endswith(".locked"):
            raise MediaError(f"{media.name}: it is locked.")
        return os.stat(media.path).st_size * self.factor


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Files of 10, 20 and 30 bytes."""
    MEASURED.clear()
    paths = [tmp_path / f"{size}.mp4" for size in (10, 20, 30)]
    for path in paths:
        path.write_bytes(b"x" * int(path.stem))
    return list(map(str, paths))


def test_a_row_and_a_batch_get_one_value_for_each_video(files: list[str]) -> None:
    rows = Dataset.from_dict({"videos": [[], files[:2], None, files[2:]]})
    expected = [[], [10, 20], [], [30]]
    for options in ({}, {"batched": True}, {"batched": True, "num_proc": 2}):
        there = rows.map(ByteCount(), **options)
        assert there["video_bytes"][:] == expected
        assert there.features["video_bytes"] == List(Value("int64"))
        assert there.features == ByteCount().features(rows.features)


def test_rows_without_videos_have_a_typed_list() -> None:
    there = Dataset.from_dict({"videos": [[], []]}).map(ByteCount())
    assert there["video_bytes"][:] == [[], []]
    assert there.features["video_bytes"] == List(Value("int64"))


def test_every_kind_of_cell_is_read(files: list[str], tmp_path: Path) -> None:
    data = Path(files[2]).read_bytes()
    paths = Dataset.from_dict({"video": files})
    videos = Dataset.from_dict(
        {"video": [files[0], {"path": None, "bytes": data}]}, features=Features({"video": Video()})
    )
    assert paths.map(ByteCount())["video_bytes"][:] == [[10], [20], [30]]
    assert videos.map(ByteCount())["video_bytes"][:] == [[10], [30]]
    assert videos.map(ByteCount(), batched=True)["video_bytes"][:] == [[10], [30]]
    assert paths.with_format("arrow").map(ByteCount(), batched=True)["video_bytes"].to_pylist() == [
        [10],
        [20],
        [30],
    ]
    stream = paths.to_iterable_dataset().map(ByteCount())
    assert [row["video_bytes"] for row in stream] == [[10], [20], [30]]
    named = Dataset.from_dict({"clip": files[::2]}).map(ByteCount(column="clip", output_column="size"))
    assert named["size"][:] == [[10], [30]]


def test_one_video_is_computed_without_a_dataset(files: list[str]) -> None:
    assert ByteCount().compute(files[0]) == 10
    assert ByteCount().compute(files[:2]) == [10, 20]
    assert ByteCount().compute(b"four") == 4
    assert ByteCount().compute([]) == []


def test_duplicates_in_a_batch_are_measured_once(files: list[str]) -> None:
    batch = {"videos": [files[:2], [files[0]], [files[1], files[1]], [b"abc"], [b"abc"]]}
    there = ByteCount(batched=True)(batch)
    assert there["video_bytes"] == [[10, 20], [10], [20, 20], [3], [3]]
    assert [*files[:2], "<bytes>"] == MEASURED
    urls = [FileMedia("s3://bucket/a.locked")] * 2
    ByteCount(on_error="record").measure_all(urls)
    assert MEASURED[3:] == ["s3://bucket/a.locked"]


def test_a_failure_is_raised_or_recorded(files: list[str]) -> None:
    gone, locked = files[0] + ".gone", files[0] + ".locked"
    rows = Dataset.from_dict({"videos": [[files[0], gone], [locked], [None, files[1]], []]})
    with pytest.raises(MediaError, match=r"10\.mp4\.gone: decoding it failed \(FileNotFoundError"):
        rows.map(ByteCount())
    with pytest.raises(MediaError, match="it is locked"):
        rows.select([1]).map(ByteCount())
    there = rows.map(ByteCount(on_error="record"), batched=True)
    assert there["video_bytes"][:] == [[10, None], [None], [None, 20], []]
    reasons = there["video_bytes_error"][:]
    assert [[reason is None for reason in row] for row in reasons] == [
        [True, False],
        [False],
        [False, True],
        [],
    ]
    assert reasons[1] == [f"{locked}: it is locked."]
    assert "only a null in the list" in reasons[2][0]
    assert there.features["video_bytes_error"] == List(Value("string"))
    # Errors of an earlier map do not stand beside values that replace them.
    again = there.select([2, 3]).remove_columns("videos").add_column("videos", [[files[0]], []])
    assert again.map(ByteCount())["video_bytes_error"][:] == [[None], []]


def test_exhausted_memory_is_no_fault_of_the_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: ByteCount, media: Media) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(ByteCount, "measure", fail)
    with pytest.raises(ResourceError, match="too many files are open"):
        ByteCount(on_error="record").compute("a.mp4")


def test_the_fingerprint_is_what_can_change_a_value(tmp_path: Path) -> None:
    plain = ByteCount()
    assert pickle.loads(pickle.dumps(ByteCount(factor=3, batched=True))) == ByteCount(factor=3, batched=True)
    assert Hasher.hash(ByteCount(threads=7, batched=True)) == Hasher.hash(plain)
    others = [
        ByteCount(factor=2),
        ByteCount(column="videos"),
        ByteCount(output_column="size"),
        ByteCount(on_error="record"),
    ]
    assert len({Hasher.hash(one) for one in [plain, *others]}) == 5
    code = (
        "import test_measures; from datasets.fingerprint import Hasher; "
        "print(Hasher.hash(test_measures.ByteCount()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == Hasher.hash(plain), done.stderr


def test_a_class_of_a_notebook_is_hashed_with_its_code() -> None:
    def define(plus: int) -> Measure:
        names: dict[str, Any] = {"__name__": "__main__", "Measure": Measure}
        body = (
            "class Length(Measure):\n"
            "    name = 'video_length'\n"
            f"    def measure(self, media):\n        return len(media.name) + {plus}\n"
        )
        exec(body, names)
        measure: Measure = names["Length"]()
        return measure

    assert Hasher.hash(define(1)) == Hasher.hash(define(1)) != Hasher.hash(define(2))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"on_error": "skip"},
            "on_error must be one of 'raise', 'record'; got 'skip'. Did you mean 'record'?",
        ),
        ({"column": ""}, "column must be a column's name or None; got ''."),
        ({"output_column": 3}, "output_column must be a column's name or None; got 3."),
        ({"batched": "yes"}, "batched must be True, False or None; got 'yes'."),
    ],
)
def test_wrong_settings_are_refused_at_once(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        ByteCount(**settings)
    assert str(caught.value) == message


def test_an_index_is_not_taken_for_a_rank(files: list[str]) -> None:
    with pytest.raises(SettingsError, match="with_indices"):
        Dataset.from_dict({"video": files}).map(ByteCount(), with_indices=True)


def test_an_error_that_cannot_be_pickled_reaches_the_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    error = MediaError("a.mp4: it is broken.")
    error.lock = threading.Lock()  # type: ignore[attr-defined]

    def fail(self: ByteCount, media: Media) -> int:
        raise error

    monkeypatch.setattr(ByteCount, "measure", fail)
    with pytest.raises(Exception, match=r"a\.mp4: it is broken") as caught:
        ByteCount()({"video": "a.mp4"})
    assert pickle.loads(pickle.dumps(caught.value)).args == caught.value.args
