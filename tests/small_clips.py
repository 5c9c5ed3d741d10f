"""Short clips of the demo model's sounds."""

from collections.abc import Sequence
from pathlib import Path

from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.demo.videos import write_video


def write_clips(folder: Path, labels: Sequence[str]) -> list[str]:
    """An mp4 of three seconds for each label; their paths."""
    paths = [folder / f"{number}.mp4" for number in range(len(labels))]
    for path, label in zip(paths, labels, strict=True):
        write_video(path, synthesize(label, 3.0, 44_100, 11), 44_100)
    return [str(path) for path in paths]
