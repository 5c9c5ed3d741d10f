"""`Media` → mono float32 sound at its own rate: PyAV, torchcodec and decord behind one small face.

Each decoder counts samples from the audio stream's first one, whatever the video's clock says, and
reads only what it is asked for where it can stop. PyAV stops and seeks anywhere; torchcodec is faster
and free of the GIL, but places what it seeks to by the container's clock, which in Matroska counts
milliseconds: it is read from the first sample on. decord always decodes the whole stream, and some damaged
files end the process with it.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, cached_property
from typing import Any

import av.container
import numpy as np

from ..cells import DecoderMedia, Media, SamplesMedia, UnreadableMedia
from ..errors import MediaError, SettingsError
from .container import Source, one_line, open_container, source_of
from .failures import what_ran_out
from .pyav import PyavSound, no_decoder
from .remote import remote_failures
from .sound import Sound, checked_rate, in_blocks, no_sound, to_mono

CLOCK_SLACK_SECONDS = 0.1  # headers may put a stream's first sample so much too early
MOST_CHANNELS_AT_ONCE = 16  # torchcodec decodes a whole window of every channel into one tensor


@contextmanager
def open_sound(
    media: Media, decoder: str = "auto", channels: str = "mean", only_start: bool = False
) -> Iterator[Sound | None]:
    """Open the first audio stream; None where the clip has none.

    `only_start` says that nothing but the clip's beginning will be asked for: `auto` then takes torchcodec.
    """
    check_decoder(decoder)
    if isinstance(media, UnreadableMedia):
        raise media.error(f"{media.name}: {media.reason}")
    if isinstance(media, SamplesMedia):
        yield SamplesSound(media, channels)
        return
    if isinstance(media, DecoderMedia):
        yield TorchcodecSound(media.decoder, media.name, channels)
        return
    source = source_of(media)
    try:
        with remote_failures(source), open_container(source, media.name) as container:
            if not container.streams.audio:
                yield None
            elif decoder == "torchcodec":  # its FFmpeg may be another one, and know another codec
                yield torchcodec_sound(container, source, media.name, channels)
            elif container.streams.audio[0].codec_context is None:
                raise no_decoder(container, media.name)
            elif decoder == "auto":
                yield auto_sound(container, source, media.name, channels, only_start)
            elif decoder == "pyav":
                yield PyavSound(container, media.name, channels)
            else:
                yield decord_sound(container, source, media.name, channels)
    finally:
        if hasattr(source, "close"):
            source.close()


def check_decoder(decoder: str) -> None:
    if decoder not in ("auto", "pyav") and (reason := why_not(decoder)):
        raise SettingsError(f"decoder={decoder!r} cannot be used here: {reason}")


def auto_sound(
    container: av.container.InputContainer, source: Source, name: str, channels: str, only_start: bool
) -> Sound:
    """torchcodec for a file's beginning, where it loads; PyAV for all else, and where torchcodec gives up.

    A remote file object is PyAV's: two decoders cannot share its one position.
    """
    is_remote = hasattr(source, "read")
    is_wide = container.streams.audio[0].codec_context.channels > MOST_CHANNELS_AT_ONCE
    if not only_start or is_remote or is_wide or why_not("torchcodec"):
        return PyavSound(container, name, channels)
    try:
        fast = torchcodec_sound(container, source, name, channels)
    except MediaError:
        return PyavSound(container, name, channels)
    return ForgivingSound(fast, lambda: PyavSound(container, name, channels))


def torchcodec_sound(
    container: av.container.InputContainer, source: Source, name: str, channels: str
) -> "TorchcodecSound":
    from torchcodec.decoders import AudioDecoder

    try:
        decoder = AudioDecoder(rewound(source), stream_index=container.streams.audio[0].index)
    except Exception as error:
        raise MediaError(f"{name}: torchcodec cannot open it ({one_line(error)}).") from error
    return TorchcodecSound(decoder, name, channels)


def rewound(source: Source) -> Source:
    """A file object that the probe has read from, at its beginning again."""
    if hasattr(source, "seek"):
        source.seek(0)
    return source


@cache
def why_not(decoder: str) -> str | None:
    """Why a decoder cannot be used in this process, with the remedy; None where it can."""
    try:
        if decoder == "torchcodec":
            import torchcodec.decoders

            # Later releases import without FFmpeg too (for pictures), and would fail at every clip.
            if getattr(torchcodec, "ffmpeg_major_version", "untold") is None:
                raise OSError("no FFmpeg libraries")
        elif decoder == "decord":
            import decord  # noqa: F401
    except (ImportError, RuntimeError, OSError) as error:
        if what_ran_out(error):
            raise  # it says nothing of the decoder, and would be remembered
        if isinstance(error, ModuleNotFoundError):
            extra = 'pip install "hf-audio-tagger[fast]"' if decoder == "torchcodec" else "pip install decord"
            return f"{decoder} is not installed; {extra}."
        if isinstance(error, ImportError):
            return f"{decoder} does not load ({one_line(error)[:200]})."
        return (
            f"{decoder} is installed but finds no FFmpeg libraries of a version that it knows; install "
            "FFmpeg (apt-get install ffmpeg, brew install ffmpeg, conda install ffmpeg) or use "
            "decoder='pyav', which brings its own."
        )
    return None


class SamplesSound:
    """Sound that was decoded before it came here."""

    def __init__(self, media: SamplesMedia, channels: str) -> None:
        samples = media.samples
        if samples.ndim not in (1, 2) or samples.dtype.kind not in "fiu":
            raise MediaError(
                f"{media.name}: samples are numbers, (samples,) or (channels, samples); these are "
                f"{samples.dtype} in {samples.ndim} dimensions."
            )
        if not samples.size:
            raise MediaError(f"{media.name}: it holds no samples.")
        self.samples = to_mono(np.atleast_2d(samples), channels)
        self.rate_hz = checked_rate(media.rate_hz, media.name)
        self.duration_seconds: float | None = len(self.samples) / self.rate_hz

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        yield from in_blocks(self.samples[start:stop])


class ForgivingSound:
    """A fast decoder, and another for the clips that it gives up on: torchcodec ends at a damaged packet."""

    def __init__(self, fast: Sound, patient: Callable[[], Sound]) -> None:
        self.fast, self.patient = fast, patient
        self.rate_hz, self.duration_seconds = fast.rate_hz, fast.duration_seconds

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        try:
            blocks = list(self.fast.blocks(start, stop))
        except MediaError:
            other = self.patient()
            if other.rate_hz != self.rate_hz:
                raise
            yield from other.blocks(start, stop)
            return
        yield from blocks


class TorchcodecSound:
    """torchcodec with the system's FFmpeg: fast and free of the GIL, from the first sample on.

    More than the beginning is cut out of the whole stream, which is then in memory at once.
    """

    def __init__(self, decoder: Any, name: str, channels: str) -> None:
        self.decoder, self.name, self.channels = decoder, name, channels
        self.rate_hz = checked_rate(decoder.metadata.sample_rate, name)
        self.zero_seconds = float(decoder.metadata.begin_stream_seconds or 0.0)
        self.duration_seconds: float | None = decoder.metadata.duration_seconds

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        at_start = start == 0 and stop is not None and "whole" not in vars(self)
        samples = self.beginning(stop) if at_start and stop is not None else self.whole
        yield from in_blocks(samples[start:stop])

    @cached_property
    def whole(self) -> np.ndarray:
        return self.read(None)

    def beginning(self, stop: int) -> np.ndarray:
        return self.read(self.zero_seconds + stop / self.rate_hz + CLOCK_SLACK_SECONDS)

    def read(self, end_seconds: float | None) -> np.ndarray:
        try:
            samples = self.decoder.get_samples_played_in_range(self.zero_seconds, end_seconds).data.numpy()
        except Exception as error:
            raise MediaError(f"{self.name}: torchcodec cannot decode it ({one_line(error)}).") from error
        if not samples.size:
            raise no_sound(self.name)
        return to_mono(samples, self.channels)


def decord_sound(
    container: av.container.InputContainer, source: Source, name: str, channels: str
) -> SamplesSound:
    """decord 0.6.0: it decodes the whole stream into one array, and only its mono mix is sound.

    Some damaged files (2 of 213 that were tried) end the process inside of it (SIGSEGV). No `except` sees
    that, and `on_error="record"` cannot record it: decord is for files that are known to be whole.
    """
    import decord

    stream = container.streams.audio[0].codec_context
    if stream.channels > 2 or (stream.channels == 2 and channels == "first"):
        what = "the first of " if channels == "first" else ""
        raise MediaError(
            f"{name}: decord does not give {what}{stream.channels} channels rightly; "
            "use decoder='pyav' or 'torchcodec'."
        )
    rate_hz = checked_rate(stream.sample_rate, name)  # decord does not tell the native rate
    file = io.BytesIO(source) if isinstance(source, bytes) else rewound(source)
    try:
        samples = decord.AudioReader(file, sample_rate=rate_hz, mono=True)[:].asnumpy().reshape(-1)
    except Exception as error:
        raise MediaError(f"{name}: decord cannot decode it ({one_line(error)}).") from error
    if not len(samples):
        raise no_sound(name)
    # FFmpeg's downmix of stereo keeps the power: it is √2 times the mean.
    mean = samples / np.float32(np.sqrt(stream.channels))
    return SamplesSound(SamplesMedia(mean, rate_hz, name), channels)
