"""Opens untrusted media safely: a file cannot refer to another file, host or device.

FFmpeg recognizes a container by content, not by name: a text that begins ``ffconcat version 1.0`` is a
playlist even when it is called clip.mp4, and a path such as ``concat:a|b`` is a protocol. Every decoder
here gets a source that passed `open_container` first: only containers that hold their own data, only
the ``file`` protocol. A refusal is final and never falls through to another decoder.
"""

import io
import os
import re
import stat
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Literal

import av
import av.container
import av.error
import av.logging

from ..errors import MediaError
from .failures import describe_error
from .mp4_boxes import FRAGMENT_INDEX_END, FRAGMENT_INDEX_END_BYTES, is_fragmented

# Containers that hold their own data. Left out on purpose: concat, hls, dash, imf and other playlists, sdp,
# rtsp and rtp (network), image2 and lavfi (paths and filter graphs by name), and formats that FFmpeg
# recognizes by the file name alone, whatever the content.
SELF_CONTAINED_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,ogg,flac,wav,mp3,aac,ac3,eac3,flv,mpegts,mpeg,asf,"
    "aiff,au,caf,w64,amr,amrnb,amrwb,dts,dtshd,truehd,mlp,tta,wv,ape,mxf,mxf_opatom,nut,rm,voc,"
    "loas,mpc,mpc8,tak,dv,wtv,swf,ast,aa,mpegvideo,h264,hevc,m4v,ivf,gif,obu,av1"
)
# Texts that FFmpeg may read as playlists and whose entries it then opens. They are refused first: the FFmpeg
# of torchcodec or decord may support playlists that PyAV's does not (imf), or probe a file differently.
PLAYLIST_BEGINNINGS = (b"ffconcat", b"#extm3u", b"v=0", b"c=in ip")
PLAYLIST_MARKS = (b"<mpd", b"<compositionplaylist", b"\nc=in ip")
MOST_PIXELS = 8192 * 4608  # of a frame: 8K, in every form that cameras and films have it
MOST_PROBED_BYTES = 1 << 20  # what FFmpeg reads to recognize a container
FIRST_PROBED_BYTES = 1 << 12  # enough for nearly every file: text ends at the first zero byte

DECLARING_BEGINNINGS = (b"\x1aE\xdf\xa3", b"RIFF", b"OggS", b"fLaC")  # Matroska, AVI and WAV, Ogg, FLAC
CODEC = re.compile(r"Audio: (\w+)(?: \([^(/]*\))?(?: \((.+) / 0x\w+\))?")  # name, profile, tag

Source = str | bytes | Any  # "file:/absolute/path", bytes, or a seekable binary file object
Streams = Literal["audio", "video"]

_log_lock = threading.Lock()


def check_regular_file(path: str, name: str) -> str:
    """The absolute path of a regular, non-empty file. Reading a pipe or a device might never end."""
    try:
        info = os.stat(path)
    except (OSError, ValueError) as error:
        raise MediaError(f"{name}: {getattr(error, 'strerror', None) or error}.") from error
    if not stat.S_ISREG(info.st_mode):
        kind = "a directory, not a file" if stat.S_ISDIR(info.st_mode) else "not a regular file"
        raise MediaError(f"{name}: it is {kind}.")
    if info.st_size == 0:
        raise MediaError(f"{name}: it is empty (0 bytes).")
    return str(Path(path).absolute())


def open_container(
    source: Source, name: str, streams: Streams = "audio", in_order: bool = False
) -> av.container.InputContainer:
    """Open with PyAV's FFmpeg, to decode streams of one kind. Playlists are refused.

    With `in_order`, it will be read from its beginning, in one go.

    >>> with open_container("file:/clips/a.mp4", "a.mp4", "video") as container:  # doctest: +SKIP
    ...     frame = next(container.decode(video=0))
    """
    source = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        head = read_head(source)
        refuse_playlist(head, name)
        options = open_options(head, streams) | choose_fragment_index(source, head, in_order)
        return av.open(source, "r", options=options, metadata_errors="ignore")
    except MediaError:
        raise
    except av.error.ArgumentError as error:
        what = "a picture, a text or a playlist, not a sound or video file"
        raise MediaError(f"{name}: it is {what}.") from error
    except MemoryError as error:  # FFmpeg's own: it allocates as much as a header says
        what = "its header asks for more memory or more streams than FFmpeg allows"
        raise MediaError(f"{name}: {what}.") from error
    except Exception as error:  # FFmpeg's own errors, and whatever a remote file object raises
        raise MediaError(f"{name}: it is no readable media file ({describe_error(error)}).") from error


