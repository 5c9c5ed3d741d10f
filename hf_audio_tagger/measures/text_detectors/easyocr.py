"""EasyOCR's detector (CRAFT): the numbers of Data-Juicer's `video_ocr_area_ratio_filter`, which uses it too.

EasyOCR keeps its weights in `~/.EasyOCR/model`, fetches them there where there is a network, and refuses a
file with another checksum. No recognizer is loaded, so that languages change nothing; EasyOCR checks their
codes.
"""

import threading
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from ...errors import ModelError, SettingsError
from ...process import prepare_torch
from .boxes import TextBoxes

INSTALL = 'pip install "hf-audio-tagger[easyocr]"'

_lock = threading.Lock()


def check() -> None:
    if find_spec("easyocr") is None:
        raise SettingsError(f"The detector 'easyocr' needs EasyOCR: {INSTALL}")


def find_text(picture: np.ndarray, languages: tuple[str, ...]) -> TextBoxes:
    """EasyOCR's boxes with its own defaults."""
    with _lock:
        rectangles, quadrilaterals = load_reader(languages).detect(picture)
    return TextBoxes(list(map(tuple, rectangles[0])), quadrilaterals[0])


@cache
def load_reader(languages: tuple[str, ...]) -> Any:
    """EasyOCR's reader without a recognizer, kept in each process."""
    prepare_torch()
    try:
        import easyocr
    except ImportError as error:
        raise SettingsError(f"EasyOCR cannot be imported ({error}): {INSTALL}") from error
    try:
        return easyocr.Reader(list(languages), gpu=False, recognizer=False, verbose=False)
    except ValueError as error:
        raise SettingsError(f"languages: {error}") from error
    except Exception as error:  # no network, no disk, another checksum
        raise ModelError(
            f"EasyOCR cannot load its weights ({error}). Without a network, put craft_mlt_25k.pth into "
            "~/.EasyOCR/model."
        ) from error
