"""Sound with and without repeats, through a tagger with its memory of windows and without."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import count
from unittest.mock import patch

import numpy as np

from benchmarks.subjects.serving import Job, Run, serve
from hf_audio_tagger import build_tagger, memo
from hf_audio_tagger.activity import Meter, measured_by
from hf_audio_tagger.memo.windows import Key, Output, WindowMemory, make_window_key
from hf_audio_tagger.models import get_model

SEED = 20_261
DIGESTED_WINDOWS = 200
DIGEST_ROUNDS = 20


class NoMemory(WindowMemory):
    """It keeps nothing and finds nothing."""

    def find(self, key: Key) -> Output | None:
        return None

    def keep(self, keys: Sequence[Key], arrays: Sequence[np.ndarray]) -> list[Output]:
        return list(zip(*arrays, strict=True))


@contextmanager
def without_memory() -> Iterator[None]:
    """No window is digested, and each counts as a new one."""
    numbers = count()
    with (
        patch("hf_audio_tagger.chunks.make_window_key", lambda samples: (b"", next(numbers), "")),
        patch("hf_audio_tagger.memo.get_window_memory", lambda model: NoMemory()),
    ):
        yield


def prepare(settings: Job) -> Run:
    """`settings`: "tagger" for build_tagger, which hears whole clips."""
    tagger = build_tagger(**settings["tagger"], windows="all", embeddings=True)
    model = get_model(tagger.spec, "cpu")
    rng = np.random.default_rng(SEED)

    def noise(windows: int) -> np.ndarray:
        return rng.normal(0, 0.1, windows * model.hop_samples).astype(np.float32)

    def make_sounds(part: int, repeats: bool) -> list[np.ndarray]:
        """Clips of two parts. With repeats, two of four have an intro or silence, and one is the first."""
        if not repeats:
            return [noise(2 * part) for _ in range(4)]
        intro, silence = noise(part), np.zeros(part * model.hop_samples, np.float32)
        sounds = []
        for _ in range(4):
            first = np.concatenate([intro, noise(part)])
            sounds += [first, np.concatenate([noise(part), silence]), first, noise(2 * part)]
        return sounds

    def hear(job: Job) -> Job:
        sounds = make_sounds(job["part_windows"], job["repeats"])
        cells = [{"array": one, "sampling_rate": model.rate_hz} for one in sounds]
        memo.clear()
        meter = Meter()
        with nullcontext() if job["has_memory"] else without_memory(), measured_by(meter):
            cpu_before, started = time.process_time(), time.perf_counter()
            results = tagger.classify(cells)
            seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_before
        return {
            "seconds": seconds,
            "cpu_seconds": cpu_seconds,
            "windows": meter.read().windows,
            "new_windows": len(memo.get_window_memory(model).outputs),
            "tags": [result.tag for result in results],
        }

    def digest(job: Job) -> Job:
        samples = noise(1 + model.window_samples // model.hop_samples)[: model.window_samples]
        windows: list[np.ndarray] = [samples + np.float32(number) for number in range(DIGESTED_WINDOWS)]
        started = time.process_time()
        for _ in range(DIGEST_ROUNDS):
            for window in windows:
                make_window_key(window)
        return {"microseconds": 1e6 * (time.process_time() - started) / DIGEST_ROUNDS / DIGESTED_WINDOWS}

    hear({"part_windows": 1, "repeats": False, "has_memory": True})  # loads and compiles
    return lambda job: hear(job) if job["what"] == "hear" else digest(job)


if __name__ == "__main__":
    serve(prepare)
