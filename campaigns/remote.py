"""Servers that mean harm, as a clip or a model's weights are read from them."""

import io
import re
import socket
import struct
import sys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any
from unittest.mock import patch

from . import servers
from .servers import Answer
from .stand_in import StandIn

SHORT_SECONDS = 2.0
HERE = "127.0.0.1"
BOMB_BYTES = 1 << 30
# Limits of time and size that are shorten in the children, where the package has them.
SHORTENED: Mapping[str, Mapping[str, float]] = {
    "hf_audio_tagger.media.remote.web": {
        "SILENT_SECONDS": SHORT_SECONDS,
        "STALLED_SECONDS": 2 * SHORT_SECONDS,
        "READING_SECONDS": 5.0,
        "GRACE_SECONDS": 1.0,
    },
    "hf_audio_tagger.models.downloads": {
        "TIMEOUT_SECONDS": SHORT_SECONDS,
        "PATIENCE_SECONDS": 5.0,
        "LARGEST_BYTES": 50 << 20,
    },
}
ANY = r"\w"
TIME = r"\d s\b|second|time|slow"
FAR = ("169.254.169.254", "10.0.0.1", "127.0.0.2", "[::1]")


@dataclass(frozen=True)
class Attack:
    """What a server does, and what is to come of it: words in the error, or the clip's tag all the same."""

    answer: Answer | None
    says: str | None  # a pattern; None: it has to be heard
    prefix: str = ""  # of a chained URL
    may_be_heard: bool = False