def open_options(head: bytes, streams: Streams = "audio") -> dict[str, str]:
    """FFmpeg's allowed protocols and formats.

    For sound, a small probe size if the header declares all streams. Of pictures, some headers do not state
    the rate, which FFmpeg then finds in the packets.
    """
    declares_streams = head.startswith(DECLARING_BEGINNINGS) or head[4:8] == b"ftyp"
    return {
        "format_whitelist": SELF_CONTAINED_FORMATS,
        "protocol_whitelist": "file",
        "codec_whitelist": list_decoders(streams),
        **({"probesize": "32"} if declares_streams and streams == "audio" else {}),
        **({"max_pixels": str(MOST_PIXELS)} if streams == "video" else {}),
    }


def choose_fragment_index(source: Any, head: bytes, in_order: bool) -> dict[str, str]:
    """FFmpeg's options for a remote, fragmented mp4: else it would read the head of every fragment first.

    A sound that is read in order needs no index. For others the table at the file's end has the fragments,
    where there is one; without it, all of them are looked for.
    """
    if not is_remote_file(source) or not is_fragmented(head):
        return {}
    if in_order:
        return {"fflags": "+ignidx"}
    source.seek(-FRAGMENT_INDEX_END_BYTES, io.SEEK_END)
    has_table = source.read(8)[4:] == FRAGMENT_INDEX_END
    source.seek(0)
    return {"use_mfra_for": "pts"} if has_table else {}


def is_remote_file(source: Source) -> bool:
    """True for a file object that fetches what is read, and may be told of it in advance."""
    return hasattr(source, "expect_span")


@cache
def list_decoders(streams: Streams) -> str:
    """FFmpeg's decoders for one kind of stream. Excluding the others makes opening safer and much faster."""
    decoders = []
    for name in av.codecs_available:
        with suppress(ValueError):  # it only encodes
            if av.Codec(name, "r").type == streams:
                decoders.append(name)
    return ",".join(sorted(decoders))


def refuse_playlist(head: bytes, name: str) -> None:
    """Refuse playlists. Only the bytes before the first zero byte are checked, as text parsers stop there."""
    text = head.partition(b"\0")[0].lower()
    if text.startswith(PLAYLIST_BEGINNINGS) or any(mark in text for mark in PLAYLIST_MARKS):
        raise MediaError(f"{name}: it is a playlist, which names other files; only media files are read.")


def read_head(source: Any) -> bytes:
    """The first bytes, after an ID3 tag where there is one: FFmpeg skips it too."""
    if isinstance(source, str):
        with open(source.removeprefix("file:"), "rb") as file:
            return read_head(file)
    head = source.read(FIRST_PROBED_BYTES)
    if head[:3] == b"ID3" and len(head) >= 10:
        sizes = zip(head[6:10], (21, 14, 7, 0), strict=True)
        source.seek(10 + sum((byte & 0x7F) << shift for byte, shift in sizes))
        head = source.read(FIRST_PROBED_BYTES)
    if len(head) == FIRST_PROBED_BYTES and b"\0" not in head:
        head += source.read(MOST_PROBED_BYTES - len(head))
    source.seek(0)
    return head


def rewind(source: Source) -> Source:
    """The source, with the position of a file object back at its beginning."""
    if hasattr(source, "seek"):
        source.seek(0)
    return source


def find_audio_codec(container: av.container.InputContainer, name: str) -> Any:
    """The codec context of the first audio stream; an error where FFmpeg has no decoder for it."""
    streams = container.streams.audio
    if streams[0].codec_context is not None:
        return streams[0].codec_context
    others = f" Of its {len(streams)} audio streams, the first is used." if len(streams) > 1 else ""
    codec = read_codec_name(container, streams[0].index)
    raise MediaError(f"{name}: FFmpeg has no decoder for the codec of its sound ({codec}).{others}")


def read_codec_name(container: av.container.InputContainer, index: int) -> str:
    """A stream's codec as FFmpeg describes it. PyAV has no information on a codec without a decoder."""
    with _log_lock:
        level = av.logging.get_level()
        av.logging.set_level(av.logging.INFO)  # FFmpeg writes the description to its log
        try:
            description = container.dumps_format()  # type: ignore[attr-defined]  # not in its stubs
        finally:
            av.logging.set_level(level)
    found = CODEC.search(description.partition(f"Stream #0:{index}")[2].partition("\n")[0])
    names = [] if found is None else [name for name in found.groups() if name and name != "none"]
    return ", ".join(dict.fromkeys(names)) or "unknown"
