"""A model that takes no time, limits of open files, and eighty clips, for tests of the pipeline."""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sound_files import KINDS, tones, write_sound

from hf_audio_tagger.cells import FileMedia, Media
from hf_audio_tagger.chunks import PipelineOptions
from hf_audio_tagger.models import ModelOutput

resource = pytest.importorskip("resource")

HEADER_BYTES = 100  # at least, of a wav file: its samples begin before that


class Zeros:
    """A model of one class that takes no time."""

    labels, multi_label = ("x",), True
    rate_hz = window_samples = hop_samples = 16_000
    frame_samples, default_windows, embedding_size, device = 400, "first", None, None

    def predict(self, windows: Any) -> ModelOutput:
        return ModelOutput(np.zeros((len(windows), 1), np.float32), None)


def options(windows: str | int, batch_size: int, threads: int = 2) -> PipelineOptions:
    return PipelineOptions(windows, 16_000, "mean", "auto", batch_size, threads)


@contextmanager
def files_at_most(count: int) -> Iterator[None]:
    """This process may have so many files open, as after `ulimit -n`."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def with_room_for(count: int) -> int:
    """The limit under which so many files can be opened beside those that are open."""
    taken = set(map(int, os.listdir("/proc/self/fd" if Path("/proc/self/fd").is_dir() else "/dev/fd")))
    free = (number for number in itertools.count() if number not in taken)
    return next(itertools.islice(free, count, None))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> list[Media]:
    """Eighty clips of twelve windows, no two of which are alike."""
    folder = tmp_path_factory.mktemp("many")
    path = write_sound(folder / "many.wav", tones(12, 16_000), rate_hz=16_000, kind=KINDS["wav-pcm_s16le"])
    header, rng = path.read_bytes()[:HEADER_BYTES], np.random.default_rng(7)
    media: list[Media] = []
    for place in range(80):
        copy = folder / f"many{place}.wav"
        copy.write_bytes(header + rng.bytes(path.stat().st_size - HEADER_BYTES))
        media.append(FileMedia(str(copy)))
    return media
