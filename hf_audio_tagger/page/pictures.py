"""A clip's poster, a small frame of it, and its peaks where it has no picture; within limits of time."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np

from ..cells import BytesMedia, FileMedia
from ..media.audio import open_sound
from ..media.frames import Pictures, open_pictures

WIDTH, HEIGHT, COLUMNS = 160, 90, 10  # of a poster, in pixels; posters in a row of a sheet
QUALITY = 5  # of FFmpeg's JPEG, from 2 (best) to 31
LONGEST_SECONDS = 5.0  # that one poster may take
PLACE = 1 / 3  # of the clip, where its poster is taken: its beginning is often black
PEAKS = 120
LONGEST_PEAKS_SECONDS = 900.0  # of sound that is decoded for peaks


def take_poster(media: FileMedia | BytesMedia) -> tuple[np.ndarray, float | None]:
    """A frame of a clip, uint8 (HEIGHT, WIDTH, 3), and the clip's length in seconds if its header says it."""
    with open_pictures(media, LONGEST_SECONDS) as pictures:
        seconds = pictures.container.duration and pictures.container.duration / av.time_base
        frame = take_frame(pictures, seconds)
        return fit_frame(frame), seconds or None


def take_frame(pictures: Pictures, seconds: float | None) -> Any:
    """The key frame at a third of the clip or before, else its first frame."""
    if seconds and pictures.tick_seconds:
        pictures.seek(pictures.start + int(seconds * PLACE / pictures.tick_seconds))
        if (frame := next(pictures.frames(), None)) is not None:
            return frame
        pictures.rewind()
    return next(pictures.frames())


def fit_frame(frame: Any) -> np.ndarray:
    """A frame in a poster's size, upright, with black around it."""
    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    width, height = (frame.width, frame.height) if turns % 2 == 0 else (frame.height, frame.width)
    scale = min(WIDTH / width, HEIGHT / height)
    size = max(2, round(width * scale)), max(2, round(height * scale))
    inner = size if turns % 2 == 0 else size[::-1]
    pixels = frame.reformat(*inner, format="rgb24").to_ndarray()
    pixels = np.rot90(pixels, turns)
    poster = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    top, left = (HEIGHT - pixels.shape[0]) // 2, (WIDTH - pixels.shape[1]) // 2
    poster[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return poster


def make_sheet(posters: Sequence[np.ndarray]) -> bytes:
    """A JPEG with posters in rows of COLUMNS."""
    rows = -(-len(posters) // COLUMNS)
    sheet = np.zeros((rows * HEIGHT, COLUMNS * WIDTH, 3), np.uint8)
    for place, poster in enumerate(posters):
        top, left = place // COLUMNS * HEIGHT, place % COLUMNS * WIDTH
        sheet[top : top + HEIGHT, left : left + WIDTH] = poster
    encoder: Any = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = sheet.shape[1], sheet.shape[0], "yuvj420p"
    encoder.time_base = Fraction(1)
    encoder.options = {"flags": "+qscale", "global_quality": str(QUALITY * 118)}
    frame = av.VideoFrame.from_ndarray(sheet, format="rgb24").reformat(format="yuvj420p")
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


def measure_peaks(media: FileMedia | BytesMedia) -> tuple[np.ndarray, float] | None:
    """The loudest sample of each of PEAKS equal pieces, 255 at full scale, and the seconds of sound.

    None for a clip without sound, and for one that is too long.
    """
    with open_sound(media, "pyav") as sound:
        if sound is None or (sound.duration_seconds or 0) > LONGEST_PEAKS_SECONDS:
            return None
        step, most = max(1, sound.rate_hz // 100), int(sound.rate_hz * LONGEST_PEAKS_SECONDS)
        parts, count, rest = [np.zeros(0, np.float32)], 0, np.zeros(0, np.float32)
        for block in sound.blocks():
            count += len(block)
            if count > most:
                return None
            samples = np.abs(np.concatenate([rest, block]))
            whole = len(samples) // step * step
            parts.append(samples[:whole].reshape(-1, step).max(axis=1))
            rest = samples[whole:]
        if len(rest):
            parts.append(rest.max(keepdims=True))
        loudest = np.concatenate(parts)
        if not len(loudest):
            return None
        starts = np.arange(PEAKS) * len(loudest) // PEAKS
        peaks = np.maximum.reduceat(loudest, starts)
        return np.round(np.clip(peaks, 0, 1) * 255).astype(np.uint8), count / sound.rate_hz
