"""`Media` → mono float32 sound at its own rate: PyAV, torchcodec and decord behind one small face.

Each decoder counts samples from the audio stream's first one, whatever the video's clock says, and
reads only what it is asked for where it can stop.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any, Protocol

import av
import av.container
import av.error
import numpy as np
from av.stream import Discard

from .cells import DecoderMedia, Media, NullMedia, SamplesMedia
from .errors import MediaError, SettingsError
from .safe import Source, one_line, open_container, source_of

DECODERS = ("auto", "torchcodec", "pyav", "decord")
BLOCK_SECONDS = 10  # decoded at a time: memory is bounded by this, not by the clip
SEEK_BACK_SECONDS = 0.25  # codecs need a run-up (opus 80 ms, mp3 its bit reservoir) to sound right


class Sound(Protocol):
    """An opened clip's first audio stream."""

    rate_hz: int
    duration_seconds: float | None  # None: the container does not tell

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Mono float32 from source sample `start` up to `stop` or the end, a few seconds at a time."""
        ...


@contextmanager
def open_sound(
    media: Media, decoder: str = "auto", channels: str = "mean", seeks: bool = False
) -> Iterator[Sound | None]:
    """Open the first audio stream; None where the clip has none.

    `seeks` says that far parts of the clip will be asked for: PyAV can seek in sound, torchcodec
    decodes its way there.
    """
    if isinstance(media, NullMedia):
        raise MediaError("<null>: there is no video, only a null in the list.")
    if isinstance(media, SamplesMedia):
        yield SamplesSound(media, channels)
        return
    if isinstance(media, DecoderMedia):
        yield TorchcodecSound(media.decoder, media.name, channels)
        return
    chosen = choose_decoder(decoder, seeks)
    source = source_of(media)
    try:
        with open_container(source, media.name) as container:
            probed = first_audio(container)
            if chosen == "pyav":
                yield PyavSound(container, media.name, channels) if probed else None
                return
        yield open_other(chosen, rewound(source), media.name, probed, channels) if probed else None
    finally:
        if hasattr(source, "close"):
            source.close()


@dataclass(frozen=True)
class Probed:
    """What the safety probe learned of the first audio stream."""

    stream_index: int
    channel_count: int
    rate_hz: int


def first_audio(container: av.container.InputContainer) -> Probed | None:
    if not container.streams.audio:
        return None
    stream = container.streams.audio[0]
    return Probed(stream.index, stream.codec_context.channels, stream.codec_context.sample_rate)


def open_other(chosen: str, source: Source, name: str, probed: Probed, channels: str) -> Sound:
    if chosen == "decord":
        return DecordSound(source, name, probed, channels)
    from torchcodec.decoders import AudioDecoder

    try:
        decoder = AudioDecoder(source, stream_index=probed.stream_index)
    except Exception as error:
        raise MediaError(f"{name}: torchcodec cannot open it ({one_line(error)}).") from error
    return TorchcodecSound(decoder, name, channels)


def rewound(source: Source) -> Source:
    """A file object that the probe has read from, at its beginning again."""
    if hasattr(source, "seek"):
        source.seek(0)
    return source


def choose_decoder(decoder: str, seeks: bool) -> str:
    """`auto` is torchcodec where it loads (faster, and free of the GIL), but PyAV where one seeks."""
    if decoder != "auto":
        if decoder != "pyav" and (reason := why_not(decoder)):
            raise SettingsError(f"decoder={decoder!r} cannot be used here: {reason}")
        return decoder
    return "pyav" if seeks or why_not("torchcodec") else "torchcodec"


@cache
def why_not(decoder: str) -> str | None:
    """Why a decoder cannot be used in this process, with the remedy; None where it can."""
    try:
        if decoder == "torchcodec":
            import torchcodec.decoders  # noqa: F401
        elif decoder == "decord":
            import decord  # noqa: F401
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError):
            extra = 'pip install "hf-audio-tagger[fast]"' if decoder == "torchcodec" else "pip install decord"
            return f"{decoder} is not installed; {extra}."
        return f"{decoder} does not load ({one_line(error)[:200]})."
    except (RuntimeError, OSError):
        return (
            f"{decoder} is installed but finds no FFmpeg libraries of a version that it knows; install FFmpeg "
            "(apt-get install ffmpeg, brew install ffmpeg, conda install ffmpeg) or use decoder='pyav', "
            "which brings its own."
        )
    return None


def to_mono(samples: np.ndarray, channels: str) -> np.ndarray:
    """``(channels, samples)`` of floats or integers → ``(samples,)`` of float32 in [-1, 1]."""
    if channels == "first":
        samples = samples[:1]
    if samples.dtype.kind == "u":  # unsigned 8 bit: silence is 128
        samples = samples.astype(np.float32) / 128 - 1
    elif samples.dtype.kind == "i":
        samples = samples.astype(np.float32) / -float(np.iinfo(samples.dtype).min)
    mono = samples[0] if len(samples) == 1 else samples.mean(axis=0, dtype=np.float32)
    return np.ascontiguousarray(mono, dtype=np.float32)


class SamplesSound:
    """Sound that was decoded before it came here."""

    def __init__(self, media: SamplesMedia, channels: str) -> None:
        self.samples = to_mono(np.atleast_2d(media.samples), channels)
        if not len(self.samples):
            raise MediaError(f"{media.name}: it holds no samples.")
        self.rate_hz = media.rate_hz
        self.duration_seconds: float | None = len(self.samples) / media.rate_hz

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        size = BLOCK_SECONDS * self.rate_hz
        samples = self.samples[start:stop]
        for offset in range(0, len(samples), size):
            yield samples[offset : offset + size]


class PyavSound:
    """FFmpeg as PyAV brings it: seeks, stops early, streams. Damaged packets are passed over."""

    def __init__(self, container: av.container.InputContainer, name: str, channels: str) -> None:
        self.container, self.name, self.channels = container, name, channels
        self.stream = container.streams.audio[0]
        for other in container.streams:
            if other.index != self.stream.index:
                other.discard = Discard.all  # its packets are not even read where the container allows it
        self.unread = self.frames()  # from the beginning, without a seek: some containers have no index
        first = next(self.unread, None)
        if first is None:
            raise MediaError(f"{name}: it has an audio stream, but no sound can be decoded from it.")
        # The frame knows the true rate; headers of HE-AAC tell half of it.
        self.rate_hz: int = first.sample_rate
        self.zero_seconds = first.time or 0.0
        self.unread = chain([first], self.unread)
        self.untouched = True
        self.duration_seconds = self.duration()

    def duration(self) -> float | None:
        stream = self.stream
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        if self.container.duration:
            return self.container.duration / av.time_base
        return None

    def frames(self) -> Iterator[Any]:
        try:
            for packet in self.container.demux(self.stream):
                try:
                    yield from packet.decode()
                except av.error.InvalidDataError:
                    continue
        except av.error.InvalidDataError:
            return  # the container breaks off here; what came before it counts
        except (av.error.FFmpegError, OSError) as error:
            raise MediaError(f"{self.name}: reading stopped ({one_line(error)}).") from error

    def frames_from(self, start: int) -> Iterator[Any]:
        """Frames from a little before source sample `start`; from the first one for 0."""
        if start == 0 and self.untouched:
            self.untouched = False
            return self.unread
        self.untouched = False
        run_up_seconds = max(0.0, start / self.rate_hz - SEEK_BACK_SECONDS)
        try:
            pts = int((self.zero_seconds + run_up_seconds) / self.stream.time_base)
            self.container.seek(pts, stream=self.stream)
        except av.error.FFmpegError as error:
            raise MediaError(f"{self.name}: it cannot be sought in ({one_line(error)}).") from error
        return self.frames()

    def placed_frames(self, start: int) -> Iterator[tuple[int, Any]]:
        """Frames with the source sample that each begins at, the first at or before `start`."""
        frames = self.frames_from(start)
        position = 0
        if start > 0:
            first = next(frames, None)
            if first is None:
                return
            position = round(((first.time or 0.0) - self.zero_seconds) * self.rate_hz)
            if position > start:  # the index led past the aim: walk there from the beginning
                frames, position = self.frames_from(0), 0
            else:
                frames = chain([first], frames)
        for frame in frames:
            yield position, frame
            position += frame.samples

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        held: list[np.ndarray] = []
        held_samples = 0
        for position, frame in self.placed_frames(start):
            if frame.sample_rate != self.rate_hz:
                raise MediaError(
                    f"{self.name}: its sample rate changes from {self.rate_hz} to {frame.sample_rate} Hz."
                )
            mono = to_mono(planes_of(frame), self.channels)
            mono = mono[max(0, start - position) : None if stop is None else max(0, stop - position)]
            if len(mono):
                held.append(mono)
                held_samples += len(mono)
            if held_samples >= BLOCK_SECONDS * self.rate_hz:
                yield np.concatenate(held)
                held, held_samples = [], 0
            if stop is not None and position + frame.samples >= stop:
                break
        if held:
            yield np.concatenate(held)


def planes_of(frame: Any) -> np.ndarray:
    """An audio frame as ``(channels, samples)``, whether planar or packed."""
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    return samples


class TorchcodecSound:
    """torchcodec with the system's FFmpeg: fast and free of the GIL; goes forward only."""

    def __init__(self, decoder: Any, name: str, channels: str) -> None:
        self.decoder, self.name, self.channels = decoder, name, channels
        metadata = decoder.metadata
        self.rate_hz = int(metadata.sample_rate)
        self.zero_seconds = float(metadata.begin_stream_seconds or 0.0)
        self.duration_seconds: float | None = metadata.duration_seconds

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        size = BLOCK_SECONDS * self.rate_hz
        heard = 0
        while stop is None or start < stop:
            until = start + size if stop is None or stop - start > size * 1.5 else stop
            samples = self.read(start, until)
            heard += len(samples)
            if len(samples):
                yield samples
            if len(samples) < until - start - 1:
                break
            start = until
        if not heard and start == 0:
            raise MediaError(f"{self.name}: it has an audio stream, but no sound can be decoded from it.")

    def read(self, start: int, stop: int) -> np.ndarray:
        begin_seconds = self.zero_seconds + start / self.rate_hz
        end_seconds = self.zero_seconds + stop / self.rate_hz
        try:
            samples = self.decoder.get_samples_played_in_range(begin_seconds, end_seconds)
        except (RuntimeError, ValueError) as error:
            if "greater than or equal to" in str(error) or "No audio frames" in str(error):
                return np.zeros(0, np.float32)  # past the end
            raise MediaError(f"{self.name}: torchcodec cannot decode it ({one_line(error)}).") from error
        return to_mono(samples.data.numpy(), self.channels)


