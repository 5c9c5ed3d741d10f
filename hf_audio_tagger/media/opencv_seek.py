"""Which frame OpenCV's `VideoCapture` reads after a seek, told from the packets alone.

OpenCV seeks to a key frame about 16 frames earlier, takes the number of that frame from its time and the
stream's mean rate, and counts on from there. At a constant rate this is the frame that was asked for; at a
variable one it is another, and scores of sampled frames depend on which.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from .frames import Packets, Pictures

FIRST_STEP_BACK = 16  # frames before the wanted one at which a key frame is looked for


def find_read_frames(pictures: Pictures, wanted: Iterable[int]) -> Iterator[int]:
    """For each frame that is sought, the number of the frame that is read. All packets are read once.

    >>> with open_pictures(media) as pictures:  # doctest: +SKIP
    ...     frames = list(pictures.frames_at(find_read_frames(pictures, range(0, 100, 12))))
    """
    packets = pictures.read_packets()
    if not len(packets.key_dts) or not pictures.rate or not pictures.tick_seconds:
        return iter(wanted)
    key_times = list_key_times(packets, pictures)
    most = pictures.frame_count or len(packets)
    # One after another: a header may state any number of frames, and the first that is missing is the end.
    return (find_read_frame(min(number, most), packets, key_times, pictures) for number in wanted)


def find_read_frame(wanted: int, packets: Packets, key_times: np.ndarray, pictures: Pictures) -> int:
    def count_frames(pts: int) -> int:
        return int(pictures.rate * ((pts - pictures.start) * pictures.tick_seconds) + 0.5)

    first = count_frames(int(packets.pts[0]))
    step_back = FIRST_STEP_BACK
    while True:
        aim = max(wanted - step_back, 0)
        time = pictures.start + int(aim / pictures.rate / pictures.tick_seconds + 0.5)
        key = int(packets.key_pts[max(0, int(np.searchsorted(key_times, time, "right")) - 1)])
        place, number = packets.find_place(key), count_frames(key) - first
        if wanted <= 1:
            return place + wanted
        if 0 <= number < wanted:
            return place + wanted - number
        if aim == 0:
            return place + 1
        step_back = step_back * 3 // 2


def list_key_times(packets: Packets, pictures: Pictures) -> np.ndarray:
    """The times by which FFmpeg finds key frames, in the same order as the key frames.

    Matroska's index has times of presentation, that of mp4 times of decoding, which are counted as if the
    first frame were decoded when it is presented.
    """
    format_name = pictures.container.format.name
    if "matroska" in format_name:
        return packets.key_pts
    if "mp4" in format_name:
        return packets.key_dts - packets.dts[0] + pictures.start
    return packets.key_dts
