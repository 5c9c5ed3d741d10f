"""The media and samples of `benchmarks.recipes`: clips of one to four seconds, and sounds."""

import json
import wave
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from benchmarks.recipes import AUDIOS, CONTAINERS, MOTION_ROWS, ROWS, SPEEDS, TEXT_ROWS, VIDEOS
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.demo.videos import write_video


def make_materials(folder: Path) -> None:
    for seed, (name, (label, seconds, size)) in enumerate(VIDEOS.items()):
        waveform = None if label is None else synthesize(label, seconds, 44_100, 7_000 + seed)
        write_video(folder / f"{name}.mp4", waveform, 44_100, size=size, seconds=seconds, picture_seed=seed)
    for name, codec in CONTAINERS.items():
        write_seven_pictures(folder / name, codec)
    for name, (rate_hz, samples) in AUDIOS.items():
        with wave.open(str(folder / f"{name}.wav"), "wb") as file:
            file.setparams((1, 2, rate_hz, samples, "NONE", ""))
            file.writeframes(b"\1\0" * samples)
    for seed, (name, pixels) in enumerate(SPEEDS.items()):
        write_moving_pictures(folder / f"{name}.mp4", pixels, seed)
    containers = [{"text": name, "videos": [name]} for name in CONTAINERS]
    tables = {"samples": ROWS, "containers": containers, "motion": MOTION_ROWS, "text": TEXT_ROWS}
    for name, rows in tables.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_seven_pictures(path: Path, codec: str) -> None:
    """Seven pictures of 40 x 30, three a second: durations and ratios that no decimal number states."""
    write_pictures(path, [np.full((30, 40), 30 * index, np.uint8) for index in range(7)], codec, 3)


def write_moving_pictures(path: Path, pixels: int, seed: int) -> None:
    """Two seconds of blocks that move to the left, without a sound."""
    blocks = np.random.default_rng(seed).integers(0, 256, (6, 40), np.uint8)
    pattern = np.repeat(np.repeat(blocks, 8, axis=0), 8, axis=1)
    greys = [pattern[:, index * pixels : index * pixels + 64] for index in range(24)]
    write_pictures(path, greys, "mpeg4", 12)


def write_lines_of_text(path: Path, lines: int) -> None:
    """A second of a plain ground with so many lines of text."""
    import cv2  # an extra

    grey = np.full((180, 320), 60, np.uint8)
    for line in range(lines):
        cv2.putText(grey, f"line {line + 1} of text", (20, 50 + 50 * line), 0, 1.0, 230, 2)
    write_pictures(path, [grey] * 6, "mpeg4", 6)


def write_pictures(path: Path, greys: list[np.ndarray], codec: str, rate: int) -> None:
    """A video of grey pictures."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = greys[0].shape
        stream.pix_fmt = "yuv420p"
        for grey in greys:
            picture = av.VideoFrame.from_ndarray(np.stack([grey] * 3, -1), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
