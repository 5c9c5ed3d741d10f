"""Text that others wrote, such as a file's name, made fit to be stored and to be shown."""

import json
import re
from typing import Any

# What a terminal obeys, or what changes the look of other text and is not seen itself: C0, DEL and C1, marks
# that turn the direction, separators of lines, invisible letters, halves of a surrogate pair. The joiners
# U+200C and U+200D stay: Persian, Hindi and many emoji are written with them.
UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)
SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def safe_text(text: str, keep: str = "") -> str:
    r"""Text that can be shown anywhere: controls and unseen marks as Python writes them, but for `keep`.

    >>> print(safe_text("\x1b[2J\u202e4pm.é"))
    \x1b[2J\u202e4pm.é
    """
    return UNSAFE.sub(lambda match: match[0] if match[0] in keep else escaped(match[0]), text)


def escaped(letter: str) -> str:
    """A letter by its number; a byte of a name that is no UTF-8, which Python keeps as U+DC80 on, as that."""
    code = ord(letter)
    if letter in SHORT:
        return SHORT[letter]
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def safe_json(value: Any, indent: int | None = None) -> str:
    """JSON to be shown: the same value for whoever parses it, letters of all languages as they are."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return UNSAFE.sub(lambda match: match[0] if match[0] == "\n" else json_escaped(match[0]), text)


def json_escaped(letter: str) -> str:
    return f"\\u{ord(letter):04x}" if ord(letter) < 0x10000 else json.dumps(letter)[1:-1]


def is_utf8(text: str) -> bool:
    """False for a file's name that is none: Linux allows any bytes, which Python keeps as surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def as_utf8(name: str) -> str:
    r"""A file's name as Arrow can hold it, the bytes that are no UTF-8 escaped by backslashes.

    >>> print(as_utf8("lat\udce9in.mp4"))
    lat\xe9in.mp4
    """
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def one_line(error: BaseException, most: int = 300) -> str:
    """What an error says, in one line; the name of its kind where it says nothing."""
    return " ".join(str(error).split())[:most] or type(error).__name__
