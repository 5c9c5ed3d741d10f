"""`Media` → mono float32 sound at its own rate, by one of the decoders.

Each decoder counts samples from the audio stream's first one, whatever the video's clock says. PyAV stops and
seeks anywhere; torchcodec is faster and free of the GIL, but reads from the first sample on; decord always
decodes the whole stream.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import av.container

from ..cells import BytesMedia, DecoderMedia, FileMedia, Media, SamplesMedia, UnreadableMedia, is_url
from ..errors import MediaError, SettingsError
from .container import Source, check_regular_file, find_audio_codec, open_container
from .decoders import load_decoder, pyav, torchcodec, unavailable_reason
from .sound import SamplesSound, Sound

MOST_CHANNELS_AT_ONCE = 16  # torchcodec decodes a whole window of every channel into one tensor
LOCAL_SCHEME = re.compile("(file|local)://")  # fsspec's names for local files


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


def open_source(media: FileMedia | BytesMedia) -> Source:
    """What decoders read from. Never a bare path, which FFmpeg could take for a protocol."""
    if isinstance(media, BytesMedia):
        if not media.data:
            raise MediaError(f"{media.name}: it is empty (0 bytes).")
        return media.data
    *links, target = media.path.split("::") if is_url(media.path) else [media.path]
    if "://" not in target or LOCAL_SCHEME.match(target):
        path = check_regular_file(LOCAL_SCHEME.sub("", target, count=1), media.name)
        if not links:
            return "file:" + path
    from .remote.remote_file import open_url  # it brings aiohttp, which local files do without

    return open_url(media.path, media.name)


@contextmanager
def raise_read_failures(source: Source) -> Iterator[None]:
    """Raise why a remote file could not be read, where the decoder reports something else or nothing."""
    try:
        yield
    except Exception as error:
        if (failure := getattr(source, "failure", None)) in (None, error):
            raise
        raise failure from error
    if failure := getattr(source, "failure", None):
        raise failure


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
    fast.open_other = open_pyav
    return fast
