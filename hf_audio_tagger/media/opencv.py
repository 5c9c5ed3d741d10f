"""OpenCV, an optional library: loaded when it is used, and kept to one core where threads share the work."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from ..errors import SettingsError

INSTALL = 'pip install "hf-audio-tagger[video]"'


@cache
def load_opencv() -> Any:
    """The module `cv2`; an error with the remedy where it cannot be imported."""
    try:
        import cv2
    except ImportError as error:
        raise SettingsError(f"OpenCV cannot be imported ({error}): {INSTALL}") from error
    return cv2


@contextmanager
def one_core_each() -> Iterator[None]:
    """Make OpenCV compute on the calling thread alone: several threads then do not wait for its own."""
    cv2 = load_opencv()
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def make_bgr(frame: Any) -> np.ndarray:
    """A frame as OpenCV's `VideoCapture` gives it, to the last bit: BGR, upright."""
    bgr: np.ndarray = frame.reformat(format="bgr24", interpolation="BICUBIC").to_ndarray()
    return np.ascontiguousarray(np.rot90(bgr, frame.rotation // 90)) if frame.rotation else bgr
