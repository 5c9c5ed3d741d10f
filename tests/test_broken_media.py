"""Files that are broken, empty or claim too much: each is reported within a second, in bounded memory."""

import io
import os
import socket
import tempfile
import time
import tracemalloc
import wave
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import hostile_media
import numpy as np
import pytest
from datasets import Dataset, Features, List, Value
from hostile_media import A_MOMENT_SECONDS, DECODERS, refusal, wav
from sound_files import KINDS, Kind, tones, write_sound

from hf_audio_tagger import build_tagger
from hf_audio_tagger.cells import parse_cell
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.demo.videos import write_video
from hf_audio_tagger.errors import MediaError
from hf_audio_tagger.media.audio import open_sound

loaded_decoders = hostile_media.loaded_decoders
pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("loaded_decoders")]


@pytest.mark.parametrize("form", ["path", "bytes", "struct", "url"])
def test_an_empty_file_is_called_empty(tmp_path: Path, form: str) -> None:
    """Not "invalid data": an empty file is mostly a download that failed."""
    path = tmp_path / "empty.mp4"
    path.touch()
    cell, name = {
        "path": (str(path), str(path)),
        "bytes": (b"", "<bytes>"),
        "struct": ({"path": str(path), "bytes": b""}, str(path)),
        "url": (f"file://{path}", f"file://{path}"),
    }[form]
    assert refusal(cell) == f"{name}: it is empty (0 bytes)."


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An mp4 with its index in front, which can be cut in the middle of its sound."""
    folder = tmp_path_factory.mktemp("whole")
    write_video(folder / "a.mp4", synthesize("Siren", 4.0, 44_100, 0), 44_100)
    with (
        av.open(str(folder / "a.mp4")) as given,
        av.open(str(folder / "b.mp4"), "w", options={"movflags": "faststart"}) as made,
    ):
        streams = {stream.index: made.add_stream_from_template(stream) for stream in given.streams}
        for packet in given.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                made.mux(packet)
    return (folder / "b.mp4").read_bytes()


def png() -> bytes:
    picture = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
    file = io.BytesIO()
    with av.open(file, "w", format="image2pipe") as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
        container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return file.getvalue()


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "one byte": lambda _: b"x",
    "random": lambda _: np.random.default_rng(0).bytes(100_000),
    "zeros": lambda _: bytes(100_000),
    "text": lambda _: b"these are words, not a video. " * 100,
    "html": lambda _: b"<!DOCTYPE html><html><body>404</body></html>" * 10,
    "png": lambda _: png(),
    "pdf": lambda _: b"%PDF-1.4\n" + b"1 0 obj << >> endobj\n" * 50,
    "no index": lambda mp4: mp4[mp4.index(b"mdat") - 4 :],
    "cut in the index": lambda mp4: mp4[:600],
    "cut before the sound": lambda mp4: mp4[: mp4.index(b"mdat") + 4],
}


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("form", ["path", "bytes"])
def test_broken_files_are_reported(tmp_path: Path, whole: bytes, form: str, decoder: str) -> None:
    for name, make in BROKEN.items():
        path = tmp_path / f"{name}.mp4"
        path.write_bytes(make(whole))
        cell: Any = str(path) if form == "path" else {"path": str(path), "bytes": make(whole)}
        message = refusal(cell, decoder)
        assert str(path) in message, name
        assert "\n" not in message
        if name == "cut before the sound" and decoder in ("auto", "pyav"):
            assert message.endswith("no sound can be decoded from it.")


@pytest.mark.parametrize("decoder", ["auto", "pyav"])
def test_a_file_that_breaks_off_is_decoded_up_to_there(whole: bytes, decoder: str) -> None:
    assert build_tagger("demo", decoder=decoder).tag(whole[: len(whole) * 2 // 3]) == "Siren"


def test_places_that_are_no_files(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo.mp4"
    os.mkfifo(fifo)
    sockets = tempfile.TemporaryDirectory(dir="/tmp")  # the system limits the length of a socket's path
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(f"{sockets.name}/s.mp4")
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "dangling.mp4").symlink_to(tmp_path / "nothing")
    (tmp_path / "loop.mp4").symlink_to(tmp_path / "loop.mp4")
    for place, reason in {
        str(fifo): "regular",
        f"file://{fifo}": "regular",
        f"zip://a.mp4::{fifo}": "regular",
        f"simplecache::file://{fifo}": "regular",
        f"{sockets.name}/s.mp4": "regular",
        "/dev/zero": "regular",
        "/dev/stdin": "",
        "/dev/fd/0": "",
        "file:///dev/zero": "regular",
        "local:///dev/zero": "regular",
        "/proc/self/mem": "",
        str(tmp_path / "folder.mp4"): "directory",
        str(tmp_path / "missing.mp4"): "No such file",
        str(tmp_path / "dangling.mp4"): "No such file",
        str(tmp_path / "loop.mp4"): "",
        "/" + "a" * 5_000: "",
        "nonsense://a.mp4": "",
        "zip://a.mp4::" + str(tmp_path / "missing.zip"): "No such file",
    }.items():
        message = refusal(place)
        assert reason in message, place
        assert place[:200] in message, place
    listening.close()
    sockets.cleanup()


def test_a_file_in_an_archive(tmp_path: Path, whole: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.mp4", whole)
    assert build_tagger("demo").tag(f"zip://a.mp4::{tmp_path}/a.zip") == "Siren"
    assert "b.mp4" in refusal(f"zip://b.mp4::{tmp_path}/a.zip")


@pytest.mark.parametrize("decoder", DECODERS)
def test_wild_headers_take_no_memory(decoder: str) -> None:
    noise = np.random.default_rng(0).integers(-9_000, 9_000, 64_000).astype("<i2").tobytes()
    for name, data in {
        "0 Hz": wav(0, 1, noise),
        "1 Hz": wav(1, 1, noise),
        "a gigahertz": wav(10**9, 1, noise),
        "4 gigahertz": wav(2**32 - 1, 1, noise),
        "65535 channels": wav(16_000, 65_535, noise),
        "no channels": wav(16_000, 0, noise),
        "no samples": wav(16_000, 1, b""),
    }.items():
        tracemalloc.start()
        message = refusal({"path": name, "bytes": data}, decoder)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert message.startswith(name)
        assert peak_bytes < 50e6, name


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("windows", ["first", "all", 3])
def test_a_header_that_claims_too_much(decoder: str, windows: str | int) -> None:
    sound = (synthesize("Siren", 3.0, 16_000, 0) * 2**15).clip(-(2**15), 2**15 - 1).astype("<i2").tobytes()
    tagger = build_tagger("demo", decoder=decoder, windows=windows)
    for claimed in (2**31, 2**32 - 1, len(sound) * 50):
        started = time.thread_time()
        assert tagger.tag(wav(16_000, 1, sound, claimed)) == "Siren"
        assert time.thread_time() - started < A_MOMENT_SECONDS


@pytest.mark.parametrize("decoder", DECODERS)
def test_samples_that_are_no_numbers(decoder: str) -> None:
    for wrong in (np.nan, np.inf, -np.inf):
        samples = np.zeros(16_000, "<f4")
        samples[8_000] = wrong
        data = wav(16_000, 1, samples.tobytes(), bits=32, tag=3)
        assert "finite" in refusal({"path": "nan.wav", "bytes": data}, decoder)


@pytest.mark.parametrize("decoder", DECODERS)
def test_no_audio_stream_is_empty_and_no_error(tmp_path: Path, decoder: str) -> None:
    write_video(tmp_path / "silent.mp4", None, 44_100)
    assert build_tagger("demo", decoder=decoder).tag(tmp_path / "silent.mp4") == "EMPTY"
    kind = Kind("mkv", "aac", "fltp", False, with_picture=True)
    path = write_sound(tmp_path / "pcm.mkv", tones(0.5, 44_100), rate_hz=44_100, kind=kind)
    assert build_tagger("demo", decoder=decoder).tag(path) != "EMPTY"


def test_a_stream_that_no_header_declares_is_found(tmp_path: Path) -> None:
    """FLV names its streams one by one, as they come: a look that is too short finds no sound."""
    kind = Kind("flv", "aac", "fltp", False, with_picture=True, picture_codec="flv1")
    path = write_sound(tmp_path / "a.flv", tones(1.0, 44_100), rate_hz=44_100, kind=kind)
    with open_sound(parse_cell(path)[0], "pyav") as sound:
        assert sound is not None
        assert sum(map(len, sound.blocks())) >= 44_100


def test_the_map_finishes_with_the_reason_beside_the_row(tmp_path: Path, whole: bytes) -> None:
    good = tmp_path / "good.mp4"
    good.write_bytes(whole)
    rows: list[list[str | None]] = [[str(good)]]
    for name, make in BROKEN.items():
        (tmp_path / f"{name}.mp4").write_bytes(make(whole))
        rows.append([str(good), str(tmp_path / f"{name}.mp4")])
    os.mkfifo(tmp_path / "fifo.mp4")
    rows += [[str(tmp_path / "fifo.mp4")], [str(tmp_path)], [None, str(good)], [], ["/nowhere.mp4"]]
    dataset = Dataset.from_dict({"videos": rows}, features=Features({"videos": List(Value("string"))}))
    mapped = dataset.map(build_tagger("demo", on_error="record"), batched=True, batch_size=5)
    for row in mapped:
        for video, tag, error in zip(
            row["videos"], row["video_audio_tags"], row["video_audio_error"], strict=True
        ):
            assert (tag, error) == ("Siren", None) if video == str(good) else tag is None
            if video is not None and tag is None:
                assert video in error
    assert mapped[len(rows) - 3]["video_audio_error"] == [
        "<null>: there is no video, only a null in the list.",
        None,
    ]


def test_a_raised_error_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"nothing" * 100)
    dataset = Dataset.from_dict({"video": [str(tmp_path / "bad.mp4")]})
    with pytest.raises(MediaError, match=r"bad\.mp4"):
        dataset.map(build_tagger("demo"))


def test_a_window_of_many_channels_is_bounded(tmp_path: Path) -> None:
    """What decodes to much more than it takes on disk is decoded a block at a time."""
    path = tmp_path / "many.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(64)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(bytes(64 * 2 * 48_000 * 4))
    with open_sound(parse_cell(path)[0], "auto", only_start=True) as sound:
        assert sound is not None
        assert max(len(block) for block in sound.blocks()) * 64 < 1.5 * (1 << 20)


def test_every_kind_is_read_by_the_guard(tmp_path: Path) -> None:
    for kind in KINDS.values():
        rate_hz, channels = (
            (48_000 if kind.codec in ("libopus", "ac3") else 44_100),
            6 if kind.codec == "ac3" else 2,
        )
        path = write_sound(
            tmp_path / f"{kind.name}.{kind.extension}",
            tones(0.3, rate_hz, channels),
            rate_hz=rate_hz,
            kind=kind,
        )
        assert build_tagger("demo", decoder="pyav").tag(path) in build_tagger("demo").labels
