"""Frames at even distances over a video, of which only the groups of pictures that hold them are decoded.

They are the frames that Data-Juicer samples. It looks for each time from the last key frame before, and for
no frame twice from the same one; a time after the last frame gives the last frame. It takes the number of
frames and the duration from the header, and fails without; here the packets give what the header does not.
"""

from bisect import bisect_right
from collections.abc import Iterator
from fractions import Fraction
from itertools import groupby
from typing import Any

import av
import numpy as np

from ..errors import MediaError
from .frames import Packets, Pictures


def read_sampled_frames(pictures: Pictures, count: int) -> Iterator[Any]:
    """At most `count` frames: the middle one, the first and the last, or these and others between them.

    >>> with open_pictures(media) as pictures:  # doctest: +SKIP
    ...     frames = [frame.to_ndarray(format="rgb24") for frame in read_sampled_frames(pictures, 3)]
    """
    packets = pictures.read_packets()
    if not len(packets) or not pictures.stream.time_base:
        raise MediaError(f"{pictures.name}: it has no frames with times.")
    for place in list_places(pictures, packets, count):
        yield read_frame(pictures, packets, place)


def list_places(pictures: Pictures, packets: Packets, count: int) -> list[int]:
    """The numbers of the frames to read, in the order of presentation."""
    tick = pictures.stream.time_base
    assert tick is not None
    count = min(count, pictures.stream.frames or len(packets))
    duration = find_duration(pictures, packets)
    times = [duration / 2] if count == 1 else [duration / (count - 1) * part for part in range(count)]
    keys = sorted(float(pts * tick) for pts in packets.key_pts.tolist())
    keys = keys if 0.0 in keys else [0.0, *keys]
    places = []
    for _, group in groupby(times, lambda time: bisect_right(keys, time)):
        used = -1
        for time in group:
            used = max(used + 1, int(np.searchsorted(packets.pts, float(time / tick), "left")))
            if used >= len(packets):
                places.append(len(packets) - 1)
                break
            places.append(used)
    return places


def find_duration(pictures: Pictures, packets: Packets) -> Fraction:
    """The duration in seconds that the stream states, else the container, else the packets."""
    stream, tick = pictures.stream, pictures.stream.time_base
    assert tick is not None
    if stream.duration:
        return stream.duration * tick
    if pictures.container.duration:
        return Fraction(pictures.container.duration, av.time_base)
    return int(packets.pts[-1] - packets.pts[0]) * tick


def read_frame(pictures: Pictures, packets: Packets, place: int) -> Any:
    """The frame with this number, or the one before where it cannot be decoded."""
    wanted = int(packets.pts[place])
    before = packets.key_pts[packets.key_pts <= wanted]
    frame = None
    for key in (int(before.max()) if len(before) else None, None):
        pictures.seek(key)
        frame = None
        for found in pictures.frames():
            if found.pts is not None and found.pts > wanted:
                break
            frame = found
            if found.pts == wanted:
                break
        if frame is not None:
            return frame
    raise MediaError(f"{pictures.name}: its frame {place} cannot be decoded.")
