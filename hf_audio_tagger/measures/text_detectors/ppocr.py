"""PP-OCRv4's mobile detector, run by OpenCV: 18 times cheaper than CRAFT, and works offline.

Its weights (Baidu, Apache-2.0) are in the wheels of rapidocr. Only that file is read: importing rapidocr
imports the variant of OpenCV that needs a display's libraries. The network tells where text is by pixels;
each group of pixels becomes the smallest rectangle around it, enlarged, as the network was trained on shrunk
ones.
"""

import hashlib
import threading
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import SettingsError
from ...media.opencv import load_opencv
from ...process import core_share
from .boxes import TextBoxes

PACKAGES = ("rapidocr", "rapidocr_onnxruntime", "rapidocr_openvino")
FILES = ("ch_PP-OCRv4_det_mobile.onnx", "ch_PP-OCRv4_det_infer.onnx")
DIGEST = "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9"  # sha256
INSTALL = (
    'pip install "hf-audio-tagger[ocr]"; or, for the weights alone, '
    'pip install --no-deps "rapidocr>=3.4.5,<3.9"'
)

LONGEST_SIDE, MULTIPLE = 960, 32  # of what the network sees: larger pictures are made smaller
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, of the channels in this order
LEAST_PROBABILITY, LEAST_SCORE = 0.3, 0.5  # of a pixel, and of a box in the mean
ENLARGED = 2.0  # times area over perimeter, on each side
LEAST_SIDE = 3.0  # of a box in pixels, as the network sees it
MOST_BOXES = 1000

_lock = threading.Lock()


def check() -> None:
    find_weights()
    load_opencv()


def find_text(picture: np.ndarray, languages: tuple[str, ...] = ()) -> TextBoxes:
    """The boxes of all text; the detector knows no languages.

    >>> find_text(picture).outlines  # doctest: +SKIP
    [[(12.0, 8.5), (96.2, 8.5), (96.2, 31.0), (12.0, 31.0)]]
    """
    with _lock:
        probabilities = predict(picture)
    return TextBoxes(quadrilaterals=list(find_boxes(probabilities, *picture.shape[:2])))


@cache
def find_weights() -> str:
    """The file of the weights in an installed package, which is not imported."""
    for package in PACKAGES:
        spec = find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            for name in FILES:
                path = Path(folder) / "models" / name
                if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == DIGEST:
                    return str(path)
    raise SettingsError(f"The detector 'ppocr' needs the weights of PP-OCRv4 mobile: {INSTALL}.")


@cache
def load_network() -> Any:
    cv2 = load_opencv()
    cv2.setNumThreads(core_share())
    return cv2.dnn.readNetFromONNX(find_weights())


@cache
def tabulate_values() -> np.ndarray:
    """What the network is given for each byte of each channel: a fifth of the arithmetic's time."""
    bytes_ = np.arange(256, dtype=np.float32)[:, None]
    return ((bytes_ / 255 - MEAN) / DEVIATION).astype(np.float32)[None]


def predict(picture: np.ndarray) -> np.ndarray:
    """How probably each pixel belongs to text, in a picture of the size that the network sees."""
    cv2 = load_opencv()
    height, width = picture.shape[:2]
    ratio = min(1.0, LONGEST_SIDE / max(height, width))
    rows, columns = (max(MULTIPLE, round(side * ratio / MULTIPLE) * MULTIPLE) for side in (height, width))
    bgr = cv2.resize(picture[..., ::-1], (columns, rows))
    values = cv2.LUT(bgr, tabulate_values())
    network = load_network()
    network.setInput(np.ascontiguousarray(values.transpose(2, 0, 1)[None]))
    probabilities: np.ndarray = network.forward()[0, 0]
    return probabilities


def find_boxes(probabilities: np.ndarray, height: int, width: int) -> Iterator[list[list[float]]]:
    """The corners of each box, in a picture of this size."""
    cv2 = load_opencv()
    is_text = cv2.dilate((probabilities > LEAST_PROBABILITY).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(is_text, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    scale = np.array([width, height]) / probabilities.shape[::-1]
    for contour in contours[:MOST_BOXES]:
        centre, sides, angle = cv2.minAreaRect(contour)
        if min(sides) < LEAST_SIDE:
            continue
        corners = cv2.boxPoints((centre, sides, angle))
        if find_mean(probabilities, corners) < LEAST_SCORE:
            continue
        # The smallest rectangle around a rectangle that is enlarged with round corners.
        margin = sides[0] * sides[1] * ENLARGED / (2 * (sides[0] + sides[1]))
        enlarged = (sides[0] + 2 * margin, sides[1] + 2 * margin)
        if min(enlarged) < LEAST_SIDE + 2:
            continue
        corners = cv2.boxPoints((centre, enlarged, angle)) * scale
        yield np.clip(np.round(corners), 0, (width, height)).tolist()


def find_mean(probabilities: np.ndarray, corners: np.ndarray) -> float:
    """The mean probability of the pixels within a box."""
    cv2 = load_opencv()
    most = np.array(probabilities.shape[::-1]) - 1
    low = np.clip(np.floor(corners.min(0)), 0, most).astype(int)
    high = np.clip(np.ceil(corners.max(0)), 0, most).astype(int)
    mask = np.zeros((high - low + 1)[::-1], np.uint8)
    cv2.fillPoly(mask, [(corners - low).astype(np.int32)], 1)
    part = probabilities[low[1] : high[1] + 1, low[0] : high[0] + 1]
    return float(cv2.mean(part, mask)[0])
