"""Neighbours in a file of random embeddings, and the bare matrix product of the same size."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset

from benchmarks.subjects.serving import Job, Run, anonymous_mb, sample_peak, serve
from hf_audio_tagger import find, nearest
from hf_audio_tagger.neighbors.search import BASE_ROWS_AT_ONCE

SEED = 20_261
ROWS_OF_A_BATCH = 1_000


def make_vectors(path: str, rows: int, width: int) -> None:
    """An Arrow file with the columns of a tagged dataset, as `datasets` caches it."""
    rng = np.random.default_rng(SEED)
    with pa.OSFile(path, "wb") as file:
        writer = None
        for first in range(0, rows, ROWS_OF_A_BATCH):
            batch = make_table(rng, first, min(ROWS_OF_A_BATCH, rows - first), width)
            writer = writer or pa.ipc.new_stream(file, batch.schema)
            writer.write_table(batch)
        assert writer is not None
        writer.close()


def make_table(rng: np.random.Generator, first: int, rows: int, width: int) -> pa.Table:
    values = pa.array(rng.standard_normal(rows * width, np.float32))
    vectors = pa.ListArray.from_arrays(pa.array(np.arange(rows + 1) * width, pa.int32()), values)
    cells = pa.ListArray.from_arrays(pa.array(np.arange(rows + 1), pa.int32()), vectors)
    ids = pa.array([f"{first + row:011d}" for row in range(rows)])
    return pa.table({"id": ids, "video_audio_embedding": cells})


def prepare(settings: Job) -> Run:
    path, width = settings["path"], settings["width"]
    if not Path(path).exists():
        make_vectors(path, settings["rows"], width)
    rng = np.random.default_rng(SEED + 1)
    table = make_table(rng, 10**10, settings["queries"], width)
    base, queries = Dataset.from_file(path), Dataset(table)

    def search(rows: int) -> Job:
        return measure(lambda: nearest(queries, base.select(range(rows)), k=settings["k"], device="cpu"))

    def find_rows(rows: int) -> Job:
        return measure(lambda: find(base.select(range(rows)), like=0, k=settings["k"]))

    def measure(ask: Callable[[], Dataset]) -> Job:
        before = anonymous_mb()
        with sample_peak(anonymous_mb) as peak:
            started, cpu_started = time.perf_counter(), time.process_time()
            near = ask()
            taken = {
                "seconds": time.perf_counter() - started,
                "cpu_seconds": time.process_time() - cpu_started,
            }
        return {**taken, "found": len(near), "grown_mb": peak[0] - before}

    def multiply(rows: int) -> Job:
        """Both sides as tensors that are there, blocks into one buffer: nothing is read, nothing kept."""
        left = torch.randn(settings["queries"], width)
        right = torch.randn(BASE_ROWS_AT_ONCE, width)
        product = torch.empty(len(left), len(right))
        torch.matmul(left, right.T, out=product)
        started, cpu_started = time.perf_counter(), time.process_time()
        for start in range(0, rows, BASE_ROWS_AT_ONCE):
            size = min(BASE_ROWS_AT_ONCE, rows - start)
            torch.matmul(left, right[:size].T, out=product[:, :size] if size < len(right) else product)
        return {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - cpu_started}

    ways = {"search": search, "find": find_rows, "multiply": multiply}
    if settings["queries"] > 1:
        search(min(settings["rows"], BASE_ROWS_AT_ONCE))
    else:
        find_rows(settings["rows"])  # reads the file once
    return lambda job: ways[job["way"]](job["rows"])


if __name__ == "__main__":
    serve(prepare)
