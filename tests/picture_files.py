"""Videos made in the tests: textured shapes that move, in any container, codec, pixel format and timing."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

WIDTH, HEIGHT = 128, 96

# FFmpeg's encoders, quick and with key frames close together, so that seeking matters.
ENCODERS: dict[str, dict[str, str]] = {
    "libx264": {"preset": "ultrafast", "g": "12"},
    "libx265": {"preset": "ultrafast", "x265-params": "keyint=12:log-level=none"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "g": "12"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "g": "12"},
    "mpeg4": {"g": "12"},
    "mjpeg": {},
    "ffv1": {},
}


def draw(index: float, width: int = WIDTH, height: int = HEIGHT, seed: int = 0) -> np.ndarray:
    """An RGB picture: a textured background that drifts slowly, and a square that moves quickly."""
    rows, columns = np.mgrid[0:height, 0:width]
    background = 90 + 40 * np.sin((columns + index) / 7 + seed) * np.cos((rows - 0.5 * index) / 9)
    left = int(3 * index) % max(1, width - 24)
    square = (columns >= left) & (columns < left + 24) & (rows >= 20) & (rows < 48)
    grey = np.where(square, 160 + 60 * np.sin((columns - left) / 2) * np.cos(rows / 3), background)
    return np.stack([grey, np.roll(grey, 5, 1), 255 - grey], -1).astype(np.uint8)


def write_pictures(
    path: Path,
    frames: int = 40,
    *,
    codec: str = "libx264",
    rate: Fraction | int = 25,
    pixels: str = "yuv420p",
    times: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    mux: dict[str, str] | None = None,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    pictures: Sequence[np.ndarray] | None = None,
) -> Path:
    """Write a video. `times` are the frames' milliseconds, for a variable rate."""
    with av.open(str(path), "w", options=mux or {}) as container:
        stream: Any = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        stream.options = {**ENCODERS[codec], **(options or {})}
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for index in range(frames):
            drawn = draw(index, *size) if pictures is None else pictures[index]
            frame = av.VideoFrame.from_ndarray(drawn, format="rgb24").reformat(format=pixels)
            frame.pts = index if times is None else times[index]
            if times is not None:
                frame.time_base = Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def rotate(path: Path, degrees: int) -> Path:
    """Write a rotation into an mp4's track header, as phones do."""
    cosine, sine = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    matrix = (cosine, sine, 0, -sine, cosine, 0, 0, 0, 1)
    scales = (16, 16, 30) * 3
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40  # after version, times, ids and volume
    data[start : start + 36] = struct.pack(
        ">9i", *(value << scale for value, scale in zip(matrix, scales, strict=True))
    )
    path.write_bytes(data)
    return path