class DecordSound:
    """decord 0.6.0: it decodes the whole stream into one array and only its mono mix is sound."""

    def __init__(self, source: Source, name: str, probed: Probed, channels: str) -> None:
        count = probed.channel_count
        if count > 2 or (count == 2 and channels == "first"):
            raise MediaError(
                f"{name}: decord cannot give {'the first channel of ' if channels == 'first' else ''}"
                f"{count} channels correctly; use decoder='pyav' or 'torchcodec'."
            )
        import io

        import decord

        self.rate_hz = probed.rate_hz  # decord does not tell the native rate
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        try:
            samples = decord.AudioReader(file, sample_rate=self.rate_hz, mono=True)[:].asnumpy()
        except Exception as error:
            raise MediaError(f"{name}: decord cannot decode it ({one_line(error)}).") from error
        # FFmpeg's downmix of stereo keeps the power: it is √2 times the mean.
        mono = samples.reshape(-1) / (np.sqrt(2, dtype=np.float32) if count == 2 else np.float32(1))
        if not len(mono):
            raise MediaError(f"{name}: it has an audio stream, but no sound can be decoded from it.")
        self.samples = mono.astype(np.float32)
        self.duration_seconds: float | None = len(mono) / self.rate_hz

    blocks = SamplesSound.blocks
