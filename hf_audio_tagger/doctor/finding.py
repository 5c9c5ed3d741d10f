"""What an examination of this machine gives."""

from dataclasses import dataclass
from typing import Literal

# "error": tagging cannot work. "warning": something optional is broken. "note": something optional is absent.
State = Literal["ok", "note", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """One thing that was examined, and what to do about it if it does not work."""

    subject: str
    state: State
    detail: str
    remedy: str | None = None
