"""Durations and sizes in a map, against figures that are known of the files."""

import wave
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from datasets import Dataset, Features, List, Value, Video

from hf_audio_tagger import audio_duration, audio_size, video_aspect_ratio, video_duration, video_resolution
from hf_audio_tagger.demo.videos import write_video
from hf_audio_tagger.errors import MediaError, SettingsError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    for name, codec in {"a.mp4": "mpeg4", "a.mkv": "mpeg4", "a.webm": "vp8"}.items():
        with av.open(str(folder / name), "w") as container:
            stream = container.add_stream(codec, rate=3)
            stream.width, stream.height, stream.pix_fmt = 40, 30, "yuv420p"
            for _ in range(7):
                picture = av.VideoFrame.from_ndarray(np.zeros((30, 40, 3), np.uint8), format="rgb24")
                container.mux(stream.encode(picture))
            container.mux(stream.encode(None))
    with wave.open(str(folder / "a.wav"), "wb") as file:
        file.setparams((2, 2, 22_050, 5_000, "NONE", ""))
        file.writeframes(bytes(4 * 5_000))
    write_video(folder / "sound.mp4", np.zeros(48_000, np.float32), 48_000, seconds=2.0)
    (folder / "raw.h264").write_bytes(b"\0\0\0\1\x67" + bytes(100))
    return folder


def test_a_map_adds_typed_lists(folder: Path) -> None:
    rows = Dataset.from_dict({"videos": [[], [f"{folder}/a.mp4", f"{folder}/a.mkv"], [f"{folder}/a.webm"]]})
    kinds = {
        video_duration(): (Value("float64"), [[], [2.333333, 2.333], [2.333]]),
        video_duration(decimals=None): (Value("float64"), [[], [7 / 3, 2.333], [2.333]]),
        video_aspect_ratio(): (Value("float64"), [[], [4 / 3, 4 / 3], [4 / 3]]),
        audio_size(): (
            Value("int64"),
            [[], [(folder / f"a.{suffix}").stat().st_size for suffix in ("mp4", "mkv")], None],
        ),
    }
    kinds[audio_size()][1][2] = [(folder / "a.webm").stat().st_size]
    size = {"width": 40, "height": 30}
    kinds[video_resolution()] = (
        {"width": Value("int64"), "height": Value("int64")},
        [[], [size, size], [size]],
    )
    for measure, (kind, expected) in kinds.items():
        there = rows.map(measure, batched=True)
        assert there[measure.name][:] == expected
        assert there.features[measure.name] == List(kind)


def test_bytes_and_decoded_sound(folder: Path) -> None:
    data = (folder / "a.mp4").read_bytes()
    rows = Dataset.from_dict(
        {"video": [{"path": None, "bytes": data}]}, features=Features({"video": Video()})
    )
    assert rows.map(video_duration())["video_duration"][:] == [[2.333333]]
    assert rows.map(audio_size())["audio_sizes"][:] == [[len(data)]]
    sound = {"array": [0.0] * 800, "sampling_rate": 16_000}
    assert audio_duration().compute([sound, str(folder / "a.wav")]) == [0.05, 5_000 / 22_050]


def test_a_durations_sound_is_counted_and_not_read_from_the_header(folder: Path) -> None:
    """AAC adds silence before a sound, and fills its last frame."""
    with av.open(str(folder / "sound.mp4")) as container:
        samples = sum(frame.samples for frame in container.decode(audio=0))
    assert samples != 48_000
    assert audio_duration().compute(str(folder / "sound.mp4")) == samples / 48_000
    assert video_duration().compute(str(folder / "sound.mp4")) == 2.0


@pytest.mark.parametrize(
    ("measure", "cell", "words"),
    [
        (video_duration(), "a.wav", "a.wav: it has no video stream"),
        (video_resolution(), "a.wav", "it has no video stream"),
        (audio_duration(), "a.mp4", "a.mp4: it has no audio stream"),
        (audio_size(), "none.mp4", "none.mp4: No such file"),
        (video_duration(), "none.mp4", "none.mp4: No such file"),
        (video_aspect_ratio(), {"array": [0.0], "sampling_rate": 8_000}, "decoded sound, without a picture"),
        (audio_size(), {"array": [0.0], "sampling_rate": 8_000}, "decoded sound, not a file"),
    ],
)
def test_what_cannot_be_measured_says_why(folder: Path, measure: Any, cell: Any, words: str) -> None:
    with pytest.raises(MediaError, match=words):
        measure.compute(str(folder / cell) if isinstance(cell, str) else cell)


def test_a_failure_is_recorded_beside_the_others(folder: Path) -> None:
    rows = Dataset.from_dict({"clip": [[f"{folder}/a.mp4", f"{folder}/a.wav"], [None]]})
    there = rows.map(video_duration(column="clip", on_error="record"), num_proc=2)
    assert there["video_duration"][:] == [[2.333333, None], [None]]
    assert [[bool(error) for error in row] for row in there["video_duration_error"]] == [
        [False, True],
        [True],
    ]


@pytest.mark.parametrize("decimals", [-1, 16, 2.0, "6"])
def test_decimals_are_checked(decimals: Any) -> None:
    with pytest.raises(SettingsError, match="decimals must be None or a whole number from 0 to 15"):
        video_duration(decimals=decimals)
