"""Opening untrusted media so that a file can name no other file, host or device.

FFmpeg recognises a container by content, not by name: a text that begins ``ffconcat version 1.0`` is a
playlist even when it is called clip.mp4, and a path such as ``concat:a|b`` is a protocol. Every decoder
here gets a source that passed `open_container` first: only containers that hold their own data, only
the ``file`` protocol. A refusal is final and never falls through to another decoder.
"""

import io
import os
import stat
from functools import cache
from pathlib import Path
from typing import Any

import av
import av.container
import av.error

from ..cells import BytesMedia, FileMedia, is_url
from ..errors import MediaError

# Containers whose sound lies in the file itself. Left out on purpose: concat, hls, dash, imf and other
# playlists, sdp, rtsp and rtp (network), image2 and lavfi (paths and filter graphs by name), and formats
# that are told by a file's name alone, which any content could bear.
SELF_CONTAINED_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,ogg,flac,wav,mp3,aac,ac3,eac3,flv,mpegts,mpeg,asf,"
    "aiff,au,caf,w64,amr,amrnb,amrwb,dts,dtshd,truehd,mlp,tta,wv,ape,mxf,mxf_opatom,nut,rm,voc,"
    "loas,mpc,mpc8,tak,dv,wtv,swf,ast,aa,mpegvideo,h264,hevc,m4v,ivf,gif,obu,av1"
)
# Texts that make some FFmpeg open what they name. The FFmpeg of torchcodec or decord may know kinds that
# PyAV's does not (imf), and take for one what PyAV takes for sound: these are refused before any looks.
PLAYLIST_BEGINNINGS = (b"ffconcat", b"#extm3u", b"v=0", b"c=in ip")
PLAYLIST_MARKS = (b"<mpd", b"<compositionplaylist", b"\nc=in ip")
MOST_PROBED_BYTES = 1 << 20  # what FFmpeg looks at to tell a container
FIRST_PROBED_BYTES = 1 << 12  # enough for nearly every file: text ends at the first zero byte

DECLARING_BEGINNINGS = (b"\x1aE\xdf\xa3", b"RIFF", b"OggS", b"fLaC")  # Matroska, AVI and WAV, Ogg, FLAC

LOCAL_SCHEMES = ("file://", "local://")  # as fsspec names this machine's own files

Source = str | bytes | Any  # "file:/absolute/path", bytes, or a seekable binary file object


def source_of(media: FileMedia | BytesMedia) -> Source:
    """What a decoder is given: never a bare path, which FFmpeg could take for a protocol."""
    from .remote import open_url  # it stands on this file

    if isinstance(media, BytesMedia):
        if not media.data:
            raise MediaError(f"{media.name}: it is empty (0 bytes).")
        return media.data
    *links, target = media.path.split("::") if is_url(media.path) else [media.path]
    if "://" in target and not target.startswith(LOCAL_SCHEMES):
        return open_url(media.path, media.name)
    for scheme in LOCAL_SCHEMES:
        target = target.removeprefix(scheme)
    path = regular_file(target, media.name)
    return open_url(media.path, media.name) if links else "file:" + path


def regular_file(path: str, name: str) -> str:
    """The absolute path of a file with content. A pipe or a device could be read for ever."""
    try:
        info = os.stat(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise MediaError(f"{name}: {reason or error}.") from error
    if stat.S_ISDIR(info.st_mode):
        raise MediaError(f"{name}: it is a directory, not a file.")
    if not stat.S_ISREG(info.st_mode):
        raise MediaError(f"{name}: it is not a regular file.")
    if info.st_size == 0:
        raise MediaError(f"{name}: it is empty (0 bytes).")
    return str(Path(path).absolute())


def open_options(head: bytes) -> dict[str, str]:
    """What FFmpeg may use, and how far it may look: a header that declares its streams is all it needs."""
    declares_streams = head.startswith(DECLARING_BEGINNINGS) or head[4:8] == b"ftyp"
    return {
        "format_whitelist": SELF_CONTAINED_FORMATS,
        "protocol_whitelist": "file",
        "codec_whitelist": audio_decoders(),
        **({"probesize": "32"} if declares_streams else {}),
    }


@cache
def audio_decoders() -> str:
    """Video decoders never see the file: that is safer, and opening one takes longer than all else here."""
    return ",".join(sorted(name for name in av.codecs_available if is_audio_decoder(name)))


def is_audio_decoder(name: str) -> bool:
    try:
        return av.Codec(name, "r").type == "audio"
    except ValueError:  # it only encodes
        return False


def open_container(source: Source, name: str) -> av.container.InputContainer:
    """Open with FFmpeg inside PyAV. A container that may point elsewhere is refused."""
    try:
        head = head_of(source)
        refuse_playlist(head, name)
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        return av.open(file, "r", options=open_options(head), metadata_errors="ignore")
    except MediaError:
        raise
    except av.error.ArgumentError as error:
        raise MediaError(
            f"{name}: it is a picture, a text or a playlist, not a sound or video file."
        ) from error
    except Exception as error:  # FFmpeg's own errors, and whatever a remote file object raises
        raise MediaError(f"{name}: it is no readable media file ({one_line(error)}).") from error


def refuse_playlist(head: bytes, name: str) -> None:
    """Refuse a text that names other files. A reader of texts stops at the first zero byte."""
    text = head.partition(b"\0")[0].lower()
    if text.startswith(PLAYLIST_BEGINNINGS) or any(mark in text for mark in PLAYLIST_MARKS):
        raise MediaError(
            f"{name}: it is a playlist, which names other files; only media themselves are read."
        )


def head_of(source: Source) -> bytes:
    """The first bytes, behind an ID3 tag where there is one: FFmpeg skips it too."""
    if isinstance(source, bytes):
        return read_head(io.BytesIO(source))
    if isinstance(source, str):
        with open(source.removeprefix("file:"), "rb") as file:
            return read_head(file)
    head = read_head(source)
    source.seek(0)
    return head


def read_head(file: Any) -> bytes:
    head = file.read(FIRST_PROBED_BYTES)
    if head[:3] == b"ID3" and len(head) >= 10:
        tag_bytes = sum(
            (byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True)
        )
        file.seek(10 + tag_bytes)
        head = file.read(FIRST_PROBED_BYTES)
    if len(head) == FIRST_PROBED_BYTES and b"\0" not in head:
        head += file.read(MOST_PROBED_BYTES - len(head))
    return head


def one_line(error: BaseException) -> str:
    """What went wrong, in one line and without FFmpeg's errno prefix or a path that may be a digest."""
    if isinstance(error, av.error.FFmpegError) and error.strerror:
        return str(error.strerror)
    text = " ".join(str(error).split())
    return text[:300] or type(error).__name__
