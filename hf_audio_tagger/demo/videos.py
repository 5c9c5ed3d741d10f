"""Short mp4 files with a tiny picture and optional sound."""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np

from .sounds import synthesize

NO_AUDIO = "EMPTY"  # expected of a video without an audio stream
UNREADABLE = "UNREADABLE"  # expected of a broken file: an error, and no tag

LAYOUTS = {1: "mono", 2: "stereo"}
SILENT_VIDEO_SECONDS = 2.0
PICTURES_A_SECOND = 2

_DEMO_CLIPS: tuple[tuple[str, float, int], ...] = (
    ("Music", 8.0, 44_100),
    ("Speech", 6.0, 48_000),
    ("Siren", 10.0, 44_100),
    ("Dial tone", 4.0, 48_000),
    ("Church bell", 7.0, 44_100),
    ("Cricket", 5.0, 48_000),
    ("White noise", 4.0, 44_100),
    ("Tick-tock", 6.0, 48_000),
    ("Heart sounds, heartbeat", 9.0, 44_100),
    ("Silence", 5.0, 48_000),
)


@dataclass(frozen=True)
class DemoVideo:
    """A file, and the expected tag: a label, `NO_AUDIO` or `UNREADABLE`."""

    path: Path
    expected: str


def write_video(
    path: str | Path | BinaryIO,
    waveform: np.ndarray | None,
    rate_hz: int,
    *,
    picture_seed: int = 0,
    size: tuple[int, int] = (64, 48),
    seconds: float | None = None,
) -> None:
    """Writes an mp4 whose sound is `waveform`, (samples,) or (channels, samples), in AAC.

    With None there is no audio stream. `seconds` is the length of the picture, by default the sound's.
    """
    sound = None if waveform is None else np.atleast_2d(np.asarray(waveform, np.float32))
    if seconds is None:
        seconds = SILENT_VIDEO_SECONDS if sound is None else sound.shape[1] / rate_hz
    if sound is not None and sound.shape[0] not in LAYOUTS:
        raise ValueError(f"a waveform of {sound.shape[0]} channels: mono or stereo is written")
    with av.open(str(path) if isinstance(path, Path) else path, "w", format="mp4") as container:
        video = container.add_stream("mpeg4", rate=PICTURES_A_SECOND)
        video.width, video.height = size
        video.pix_fmt = "yuv420p"
        # Add streams before the first packet, with which the header is written.
        if sound is not None:
            layout = LAYOUTS[sound.shape[0]]
            audio = container.add_stream("aac", rate=rate_hz, layout=layout)
            audio.bit_rate = 64_000 * sound.shape[0]
            audio.options = {"aac_coder": "fast"}
        # A gradient of two random colours, which takes little time to encode.
        left, right = np.random.default_rng(picture_seed).integers(0, 256, size=(2, 3))
        blend = np.linspace(0.0, 1.0, size[0])[None, :, None]
        row = (left * (1 - blend) + right * blend).astype(np.uint8)
        picture = av.VideoFrame.from_ndarray(np.repeat(row, size[1], axis=0), format="rgb24")
        picture = picture.reformat(format="yuv420p")
        for index in range(max(1, round(seconds * PICTURES_A_SECOND))):
            picture.pts = index
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        if sound is not None:
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound), format="fltp", layout=layout)
            frame.sample_rate = rate_hz
            container.mux(audio.encode(frame))
            container.mux(audio.encode(None))


def write_demo_videos(folder: str | Path, seed: int = 0) -> list[DemoVideo]:
    """Writes a dozen videos: ten sounds, one without an audio stream, one broken file."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    videos = []
    for index, (label, seconds, rate_hz) in enumerate(_DEMO_CLIPS):
        name = label.split(",")[0].lower().replace(" ", "-")
        path = folder / f"{index:02d}-{name}.mp4"
        write_video(path, synthesize(label, seconds, rate_hz, seed), rate_hz, picture_seed=seed + index)
        videos.append(DemoVideo(path, label))
    no_audio = folder / f"{len(videos):02d}-no-audio.mp4"
    write_video(no_audio, None, 44_100, picture_seed=seed + len(videos), seconds=4.0)
    videos.append(DemoVideo(no_audio, NO_AUDIO))
    # Like an interrupted download: the index is at the end of an mp4, so nothing can be read.
    broken = folder / f"{len(videos):02d}-broken.mp4"
    broken.write_bytes(videos[0].path.read_bytes()[:2000])
    videos.append(DemoVideo(broken, UNREADABLE))
    return videos
