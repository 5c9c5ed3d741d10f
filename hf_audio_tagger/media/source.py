"""What decoders read from: a local file, bytes, or a file-like object over a URL."""

from collections.abc import Iterator
from contextlib import contextmanager

from ..cells import BytesMedia, FileMedia, is_url
from ..errors import MediaError
from .container import Source, check_regular_file

LOCAL_SCHEMES = ("file://", "local://")  # fsspec's names for local files


def open_source(media: FileMedia | BytesMedia) -> Source:
    """Open a clip for the decoders. Never a bare path, which FFmpeg could take for a protocol."""
    if isinstance(media, BytesMedia):
        if not media.data:
            raise MediaError(f"{media.name}: it is empty (0 bytes).")
        return media.data
    *links, target = media.path.split("::") if is_url(media.path) else [media.path]
    is_local = "://" not in target or target.startswith(LOCAL_SCHEMES)
    if is_local:
        for scheme in LOCAL_SCHEMES:
            target = target.removeprefix(scheme)
        path = check_regular_file(target, media.name)
    if is_local and not links:
        return "file:" + path
    from .remote.remote_file import open_url  # it brings aiohttp, which local files do without

    return open_url(media.path, media.name)


def rewind(source: Source) -> Source:
    """The source, with the position of a file object back at its beginning."""
    if hasattr(source, "seek"):
        source.seek(0)
    return source


@contextmanager
def raise_read_failures(source: Source) -> Iterator[None]:
    """Raise why a remote file could not be read, where the decoder reports something else or nothing."""
    try:
        yield
    except Exception as error:
        failure = getattr(source, "failure", None)
        if failure is None or failure is error:
            raise
        raise failure from error
    if failure := getattr(source, "failure", None):
        raise failure
