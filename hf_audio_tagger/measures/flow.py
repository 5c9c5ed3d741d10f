"""How much moves between sampled frames of a video: Farneback's optical flow, pair by pair.

The frames, and every step to a number, are those of Data-Juicer's `video_motion_score_filter`: scores are
equal to its own to the last bit. Pairs are computed in threads while the next frames are decoded.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeVar

import numpy as np

from ..errors import MediaError
from ..media.frames import Pictures, check_size
from ..media.opencv import load_opencv, make_bgr, one_core_each
from ..media.opencv_seek import find_read_frames
from ..process import core_share

T = TypeVar("T")

FARNEBACK = {
    "pyr_scale": 0.5,
    "levels": 3,
    "winsize": 15,
    "iterations": 3,
    "poly_n": 5,
    "poly_sigma": 1.2,
    "flags": 0,
}
# Of the pairs that are computed at a time: Farneback takes about 80 bytes for each, 170 MB at 1920x1080.
MOST_PIXELS_AT_ONCE = 2 * 1920 * 1080


@dataclass(frozen=True)
class Sampling:
    """Which frames are compared, and at which size."""

    frames_a_second: float = 2.0
    size: tuple[int, ...] = ()  # of the shorter side, or of both sides
    longest_side: int | None = None
    divisible: int = 1
    is_transposed: bool = False  # as Data-Juicer resizes: height and width change places


@dataclass(frozen=True)
class Sample:
    """A sampled frame."""

    seconds: float
    grey: np.ndarray  # uint8, resized


def map_pairs(
    pictures: Pictures, sampling: Sampling, function: Callable[[Sample, Sample], T]
) -> Iterator[tuple[float, T]]:
    """Apply a function to consecutive sampled frames, in threads: the second one's time, and the result.

    Memory does not grow with the video's length. The flow between equal frames is near 0, not 0; it is
    computed once for each row of equal frames, so that a still video costs its decoding alone.
    """
    threads = max(1, core_share())
    waiting: deque[tuple[Sample, Future[T]]] = deque()
    with one_core_each(), ThreadPoolExecutor(threads, "flow") as pool:
        try:
            before, still = None, None  # `still`: of the frame before and one that equals it
            for sample in read_samples(pictures, sampling):
                most = max(1, min(threads, MOST_PIXELS_AT_ONCE // sample.grey.size))
                while len(waiting) >= most:
                    yield take_result(waiting)
                if before is not None:
                    is_still = np.array_equal(before.grey, sample.grey)
                    future = (is_still and still) or pool.submit(function, before, sample)
                    still = future if is_still else None
                    waiting.append((sample, future))
                before = sample
            while waiting:
                pictures.check_time()
                yield take_result(waiting)
        finally:
            for _, future in waiting:
                future.cancel()


def take_result(waiting: deque[tuple[Sample, Future[T]]]) -> tuple[float, T]:
    sample, future = waiting.popleft()
    return sample.seconds, future.result()


def read_samples(pictures: Pictures, sampling: Sampling) -> Iterator[Sample]:
    """The frames to compare, one after another."""
    cv2 = load_opencv()
    sought = find_read_frames(pictures, list_samples(pictures, sampling.frames_a_second))
    frame, sample = None, None
    for read in pictures.frames_at(chain((0, 1), sought)):  # the first two are read without a seek
        if read is not frame or sample is None:
            bgr = resize(make_bgr(read), sampling, pictures.name)
            sample = Sample(read.time or 0.0, cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY))
        frame = read
        yield sample


def list_samples(pictures: Pictures, frames_a_second: float) -> range:
    """The numbers of the frames that are sought after the first two."""
    if not pictures.rate:
        raise MediaError(f"{pictures.name}: its frame rate is unknown.")
    count = pictures.frame_count or len(pictures.read_packets())
    step = max(1, min(round(pictures.rate / min(frames_a_second, pictures.rate)), count - 1))
    return range(step, count, step)


def resize(bgr: np.ndarray, sampling: Sampling, name: str) -> np.ndarray:
    height, width = bgr.shape[:2]
    sides = find_size(height, width, sampling)
    if sides == (height, width):
        return bgr
    if min(sides) < 1:
        raise MediaError(f"{name}: resized, its frames of {width}x{height} would have a side of 0 pixels.")
    check_size(sides[0], sides[1], name)
    cv2 = load_opencv()
    columns_rows = sides if sampling.is_transposed else sides[::-1]
    resized: np.ndarray = cv2.resize(bgr, columns_rows, interpolation=cv2.INTER_AREA)
    return resized


def find_size(height: int, width: int, sampling: Sampling) -> tuple[int, int]:
    """Height and width after resizing.

    >>> find_size(360, 640, Sampling(size=(120,)))
    (120, 213)
    >>> find_size(360, 640, Sampling(longest_side=320, divisible=16))
    (176, 320)
    """
    short, long = sorted((height, width))
    if len(sampling.size) == 1:
        short, long = sampling.size[0], int(sampling.size[0] * long / short)
    elif sampling.size:
        short, long = sorted(sampling.size)
    if sampling.longest_side is not None and long > sampling.longest_side:
        short, long = int(short * (sampling.longest_side / long)), sampling.longest_side
    short, long = (int(side / sampling.divisible) * sampling.divisible for side in (short, long))
    return (short, long) if width >= height else (long, short)


def compute_flow(before: Sample, after: Sample) -> np.ndarray:
    """The flow from one frame to the next, ``(height, width, 2)`` in pixels."""
    flow: np.ndarray = load_opencv().calcOpticalFlowFarneback(before.grey, after.grey, None, **FARNEBACK)
    return flow


def measure_flow(flow: np.ndarray, is_relative: bool) -> float:
    """The mean length of a flow, of the frame's diagonal if it is relative."""
    # The mean of float32 is part of the number: another way to the lengths differs in the seventh digit.
    lengths, _ = load_opencv().cartToPolar(flow[..., 0], flow[..., 1])
    mean: Any = np.mean(lengths)
    return float(mean / np.hypot(*flow.shape[:2]) if is_relative else mean)
