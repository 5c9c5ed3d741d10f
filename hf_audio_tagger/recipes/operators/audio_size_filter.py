"""The operator `audio_size_filter`: keeps samples by the size of their sound files.

Sizes are whole numbers with a unit of 1,024 or none: "20KB", "1 MiB", "500". Data-Juicer reads digits
alone, so that "1.5MB" is 15 MB to it; here that is refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from datasets import Value

from ...checks import invalid
from ...choices import OnError
from ...measures.base import Measure
from ...measures.sound_files import AudioSize
from ..media_filter import AudioFilter, Limits
from ..recipe import option

SIZE = re.compile(r"\s*(\d+)\s*(?:([KMGTPEZY]?)i?B)?\s*", re.IGNORECASE)
UNITS = ("", "K", "M", "G", "T", "P", "E", "Z", "Y")  # each 1,024 times the one before


def read_size(name: str, value: Any) -> int:
    found = None if isinstance(value, bool) else SIZE.fullmatch(str(value))
    if found is None:
        raise invalid(name, value, 'a whole number of bytes, KB, MB, GB or TB, such as "20KB"')
    digits, unit = found.groups()
    return int(digits) << 10 * UNITS.index((unit or "").upper())


@dataclass
class AudioSizeFilter(AudioFilter):
    """Keeps samples with sound files of these sizes."""

    name: ClassVar[str] = "audio_size_filter"
    stats: ClassVar[Mapping[str, Value]] = {"audio_sizes": Value("int64")}

    min_size: int = option(0, read_size)
    max_size: int = option(1 << 40, read_size)

    @property
    def limits(self) -> Mapping[str, Limits]:
        return {"audio_sizes": (self.min_size, self.max_size)}

    def build_measure(self, on_error: OnError) -> Measure:
        return AudioSize(on_error=on_error)
