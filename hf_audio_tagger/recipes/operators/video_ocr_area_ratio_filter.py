"""The operator `video_ocr_area_ratio_filter`: keeps samples by how much of their videos' pictures is text.

Data-Juicer detects text with EasyOCR: `detector: easyocr` gives its numbers. The default detector is another,
18 times cheaper, and gives numbers near them. Which one a run used is counted in its summary. Where
Data-Juicer fails for want of a number in a header (mkv, webm, fragmented files), a ratio is counted here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from datasets import Value

from ...choices import OnError
from ...measures.base import Measure
from ...measures.text import text_area
from ...measures.text_detectors import DETECTORS
from ..media_filter import Limits, VideoFilter
from ..operator import SampleResult
from ..recipe import one_of, option, read_count, read_names, read_number


@dataclass
class VideoOcrAreaRatioFilter(VideoFilter):
    """Keeps samples with videos of these ratios of text."""

    name: ClassVar[str] = "video_ocr_area_ratio_filter"
    stats: ClassVar[Mapping[str, Value]] = {"video_ocr_area_ratio": Value("float64")}

    min_area_ratio: float = option(0, read_number)
    max_area_ratio: float = option(1.0, read_number)
    frame_sample_num: int = option(3, read_count)
    languages_to_detect: tuple[str, ...] = option(("ch_sim", "en"), read_names)
    detector: str = option("ppocr", one_of(*DETECTORS))  # Data-Juicer has no such option

    @property
    def limits(self) -> Mapping[str, Limits]:
        return {"video_ocr_area_ratio": (self.min_area_ratio, self.max_area_ratio)}

    @property
    def outcomes(self) -> tuple[str, ...]:  # type: ignore[override]  # the detector is an option
        return (f"text area by {self.detector}",)

    def build_measure(self, on_error: OnError) -> Measure:
        return text_area(
            detector=self.detector,
            frames=self.frame_sample_num,
            languages=self.languages_to_detect,
            on_error=on_error,
        )

    def make_result(self, *arguments: Any) -> SampleResult:
        result = super().make_result(*arguments)
        return SampleResult(result.fields, self.outcomes, result.failures)
