"""`Media` → mono float32 sound at its own rate, by one of the decoders.

Each decoder counts samples from the audio stream's first one, whatever the video's clock says, and
reads only what it is asked for where it can stop. PyAV stops and seeks anywhere; torchcodec is faster
and free of the GIL, but reads from the first sample on; decord always decodes the whole stream.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import av.container
import numpy as np

from ..cells import DecoderMedia, Media, SamplesMedia, UnreadableMedia
from ..errors import MediaError, SettingsError
from .container import Source, find_audio_codec, open_container
from .decoders import load_decoder, pyav, torchcodec, unavailable_reason
from .decoders.samples import SamplesSound
from .sound import Sound
from .source import open_source, raise_read_failures

MOST_CHANNELS_AT_ONCE = 16  # torchcodec decodes a whole window of every channel into one tensor


@contextmanager
def open_sound(
    media: Media, decoder: str = "auto", channels: str = "mean", only_start: bool = False
) -> Iterator[Sound | None]:
    """Open the first audio stream; None where the clip has none.

    `only_start` says that only the clip's beginning will be read: "auto" then uses torchcodec.

    >>> with open_sound(FileMedia("a.mp4")) as sound:  # doctest: +SKIP
    ...     samples = np.concatenate(list(sound.blocks()))
    """
    if reason := unavailable_reason(decoder):
        raise SettingsError(f"decoder={decoder!r} cannot be used here: {reason}")
    if isinstance(media, UnreadableMedia):
        raise media.error(f"{media.name}: {media.reason}")
    if isinstance(media, SamplesMedia):
        yield SamplesSound(media, channels)
        return
    if isinstance(media, DecoderMedia):
        yield torchcodec.TorchcodecSound(media.decoder, media.name, channels)
        return
    source = open_source(media)
    try:
        with raise_read_failures(source), open_container(source, media.name) as container:
            if not container.streams.audio:
                yield None
            elif decoder == "auto":
                yield open_auto(container, source, media.name, channels, only_start)
            else:
                yield load_decoder(decoder).open_sound(container, source, media.name, channels)
    finally:
        if hasattr(source, "close"):
            source.close()


def open_auto(
    container: av.container.InputContainer, source: Source, name: str, channels: str, only_start: bool
) -> Sound:
    """torchcodec for a file's beginning, where it loads; PyAV for all else, and where torchcodec fails.

    A remote file object is read by PyAV: two decoders cannot share its one position.
    """
    open_pyav = partial(pyav.open_sound, container, source, name, channels)
    is_remote = hasattr(source, "read")
    has_many_channels = find_audio_codec(container, name).channels > MOST_CHANNELS_AT_ONCE
    if not only_start or is_remote or has_many_channels or unavailable_reason("torchcodec"):
        return open_pyav()
    try:
        fast = torchcodec.open_sound(container, source, name, channels)
    except MediaError:
        return open_pyav()
    return FallbackSound(fast, open_pyav)


class FallbackSound:
    """A fast decoder, and another for the clips that it fails on: torchcodec ends at a damaged packet."""

    def __init__(self, fast: Sound, open_other: Callable[[], Sound]) -> None:
        self.fast, self.open_other = fast, open_other
        self.rate_hz, self.duration_seconds = fast.rate_hz, fast.duration_seconds

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        try:
            blocks = list(self.fast.blocks(start, stop))
        except MediaError:
            other = self.open_other()
            if other.rate_hz != self.rate_hz:
                raise
            yield from other.blocks(start, stop)
            return
        yield from blocks
