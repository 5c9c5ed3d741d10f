"""The motion score from OpenCV's own reader, seek by seek: the reference for ours, which never uses it."""

from pathlib import Path
from typing import Any

import numpy as np

MOST_READS = 2000  # of a file whose count is wrong, which would be read for ever


def score_with_opencv(path: Path, sampling_fps: float = 2, relative: bool = False) -> float:
    """Frames 0 and 1, then every step-th; the mean length of the flow between each and the one before."""
    import cv2

    capture: Any = cv2.VideoCapture(str(path))
    rate, count = capture.get(cv2.CAP_PROP_FPS), int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    step = max(min(round(rate / min(sampling_fps, rate)), count - 1), 1)
    greys: list[np.ndarray] = []
    scores = []
    for place in [None, None, *range(step, min(count, MOST_READS), step)]:
        if place is not None:
            capture.set(cv2.CAP_PROP_POS_FRAMES, place)
        is_read, frame = capture.read()
        if not is_read:
            break
        greys.append(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY))
        if len(greys) > 1:
            flow = cv2.calcOpticalFlowFarneback(greys[-2], greys[-1], None, 0.5, 3, 15, 3, 5, 1.2, 0)
            score = np.mean(cv2.cartToPolar(flow[..., 0], flow[..., 1])[0])
            scores.append(float(score / np.hypot(*frame.shape[:2]) if relative else score))
    capture.release()
    return float(np.mean(scores or [-1]))
