"""The files of data: a call with JSON, safe within a script and within HTML, and packed numbers."""

import base64
import json
from typing import Any

import numpy as np

ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}  # these stand in JSON's texts only


def make_script(function: str, *values: Any) -> bytes:
    r"""A line of JavaScript that hands values to the page, in ASCII.

    >>> make_script("text", 0, "</script>\u2028")
    b'report.text(0, "\\u003c/script\\u003e\\u2028");\n'
    """
    arguments = (json.dumps(value, allow_nan=False, separators=(",", ":")) for value in values)
    return f"report.{function}({', '.join(arguments)});\n".translate(ESCAPES).encode("ascii")


def pack(numbers: Any, kind: str) -> str:
    """Numbers as little-endian bytes in base64, each clipped to what its type holds.

    >>> pack([1, 258], "u2")
    'AQACAQ=='
    """
    values = np.asarray(numbers)
    if kind != "f4":
        values = np.clip(values, 0, np.iinfo(kind).max)
    return base64.b64encode(values.astype(f"<{kind}").tobytes()).decode()
