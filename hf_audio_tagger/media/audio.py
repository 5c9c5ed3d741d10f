"""`Media` → mono float32 sound at its own rate, by one of the decoders.

Sample positions count from the first sample of the audio stream, regardless of timestamps. PyAV can seek and
stop anywhere; torchcodec is faster and releases the GIL, but always starts at the first sample; decord always
decodes the whole stream.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import av.container

from ..cells import BytesMedia, DecoderMedia, FileMedia, Media, SamplesMedia, UnreadableMedia, is_url
from ..errors import MediaError
from .container import Source, check_regular_file, find_audio_codec, open_container
from .decoders import check_decoder, load_decoder, pyav, torchcodec, unavailable_reason
from .sound import SamplesSound, Sound

MOST_CHANNELS_AT_ONCE = 16  # torchcodec decodes a whole window of every channel into one tensor
LOCAL_SCHEME = re.compile("(file|local)://")  # fsspec's names for local files


@contextmanager
def open_sound(
    media: Media,
    decoder: str = "auto",
    channels: str = "mean",
    only_start: bool = False,
    in_order: bool = False,
    token: str | bool | None = None,
) -> Iterator[Sound | None]:
    """Open the first audio stream; None where the clip has none.

    With `only_start`, only the beginning of the clip will be read, and "auto" uses torchcodec. With
    `in_order`, it will be read from its beginning, in one go. The token is for files of the Hub.

    >>> with open_sound(FileMedia("a.mp4")) as sound:  # doctest: +SKIP
    ...     samples = np.concatenate(list(sound.blocks()))
    """
    check_decoder(decoder)
    if isinstance(media, UnreadableMedia):
        raise media.error(f"{media.name}: {media.reason}")
    if isinstance(media, SamplesMedia):
        yield SamplesSound(media, channels)
        return
    if isinstance(media, DecoderMedia):
        yield torchcodec.TorchcodecSound(media.decoder, media.name, channels)
        return
    in_order = in_order or only_start
    with (
        opened_source(media, token) as source,
        open_container(source, media.name, in_order=in_order) as container,
    ):
        if not container.streams.audio:
            yield None
        elif decoder == "auto":
            yield open_auto(container, source, media.name, channels, only_start)
        else:
            yield load_decoder(decoder).open_sound(container, source, media.name, channels)


@contextmanager
def opened_source(media: FileMedia | BytesMedia, token: str | bool | None = None) -> Iterator[Any]:
    """The input for decoders, closed at the end of the block. Failures to read a remote file are raised."""
    source = open_source(media, token)
    try:
        with raise_read_failures(source):
            yield source
    finally:
        if hasattr(source, "close"):
            source.close()


def is_remote(media: Media) -> bool:
    """True for a URL whose bytes come from elsewhere than this machine's files.

    >>> is_remote(FileMedia("zip://a.mp4::https://example.org/a.zip")), is_remote(FileMedia("file:///a.mp4"))
    (True, False)
    """
    if not isinstance(media, FileMedia) or not is_url(media.path):
        return False
    target = media.path.split("::")[-1]
    return "://" in target and LOCAL_SCHEME.match(target) is None


def open_source(media: FileMedia | BytesMedia, token: str | bool | None = None) -> Source:
    """The input for decoders. Never a bare path, which FFmpeg could parse as a protocol."""
    if isinstance(media, BytesMedia):
        if not media.data:
            raise MediaError(f"{media.name}: it is empty (0 bytes).")
        return media.data
    *links, target = media.path.split("::") if is_url(media.path) else [media.path]
    if not is_remote(media):
        path = check_regular_file(LOCAL_SCHEME.sub("", target, count=1), media.name)
        if not links:
            return "file:" + path
    from .remote.remote_file import open_url  # imports aiohttp, which local files do not need

    return open_url(media.path, media.name, token)


@contextmanager
def raise_read_failures(source: Source) -> Iterator[None]:
    """Raise the error of a remote file, which a decoder may replace or swallow."""
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
    """torchcodec for the beginning of a file; PyAV otherwise, and where torchcodec is missing or fails.

    Remote files always use PyAV: two decoders cannot share the position of one file object.
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
