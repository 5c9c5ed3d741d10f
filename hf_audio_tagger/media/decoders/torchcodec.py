"""torchcodec with the system's FFmpeg: fast and without the GIL, always from the first sample.

It seeks by timestamps, which have millisecond resolution in Matroska, so seeking is not used: a later part is
cut from the whole decoded stream, which is then in memory at once.
"""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import av.container
import numpy as np

from ...errors import MediaError
from ..container import Source, rewind
from ..failures import describe_error
from ..sound import Sound, check_sample_rate, no_sound, split_blocks, to_mono

CLOCK_SLACK_SECONDS = 0.1  # headers may give a stream start that is too early by this much


def import_library() -> None:
    import torchcodec.decoders

    # Later releases import without FFmpeg too (for pictures), and would fail at every clip.
    if getattr(torchcodec, "ffmpeg_major_version", "unknown") is None:
        raise OSError("no FFmpeg libraries")


def open_sound(
    container: av.container.InputContainer, source: Source, name: str, channels: str
) -> "TorchcodecSound":
    from torchcodec.decoders import AudioDecoder

    try:
        decoder = AudioDecoder(rewind(source), stream_index=container.streams.audio[0].index)
    except Exception as error:
        raise MediaError(f"{name}: torchcodec cannot open it ({describe_error(error)}).") from error
    return TorchcodecSound(decoder, name, channels)


class TorchcodecSound:
    """A torchcodec `AudioDecoder` as a `Sound`. Decoding fails at a damaged packet."""

    open_other: Callable[[], Sound] | None = None  # opens the decoder to use if this one fails

    def __init__(self, decoder: Any, name: str, channels: str) -> None:
        self.decoder, self.name, self.channels = decoder, name, channels
        self.rate_hz = check_sample_rate(decoder.metadata.sample_rate, name)
        self.zero_seconds = float(decoder.metadata.begin_stream_seconds or 0.0)
        self.duration_seconds: float | None = decoder.metadata.duration_seconds

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        try:
            if start == 0 and stop is not None and "whole" not in vars(self):
                samples = self.read(self.zero_seconds + stop / self.rate_hz + CLOCK_SLACK_SECONDS)
            else:
                samples = self.whole
        except MediaError:
            if self.open_other is None or (other := self.open_other()).rate_hz != self.rate_hz:
                raise
            return other.blocks(start, stop)
        return split_blocks(samples[start:stop])

    @cached_property
    def whole(self) -> np.ndarray:
        return self.read(None)

    def read(self, end_seconds: float | None) -> np.ndarray:
        try:
            samples = self.decoder.get_samples_played_in_range(self.zero_seconds, end_seconds).data.numpy()
        except Exception as error:
            reason = describe_error(error)
            raise MediaError(f"{self.name}: torchcodec cannot decode it ({reason}).") from error
        if not samples.size:
            raise no_sound(self.name)
        return to_mono(samples, self.channels)
