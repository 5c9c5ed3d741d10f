"""The operator `audio_duration_filter`: keeps samples by the seconds of their sounds.

The samples are counted, as in Data-Juicer, by decoding all of a sound.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from datasets import Value

from ...choices import OnError
from ...measures.base import Measure
from ...measures.sound_files import AudioDuration
from ..media_filter import AudioFilter, Limits
from ..recipe import option, read_number


@dataclass
class AudioDurationFilter(AudioFilter):
    """Keeps samples with sounds of these durations."""

    name: ClassVar[str] = "audio_duration_filter"
    stats: ClassVar[Mapping[str, Value]] = {"audio_duration": Value("float64")}

    min_duration: float = option(0, read_number)
    max_duration: float = option(sys.maxsize, read_number)

    @property
    def limits(self) -> Mapping[str, Limits]:
        return {"audio_duration": (self.min_duration, self.max_duration)}

    def build_measure(self, on_error: OnError) -> Measure:
        return AudioDuration(on_error=on_error)
