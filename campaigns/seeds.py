"""Small whole files of every container that the package reads, made with PyAV: what mutants are made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import av
import numpy as np

SECONDS = 1.0
TONES_HZ = (330.0, 1250.0)


@dataclass(frozen=True)
class Kind:
    """A way to store sound: container, codec, and what the encoder takes."""

    name: str
    suffix: str
    container: str  # as FFmpeg calls the muxer
    codec: str
    sample_format: str
    rate_hz: int = 44_100
    channels: int = 2
    with_picture: bool = False
    options: Mapping[str, str] = field(default_factory=dict)  # of the muxer


@dataclass(frozen=True)
class Seed:
    """A whole file."""

    name: str
    suffix: str
    data: bytes


KINDS = (
    Kind("mp4-aac", "mp4", "mp4", "aac", "fltp", with_picture=True),
    Kind("mp4-index-first", "mp4", "mp4", "aac", "fltp", options={"movflags": "faststart"}),
    Kind("mp4-fragmented", "mp4", "mp4", "aac", "fltp", options={"movflags": "frag_keyframe+empty_moov"}),
    Kind("mp4-alac", "mp4", "mp4", "alac", "s16p"),
    Kind("mp4-opus", "mp4", "mp4", "libopus", "s16", 48_000),
    Kind("mp4-mp3", "mp4", "mp4", "libmp3lame", "s16p"),
    Kind("mp4-ac3", "mp4", "mp4", "ac3", "fltp", 48_000),
    Kind("mp4-without-sound", "mp4", "mp4", "", "", with_picture=True),
    Kind("m4a-aac", "m4a", "ipod", "aac", "fltp"),
    Kind("mov-pcm", "mov", "mov", "pcm_s16be", "s16", 8_000, with_picture=True),
    Kind("mov-aac", "mov", "mov", "aac", "fltp"),
    Kind("3gp-amr", "3gp", "3gp", "libopencore_amrnb", "s16", 8_000, 1),
    Kind("mkv-opus", "mkv", "matroska", "libopus", "s16", 48_000, with_picture=True),
    Kind("mkv-vorbis", "mkv", "matroska", "vorbis", "fltp"),
    Kind("mkv-flac", "mkv", "matroska", "flac", "s16", 16_000),
    Kind("mkv-pcm", "mkv", "matroska", "pcm_s16le", "s16", 8_000, 1),
    Kind("webm-opus", "webm", "webm", "libopus", "s16", 48_000),
    Kind("avi-mp3", "avi", "avi", "libmp3lame", "s16p", with_picture=True),
    Kind("avi-pcm", "avi", "avi", "pcm_s16le", "s16", 8_000, with_picture=True),
    Kind("ogg-vorbis", "ogg", "ogg", "vorbis", "fltp"),
    Kind("ogg-opus", "opus", "ogg", "libopus", "s16", 48_000),
    Kind("ogg-flac", "oga", "ogg", "flac", "s16", 16_000),
    Kind("flac", "flac", "flac", "flac", "s16", 16_000),
    Kind("wav-pcm", "wav", "wav", "pcm_s16le", "s16", 8_000),
    Kind("wav-float", "wav", "wav", "pcm_f32le", "flt", 8_000, 1),
    Kind("wav-adpcm", "wav", "wav", "adpcm_ms", "s16", 16_000),
    Kind("wav-mulaw", "wav", "wav", "pcm_mulaw", "s16", 8_000, 1),
    Kind("rf64-pcm", "wav", "wav", "pcm_s16le", "s16", 8_000, 1, options={"rf64": "always"}),
    Kind("w64-pcm", "w64", "w64", "pcm_s16le", "s16", 8_000),
    Kind("mp3", "mp3", "mp3", "libmp3lame", "s16p"),
    Kind("aac-adts", "aac", "adts", "aac", "fltp"),
    Kind("aac-latm", "loas", "latm", "aac", "fltp"),
    Kind("ac3", "ac3", "ac3", "ac3", "fltp", 48_000),
    Kind("eac3", "eac3", "eac3", "eac3", "fltp", 48_000),
    Kind("mpegts-aac", "ts", "mpegts", "aac", "fltp"),
    Kind("mpegts-mp2", "mts", "mpegts", "mp2", "s16", with_picture=True),
    Kind("mpeg-ps", "mpg", "mpeg", "mp2", "s16"),
    Kind("flv-aac", "flv", "flv", "aac", "fltp"),
    Kind("flv-mp3", "flv", "flv", "libmp3lame", "s16p"),
    Kind("aiff-pcm", "aiff", "aiff", "pcm_s16be", "s16", 8_000),
    Kind("caf-pcm", "caf", "caf", "pcm_s16be", "s16", 8_000),
    Kind("caf-alac", "caf", "caf", "alac", "s16p"),
    Kind("au-pcm", "au", "au", "pcm_s16be", "s16", 8_000),
    Kind("amr", "amr", "amr", "libopencore_amrnb", "s16", 8_000, 1),
    Kind("asf-wma", "wma", "asf", "wmav2", "fltp"),
    Kind("tta", "tta", "tta", "tta", "s16", 16_000),
    Kind("wavpack", "wv", "wv", "wavpack", "s16p", 16_000),
    Kind("voc", "voc", "voc", "pcm_u8", "u8", 8_000, 1),
    Kind("nut-mp3", "nut", "nut", "libmp3lame", "s16p"),
    Kind("mxf-pcm", "mxf", "mxf", "pcm_s16le", "s16", 48_000, 1, with_picture=True),
)
BITS_PER_SECOND = {"libopencore_amrnb": 12_200, "wmav2": 64_000, "mp2": 64_000}  # else the encoder's own
SAMPLE_TYPES = {"u8": np.uint8, "s16": np.int16, "flt": np.float32}


@cache
def make_seeds() -> tuple[Seed, ...]:
    """Every kind that the FFmpeg of PyAV can write here, each under 50 kB."""
    made = (make_seed(kind) for kind in KINDS)
    return tuple(seed for seed in made if seed is not None)


def make_seed(kind: Kind) -> Seed | None:
    """A whole file of a kind; None where this FFmpeg lacks its muxer or encoder."""
    if kind.container not in av.formats_available or (kind.codec and not can_encode(kind.codec)):
        return None
    with NamedTemporaryFile() as file:  # an index is moved to the front by reading the file again
        write(kind, file.name)
        return Seed(kind.name, kind.suffix, Path(file.name).read_bytes())


def write(kind: Kind, path: str) -> None:
    with av.open(path, "w", format=kind.container, options=dict(kind.options)) as container:
        picture = picture_stream(container) if kind.with_picture else None
        sound = sound_stream(container, kind) if kind.codec else None
        if picture is not None:
            for number in range(3):
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 60 * number, np.uint8), "rgb24")
                frame = frame.reformat(format="yuv420p")
                frame.pts = number
                container.mux(picture.encode(frame))
            container.mux(picture.encode(None))
        if sound is not None:
            container.mux(sound.encode(sound_frame(kind)))
            container.mux(sound.encode(None))


def can_encode(codec: str) -> bool:
    try:
        return bool(av.Codec(codec, "w"))
    except ValueError:
        return False


def picture_stream(container: Any) -> Any:
    is_mpeg2 = container.format.name in ("mpegts", "mxf")
    stream = container.add_stream("mpeg2video" if is_mpeg2 else "mpeg4", rate=25 if is_mpeg2 else 2)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    return stream


def sound_stream(container: Any, kind: Kind) -> Any:
    layout = "mono" if kind.channels == 1 else "stereo"
    stream = container.add_stream(kind.codec, rate=kind.rate_hz, layout=layout)
    stream.codec_context.format = kind.sample_format
    stream.codec_context.options = {"strict": "experimental"}  # FFmpeg's own vorbis and opus
    if kind.codec in BITS_PER_SECOND:
        stream.bit_rate = BITS_PER_SECOND[kind.codec]
    return stream


def sound_frame(kind: Kind) -> av.AudioFrame:
    time = np.arange(round(SECONDS * kind.rate_hz)) / kind.rate_hz
    mono = 0.3 * np.sin(2 * np.pi * np.outer(TONES_HZ, time)).sum(axis=0)
    packed = kind.sample_format.removesuffix("p")
    if packed == "s16":
        mono = mono * 2**14
    elif packed == "u8":
        mono = mono * 100 + 128
    samples = np.tile(np.asarray(mono, SAMPLE_TYPES[packed]), (kind.channels, 1))
    if not kind.sample_format.endswith("p"):
        samples = samples.T.reshape(1, -1)
    layout = "mono" if kind.channels == 1 else "stereo"
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(samples), format=kind.sample_format, layout=layout
    )
    frame.sample_rate, frame.pts, frame.time_base = kind.rate_hz, 0, Fraction(1, kind.rate_hz)
    return frame
