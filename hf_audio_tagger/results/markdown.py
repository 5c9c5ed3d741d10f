"""Values as Markdown and as Python, and the templates that are filled with them.

Names and tags come from data that others made: nothing in them may end a table's cell, begin a section or
hide what follows.
"""

import json
import re
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ..text import safe_text


def escape_markdown(text: str) -> str:
    """Text as Markdown shows it, in a table's cell too."""
    return re.sub(r"([\\`*_\[\]<>|~])", r"\\\1", safe_text(" ".join(text.split())))


def format_code(text: str) -> str:
    """Text, such as a column's name, as code."""
    return "`" + safe_text(text).replace("`", "'") + "`"


def format_python(value: Any) -> str:
    """Like repr, with strings in double quotes."""
    return safe_text(json.dumps(value, ensure_ascii=False)) if isinstance(value, str) else repr(value)


def format_call(function: str, *values: Any, **named: Any) -> str:
    """A call in Python.

    >>> format_call("load_dataset", "me/clips", split="train")
    'load_dataset("me/clips", split="train")'
    """
    arguments = [*map(format_python, values), *(f"{name}={format_python(named[name])}" for name in named)]
    return f"{function}({', '.join(arguments)})"


TEMPLATES = Environment(
    loader=PackageLoader(__package__), trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
)
TEMPLATES.filters |= {
    "markdown": escape_markdown,
    "code": format_code,
    "python": format_python,
    "cell": lambda code: code.replace("|", "\\|"),
    "number": "{:,}".format,
    "share": "{:.1%}".format,
}
