"""Decoding alone: the first 10.24 s of each video at 16 kHz, through the package's own pipeline."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.subjects.serving import Job, Run, serve
from hf_audio_tagger.cells import FileMedia
from hf_audio_tagger.chunks import PipelineOptions
from hf_audio_tagger.decode_ahead import decode_ahead

WINDOW_SECONDS = 10.24


@dataclass(frozen=True)
class Ears:
    """What the pipeline asks of a model before the model hears anything."""

    rate_hz: int = 16_000
    window_samples: int = round(WINDOW_SECONDS * 16_000)
    hop_samples: int = round(WINDOW_SECONDS * 16_000)
    frame_samples: int = 400


def decoded(videos: Sequence[str], decoder: str = "auto", threads: int = 2) -> list[np.ndarray]:
    ears: Any = Ears()
    options = PipelineOptions(
        "first", ears.window_samples, "first", decoder, batch_size=16, decode_threads=threads
    )
    windows = []
    for chunk in decode_ahead([FileMedia(video) for video in videos], ears, options):
        windows += [window.samples for window in chunk.windows]
        if chunk.end is not None and chunk.end.error is not None:
            raise chunk.end.error
    return windows


def prepare(settings: Job) -> Run:
    def run(job: Job) -> Job:
        return {"windows": len(decoded(job["videos"], settings["decoder"], settings["threads"]))}

    run({"videos": [settings["warm"]]})
    return run


if __name__ == "__main__":
    serve(prepare)
