"""Opening untrusted media so that a file can name no other file, host or device.

FFmpeg recognises a container by content, not by name: a text that begins ``ffconcat version 1.0`` is a
playlist even when it is called clip.mp4, and a path such as ``concat:a|b`` is a protocol. Every decoder
here gets a source that passed `open_container` first: only containers that hold their own data, only
the ``file`` protocol. A refusal is final and never falls through to another decoder.
"""

import io
import os
import stat
from pathlib import Path
from typing import Any

import av
import av.container
import av.error

from .cells import BytesMedia, FileMedia, is_url
from .errors import MediaError

# Containers whose sound lies in the file itself. Left out on purpose: concat, hls, dash, imf and other
# playlists, sdp, rtsp and rtp (network), image2 and lavfi (paths and filter graphs by name).
SELF_CONTAINED_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,ogg,flac,wav,mp3,aac,ac3,eac3,flv,mpegts,mpeg,asf,"
    "aiff,au,caf,w64,amr,amrnb,amrwb,dts,dtshd,truehd,mlp,tta,wv,ape,mxf,mxf_opatom,nut,rm,voc,ogv,oga,"
    "gsm,loas,mpc,mpc8,tak,dv,wtv,swf,ast,aa,mpegvideo,h264,hevc,m4v,ivf,gif,live_flv,obu,av1"
)
OPEN_OPTIONS = {"format_whitelist": SELF_CONTAINED_FORMATS, "protocol_whitelist": "file"}

URL_TIMEOUT_SECONDS = 60  # to connect, and for each answer to a read

Source = str | bytes | Any  # "file:/absolute/path", bytes, or a seekable binary file object


def source_of(media: FileMedia | BytesMedia) -> Source:
    """What a decoder is given: never a bare path, which FFmpeg could take for a protocol."""
    if isinstance(media, BytesMedia):
        if not media.data:
            raise MediaError(f"{media.name}: it is empty (0 bytes).")
        return media.data
    if is_url(media.path):
        return open_url(media.path)
    return "file:" + regular_file(media.path)


def regular_file(path: str) -> str:
    """The absolute path of a file with content. A pipe or a device could be read for ever."""
    try:
        info = os.stat(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise MediaError(f"{path}: {reason or error}.") from error
    if stat.S_ISDIR(info.st_mode):
        raise MediaError(f"{path}: it is a directory, not a file.")
    if not stat.S_ISREG(info.st_mode):
        raise MediaError(f"{path}: it is not a regular file.")
    if info.st_size == 0:
        raise MediaError(f"{path}: it is empty (0 bytes).")
    return str(Path(path).absolute())


def open_url(url: str) -> Any:
    """A seekable file over fsspec, opened as `datasets` opens it: only what is read is fetched."""
    from datasets import DownloadConfig
    from datasets.utils.file_utils import xopen

    storage_options: dict[str, Any] = {}
    if url.startswith(("http://", "https://")):
        import aiohttp

        limits = aiohttp.ClientTimeout(total=None, connect=URL_TIMEOUT_SECONDS, sock_read=URL_TIMEOUT_SECONDS)
        storage_options = {url.split("://")[0]: {"client_kwargs": {"timeout": limits}}}
    try:
        return xopen(url, "rb", download_config=DownloadConfig(storage_options=storage_options))
    except Exception as error:
        raise MediaError(f"{url}: it could not be opened ({one_line(error)}).") from error


def open_container(source: Source, name: str) -> av.container.InputContainer:
    """Open with FFmpeg inside PyAV. A container that may point elsewhere is refused."""
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        return av.open(file, options=OPEN_OPTIONS, metadata_errors="ignore")
    except Exception as error:  # FFmpeg's own errors, and whatever a remote file object raises
        raise MediaError(f"{name}: it is no readable media file ({one_line(error)}).") from error


def one_line(error: BaseException) -> str:
    """What went wrong, in one line and without FFmpeg's errno prefix or a path that may be a digest."""
    if isinstance(error, av.error.FFmpegError) and error.strerror:
        return str(error.strerror)
    text = " ".join(str(error).split())
    return text[:300] or type(error).__name__
