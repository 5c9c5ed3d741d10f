"""Tables of many rows with a tenth of a second of sound each: what a row costs beside its sound."""

import io
import time
import wave

import numpy as np
from datasets import Dataset

from benchmarks.subjects.serving import Job, Run, serve
from hf_audio_tagger import build_tagger, memo

RATE_HZ, SAMPLES = 16_000, 1_600


def wav(noise: np.ndarray) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE_HZ)
        writer.writeframes((noise * 8_000).astype("<i2").tobytes())
    return file.getvalue()


def prepare(_: Job) -> Run:
    tagger = build_tagger("demo", tag_column="audio_tags")

    def run(job: Job) -> Job:
        rng = np.random.default_rng(0)
        memo.clear()  # and no two rows are alike: every row is heard
        rows = Dataset.from_dict({"audio": [wav(rng.standard_normal(SAMPLES)) for _ in range(job["rows"])]})
        started = time.perf_counter()
        rows.map(tagger, batched=True, batch_size=64)
        return {"seconds": time.perf_counter() - started}

    run({"rows": 64})
    return run


if __name__ == "__main__":
    serve(prepare)
