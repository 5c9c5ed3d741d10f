"""`text_area`: how much of a video is text, as `video_ocr_area_ratio_filter` of Data-Juicer counts."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from ..cells import Media
from ..checks import COUNT, check_choice, invalid, is_count, is_number
from ..media.frames import LONGEST_SECONDS, Pictures, open_pictures
from ..media.sampled_frames import read_sampled_frames
from .base import Measure
from .text_detectors import DETECTORS
from .text_detectors.boxes import TextBoxes

LANGUAGES = ("ch_sim", "en")


@dataclass(frozen=True)
class TextFrame:
    """A sampled frame and the text that was found in it."""

    seconds: float
    picture: np.ndarray  # (height, width, 3), RGB
    boxes: TextBoxes

    @property
    def ratio(self) -> float:
        height, width = self.picture.shape[:2]
        return self.boxes.area / (width * height)


@dataclass(frozen=True, kw_only=True)
class TextArea(Measure):
    """Adds `video_ocr_area_ratio`; made by `text_area`."""

    name: ClassVar[str] = "video_ocr_area_ratio"
    value_type: ClassVar[pa.DataType] = pa.float64()
    of_content: ClassVar[bool] = True

    detector: str = "ppocr"
    frames: int = 3
    languages: tuple[str, ...] = LANGUAGES
    max_seconds: float = LONGEST_SECONDS

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("detector", self.detector, DETECTORS)
        if not is_count(self.frames):
            raise invalid("frames", self.frames, COUNT)
        codes: Any = [self.languages] if isinstance(self.languages, str) else self.languages
        is_list = isinstance(codes, list | tuple)
        if not (is_list and codes and all(isinstance(code, str) for code in codes)):
            raise invalid("languages", self.languages, "a code of EasyOCR's, such as 'en', or a list of them")
        object.__setattr__(self, "languages", tuple(codes))
        if not (is_number(self.max_seconds) and math.isfinite(self.max_seconds) and self.max_seconds > 0):
            raise invalid("max_seconds", self.max_seconds, "a number above 0")
        DETECTORS[self.detector].check()

    def measure(self, media: Media) -> float:
        with open_pictures(media, self.max_seconds) as pictures:
            return float(np.mean([frame.ratio for frame in self.find_text(pictures)]))

    def find_text(self, pictures: Pictures) -> Iterator[TextFrame]:
        """The sampled frames with their text, one after another."""
        detector = DETECTORS[self.detector]
        for frame in read_sampled_frames(pictures, self.frames):
            pictures.check_time()
            picture = frame.to_ndarray(format="rgb24")
            yield TextFrame(frame.time or 0.0, picture, detector.find_text(picture, self.languages))


def text_area(**settings: Any) -> TextArea:
    """A callable for `map` that adds how much of each video's pictures is text: `video_ocr_area_ratio`.

    The ratio is the area of all boxes around text over that of the frame, in the mean over sampled frames.

    | setting | default | |
    |---|---|---|
    | `detector` | "ppocr" | near Data-Juicer's numbers, and quick; "easyocr": its very numbers |
    | `frames` | 3 | sampled frames: the first, the last, and others at even distances; 1: the middle one |
    | `languages` | ("ch_sim", "en") | EasyOCR's codes, which it only checks: text of any language is found |
    | `max_seconds` | 3600 | the longest time for one video |
    | `column`, `output_column`, `on_error`, `batched` | | as every `Measure` has them |

    "ppocr" (PP-OCRv4 mobile) needs the extra `ocr`, and works offline; "easyocr" (CRAFT) needs the extra of
    that name, and weights that it fetches itself. Their ratios differ by 0.01 in the mean: a threshold
    belongs to one of them.

    >>> ds = ds.map(text_area(), num_proc=2)  # doctest: +SKIP
    >>> ds["video_ocr_area_ratio"][0]  # doctest: +SKIP
    [0.0729]
    """
    return TextArea(**settings)
