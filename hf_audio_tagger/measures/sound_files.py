"""How long sounds are, and how large their files."""

import os
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from ..cells import BytesMedia, FileMedia, Media
from ..errors import MediaError
from ..media.audio import open_sound, opened_source
from .base import Measure


@dataclass(frozen=True, kw_only=True)
class AudioDuration(Measure):
    """What `audio_duration` returns."""

    name: ClassVar[str] = "audio_duration"
    value_type: ClassVar[pa.DataType] = pa.float64()
    of_content: ClassVar[bool] = True

    def measure(self, media: Media) -> float:
        # PyAV counts alike on all machines; torchcodec is not everywhere.
        with open_sound(media, "pyav", "first") as sound:
            if sound is None:
                raise MediaError(f"{media.name}: it has no audio stream.")
            return sum(map(len, sound.blocks())) / sound.rate_hz


@dataclass(frozen=True, kw_only=True)
class AudioSize(Measure):
    """What `audio_size` returns."""

    name: ClassVar[str] = "audio_sizes"
    value_type: ClassVar[pa.DataType] = pa.int64()

    def measure(self, media: Media) -> int:
        if isinstance(media, BytesMedia):
            return len(media.data)
        if not isinstance(media, FileMedia):
            raise MediaError(f"{media.name}: it is decoded sound, not a file.")
        with opened_source(media) as source:
            if isinstance(source, str):
                return os.path.getsize(source.removeprefix("file:"))
            return int(source.seek(0, os.SEEK_END))


def audio_duration(**settings: Any) -> AudioDuration:
    """For `map`: adds `audio_duration`, the seconds of each clip's sound, counted by decoding it.

    Headers often state another duration. `settings` are those of every measure: `column`,
    `output_column`, `on_error`, `batched`.

    >>> audio_duration().compute({"array": [0.0] * 8_000, "sampling_rate": 16_000})
    0.5
    """
    return AudioDuration(**settings)


def audio_size(**settings: Any) -> AudioSize:
    """For `map`: adds `audio_sizes`, the bytes of each file, whatever it holds.

    `settings` are those of every measure: `column`, `output_column`, `on_error`, `batched`.

    >>> audio_size().compute(b"RIFF" * 100)
    400
    """
    return AudioSize(**settings)
