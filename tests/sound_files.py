"""Media files made in the tests: any container, codec, rate and layout that PyAV can write."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from hf_audio_tagger.cells import Media, parse_cell
from hf_audio_tagger.media.audio import open_sound
from hf_audio_tagger.media.decoders import unavailable_reason

needs_torchcodec = pytest.mark.skipif(
    bool(unavailable_reason("torchcodec")), reason="torchcodec does not load"
)
needs_decord = pytest.mark.skipif(bool(unavailable_reason("decord")), reason="decord does not load")

FRAME = 2400  # samples: the longest priming of the codecs here is under this
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


@dataclass(frozen=True)
class Kind:
    """A way to store sound in a file."""

    extension: str
    codec: str
    sample_format: str
    is_exact: bool  # PCM and FLAC give back what was put in, but for rounding
    with_picture: bool = False
    picture_codec: str = "mpeg4"

    @property
    def name(self) -> str:
        return f"{self.extension}-{self.codec}"


KINDS = {
    kind.name: kind
    for kind in (
        Kind("mp4", "aac", "fltp", False, with_picture=True),
        Kind("webm", "libopus", "s16", False),
        Kind("mkv", "ac3", "fltp", False, with_picture=True),
        Kind("avi", "libmp3lame", "s16p", False, with_picture=True),
        Kind("mov", "pcm_s16le", "s16", True, with_picture=True),
        Kind("ogg", "vorbis", "fltp", False),
        Kind("mp3", "libmp3lame", "s16p", False),
        Kind("flac", "flac", "s16", True),
        Kind("wav", "pcm_u8", "u8", True),
        Kind("wav", "pcm_s16le", "s16", True),
        Kind("wav", "pcm_s32le", "s32", True),
        Kind("wav", "pcm_f32le", "flt", True),
        Kind("wav", "pcm_f64le", "dbl", True),
    )
}

H264 = Kind("mp4", "aac", "fltp", is_exact=False, with_picture=True, picture_codec="libx264")  # most videos


def tones(seconds: float, rate_hz: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    """``(channels, samples)``: three tones and a sweep under 3 kHz in each channel: all codecs keep them."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    top_hz = min(3000.0, rate_hz / 4)
    sound = []
    for _ in range(channels):
        steady = sum(
            0.08 * np.sin(2 * np.pi * hz * time + phase)
            for hz, phase in zip(random.uniform(200, top_hz, 3), random.uniform(0, 6, 3), strict=True)
        )
        sweep = 0.3 * np.sin(2 * np.pi * (150 * time + (top_hz - 150) * time**2 / (2 * max(seconds, 1e-3))))
        sound.append(steady + sweep)
    return np.stack(sound).astype(np.float32)


def write_sound(
    path: Path | str,
    *tracks: np.ndarray,
    rate_hz: int,
    kind: Kind,
    starts_seconds: float = 0.0,
    container_format: str | None = None,
) -> Path:
    """A file whose audio streams are `tracks`, each ``(channels, samples)``, with a picture or without."""
    with av.open(str(path), "w", format=container_format) as container:
        picture = container.add_stream(kind.picture_codec, rate=5) if kind.with_picture else None
        if picture is not None:
            picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        streams = []
        for track in tracks:
            stream: Any = container.add_stream(kind.codec, rate=rate_hz, layout=LAYOUTS[len(track)])
            stream.codec_context.format = kind.sample_format
            stream.codec_context.options = {"strict": "experimental"}  # FFmpeg's own vorbis encoder
            if not kind.is_exact:
                stream.bit_rate = (64_000 if rate_hz < 16_000 else 128_000) * min(2, len(track))
            streams.append(stream)
        if picture is not None:
            seconds = starts_seconds + max(track.shape[1] for track in tracks) / rate_hz
            for index in range(max(1, round(seconds * 5))):
                frame = av.VideoFrame.from_ndarray(
                    np.full((48, 64, 3), index % 200, np.uint8), format="rgb24"
                )
                frame = frame.reformat(format="yuv420p")
                frame.pts = index
                container.mux(picture.encode(frame))
            container.mux(picture.encode(None))
        for stream, track in zip(streams, tracks, strict=True):
            for frame in audio_frames(track, rate_hz, kind.sample_format, round(starts_seconds * rate_hz)):
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return Path(path)


def audio_frames(track: np.ndarray, rate_hz: int, sample_format: str, first_pts: int) -> list[av.AudioFrame]:
    """The track as frames of a tenth of a second in the sample format that the encoder takes."""
    frames = []
    size = max(1, rate_hz // 10)
    for start in range(0, track.shape[1], size):
        samples = quantized(track[:, start : start + size], sample_format)
        if not sample_format.endswith("p"):
            samples = samples.T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples), format=sample_format, layout=LAYOUTS[len(track)]
        )
        frame.sample_rate, frame.pts, frame.time_base = rate_hz, first_pts + start, Fraction(1, rate_hz)
        frames.append(frame)
    return frames


def quantized(samples: np.ndarray, sample_format: str) -> np.ndarray:
    match sample_format.removesuffix("p"):
        case "u8":
            return np.round(samples * 128 + 128).clip(0, 255).astype(np.uint8)
        case "s16":
            return np.round(samples * 2**15).clip(-(2**15), 2**15 - 1).astype(np.int16)
        case "s32":
            return np.round(samples.astype(np.float64) * 2**31).clip(-(2**31), 2**31 - 1).astype(np.int32)
        case "dbl":
            return samples.astype(np.float64)
        case _:
            return samples.astype(np.float32)


def lag_of(decoded: np.ndarray, made: np.ndarray, most: int) -> int:
    """How many samples later than `made` the same sound stands in `decoded`, from -most to most."""
    length = 1 << (len(decoded) + len(made)).bit_length()
    product = np.fft.irfft(np.fft.rfft(decoded, length) * np.conj(np.fft.rfft(made, length)), length)
    lags = np.concatenate([np.arange(0, most + 1), np.arange(-most, 0)])
    return int(lags[np.argmax(product[lags])])


def aligned(decoded: np.ndarray, made: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Both without what one has before or after the other."""
    lag = lag_of(decoded, made, most)
    decoded, made = decoded[max(0, lag) :], made[max(0, -lag) :]
    length = min(len(decoded), len(made))
    return decoded[:length], made[:length]


def relative_error(decoded: np.ndarray, made: np.ndarray, rate_hz: int) -> float:
    """What is wrong in the middle, relative to the sound: codecs fade in and out at the edges."""
    decoded, made = aligned(decoded, made, FRAME)
    edge = rate_hz // 20
    decoded, made = decoded[edge:-edge], made[edge:-edge]
    return float(np.sqrt(np.mean((decoded - made) ** 2) / np.mean(made**2)))


OTHERS = [
    pytest.param("torchcodec", marks=needs_torchcodec),
    pytest.param("auto"),
]


LATE = [
    Kind("mp4", "aac", "fltp", False, with_picture=True),
    Kind("mkv", "aac", "fltp", False, with_picture=True),
    Kind("mov", "pcm_s16le", "s16", True, with_picture=True),
    Kind("webm", "libopus", "s16", False),
]


def decode(source: Path | bytes | Media, decoder: str = "pyav", channels: str = "mean") -> np.ndarray:
    """The whole sound of a file."""
    media = source if not isinstance(source, (Path, bytes)) else parse_cell(source)[0]
    with open_sound(media, decoder, channels) as sound:
        assert sound is not None
        return np.concatenate(list(sound.blocks()))
