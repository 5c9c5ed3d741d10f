"""Make untrusted text, such as a file's name, safe to store and to show."""

import json
import re
from typing import Any

# Characters that control a terminal, or that are invisible and change how other text looks: C0, DEL and C1,
# direction marks, line separators, invisible letters, halves of a surrogate pair. The joiners U+200C and
# U+200D are allowed: Persian, Hindi and many emoji need them.
UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)
SURROGATE = re.compile("[\ud800-\udfff]")
# What may be secret in a web address: user and password, and the query, which signs many of them.
URL_SECRETS = re.compile(
    r"(https?://)(?:[^\s/?#'\"@]*@)?([^\s?'\"]*)(?:\?[^\s'\"),;]*?(?=:?(?:[\s'\"),;]|$)))?", re.IGNORECASE
)
# The user and password of servers that are no web servers; a query is none of theirs.
URL_USER = re.compile(r"\b((?:s?ftps?|ssh|smb|(?:web)?davs?|webhdfs)://)[^\s/?#'\"@]*@", re.IGNORECASE)


def safe_text(text: str, keep: str = "") -> str:
    r"""Text with control and invisible characters escaped as in Python, except for those in `keep`.

    >>> print(safe_text("\x1b[2J\u202e4pm.é"))
    \x1b[2J\u202e4pm.é
    """
    return UNSAFE.sub(lambda match: match[0] if match[0] in keep else escape(match[0]), text)


def hide_secrets(text: str) -> str:
    """A text whose addresses have no user, password and query, which may be as good as a password.

    >>> hide_secrets("no answer from https://me:word@x.org/a.mp4?sig=12, try again")
    'no answer from https://x.org/a.mp4, try again'
    >>> hide_secrets("ftp://me:word@x.org/a.mp4"), hide_secrets("s3://bucket/a?.mp4")
    ('ftp://x.org/a.mp4', 's3://bucket/a?.mp4')
    """
    return URL_USER.sub(r"\1", URL_SECRETS.sub(r"\1\2", text))


def escape(letter: str) -> str:
    """A character's escape in Python; for a surrogate that encodes a byte of a file name, that byte's."""
    code = ord(letter)
    return chr(code - 0xDC00 if 0xDC80 <= code <= 0xDCFF else code).encode("unicode_escape").decode()


def safe_json(value: Any, indent: int | None = None) -> str:
    """JSON that is safe to show and parses to the same value; letters of all languages stay readable."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return UNSAFE.sub(lambda match: match[0] if match[0] == "\n" else json.dumps(match[0])[1:-1], text)


def is_utf8(text: str) -> bool:
    """False for a file's name that is not UTF-8: Linux allows any bytes, which Python keeps as surrogates."""
    return not SURROGATE.search(text)


def as_utf8(text: str) -> str:
    r"""A file's name as Arrow can store it: bytes that are not UTF-8 are escaped by backslashes.

    >>> print(as_utf8("lat\udce9in.mp4"))
    lat\xe9in.mp4
    """
    return SURROGATE.sub(lambda match: escape(match[0]), text)


def one_line(error: BaseException, most: int = 300) -> str:
    """An error's message in one line; the name of its type if it has none."""
    return " ".join(str(error).split())[:most] or type(error).__name__