@cache
def attacks() -> dict[str, Attack]:
    """By name. A path of the server is made of it."""
    clip = good_clip()
    redirects = {
        f"redirect to {host}": Attack(servers.redirect(f"http://{host}/clip.mp4"), "redirect") for host in FAR
    }
    return {
        "a good server": Attack(servers.whole(clip), None),
        "a scheme in capitals": Attack(servers.whole(clip), None, prefix="HTTP"),
        "through a cache": Attack(servers.whole(clip), None, prefix="simplecache::"),
        "ranges ignored": Attack(servers.without_ranges(clip), ANY, may_be_heard=True),
        "a byte a second": Attack(servers.trickle(clip, 1.0), TIME),
        "ten bytes a second": Attack(servers.trickle(clip, 0.1), TIME),
        "headers without end": Attack(servers.trickled_headers, ANY),
        "no answer": Attack(servers.silence, TIME),
        "nobody listens": Attack(None, "refused"),
        "401": Attack(servers.status(401), "401"),
        "403": Attack(servers.status(403), "403"),
        "404": Attack(servers.status(404), "404"),
        "500": Attack(servers.status(500), "500"),
        "redirects in a circle": Attack(servers.redirect("/redirects-in-a-circle"), "redirect"),
        "redirect to a file": Attack(servers.redirect("file:///etc/passwd"), "redirect"),
        **redirects,
        "more told than sent": Attack(servers.wrong_length(clip, 2 * len(clip)), ANY, may_be_heard=True),
        "less told than sent": Attack(servers.wrong_length(clip, len(clip) // 2), ANY, may_be_heard=True),
        "a negative length": Attack(servers.wrong_length(clip, -1), ANY, may_be_heard=True),
        "a body without end": Attack(servers.endless, ANY),
        "a part without end": Attack(servers.endless_part, ANY),
        "a gzip bomb": Attack(servers.gzip_bomb(BOMB_BYTES), ANY),
        "a zip bomb": Attack(servers.whole(zip_bomb()), ANY, prefix="zip://a.mp4::"),
        "a broken connection": Attack(servers.reset, "reset|broke|disconnect|connection|closed"),
        "no HTTP": Attack(servers.no_http, ANY),
        "long headers": Attack(servers.long_headers, ANY),
    }


WEIGHTS_ATTACKS = (
    "a byte a second",
    "headers without end",
    "no answer",
    "nobody listens",
    "401",
    "404",
    "500",
    "redirects in a circle",
    "redirect to a file",
    "more told than sent",
    "a body without end",
    "a gzip bomb",
    "a broken connection",
    "no HTTP",
)


def make_path(name: str) -> str:
    return "/" + re.sub(r"\W+", "-", name)


def routes() -> dict[str, Answer]:
    return {make_path(name): attack.answer for name, attack in attacks().items() if attack.answer is not None}


@cache
def good_clip() -> bytes:
    from hf_audio_tagger.demo.sounds import synthesize
    from hf_audio_tagger.demo.videos import write_video

    file = io.BytesIO()
    write_video(file, synthesize("Siren", 2.0, 16_000, 0), 16_000)
    return file.getvalue()


def zip_bomb() -> bytes:
    """An archive whose one file is zeros: a block of deflate over and over, which takes no time to make."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = deflate.compress(bytes(1 << 24)) + deflate.flush(zlib.Z_FULL_FLUSH)
    body = block * (BOMB_BYTES >> 24) + b"\x03\x00"
    name = b"a.mp4"
    entry = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0, 0, len(body), BOMB_BYTES, len(name), 0)
    local = b"PK\x03\x04" + entry + name
    central = b"PK\x01\x02\x14\x00" + entry + bytes(14) + name
    end = struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local) + len(body), 0)
    return local + body + central + b"PK\x05\x06" + end


# In the child

connected: list[str] = []  # addresses that are none of this campaign's servers


def prepare() -> None:
    """Short limits, and nothing beyond this machine can be reached."""
    for module_name, limits in SHORTENED.items():
        try:
            module = import_module(module_name)
        except ModuleNotFoundError:
            continue
        for name, value in limits.items():
            if hasattr(module, name):
                setattr(module, name, value)
    count_as_public(HERE)
    sys.addaudithook(refuse_far)
    hear_clip(good_clip())


def count_as_public(address: str) -> None:
    """A server on this machine cannot have a public address; the package is made to believe it."""
    try:
        web: Any = import_module("hf_audio_tagger.media.remote.web")
    except ModuleNotFoundError:
        return
    is_public = web.is_public
    web.is_public = lambda one: one == address or is_public(one)


def refuse_far(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(arguments[1], tuple) and arguments[1][0] != HERE:
        connected.append(str(arguments[1][0]))
        raise PermissionError(f"{arguments[1][0]} is out of reach here")


def hear_clip(cell: Any) -> Any:
    from hf_audio_tagger import build_tagger, memo, models

    memo.clear()
    with patch.object(models, "get_model", StandIn):
        return build_tagger("demo", on_error="record", device="cpu", decoder="pyav").classify(cell)[0]


def clip_fault(name: str, url: str) -> str | None:
    """What is wrong with how a clip from a server was dealt with."""
    attack = attacks()[name]
    connected.clear()
    result = hear_clip(make_url(name, attack, url))
    if connected:
        return f"it went on to {connected[0]}"
    if result.error is None:
        is_allowed = (attack.says is None or attack.may_be_heard) and result.tag == hear_clip(good_clip()).tag
        return None if is_allowed else f"it was heard as {result.tag!r}"
    return fault_in_words(result.error, attack.says)


def weights_fault(name: str, url: str) -> str | None:
    """What is wrong with how weights from a server were dealt with."""
    from hf_audio_tagger import TaggerError, build_tagger

    attack = attacks()[name]
    connected.clear()
    try:
        build_tagger("yamnet", weights=make_url(name, attack, url), device="cpu").tag(good_clip())
    except TaggerError as error:
        return f"it went on to {connected[0]}" if connected else fault_in_words(str(error), attack.says)
    return "it was taken for weights"


def fault_in_words(error: str, says: str | None) -> str | None:
    if says is None:
        return f"it was refused: {error}"
    reason = error.partition(": ")[2] or error  # behind the address, which may hold any words
    return None if re.search(says, reason, re.IGNORECASE) else f"the error does not say which: {error}"


def make_url(name: str, attack: Attack, url: str) -> str:
    if attack.answer is None:
        url = f"http://{HERE}:{unused_port()}"
    url += make_path(name)
    return "HTTP" + url[4:] if attack.prefix == "HTTP" else attack.prefix + url


def unused_port() -> int:
    with socket.socket() as one:
        one.bind((HERE, 0))
        return int(one.getsockname()[1])
