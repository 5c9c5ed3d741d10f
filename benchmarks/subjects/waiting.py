"""A model that only waits, as many cores would compute: what is left of their time is the package's own.

A window takes a core some milliseconds, and the cores of a process share a batch evenly. A clip is one
window, as for AST, or several of a batch, as for YAMNet; it has so few samples that decoding costs nothing.
"""

import time
from collections.abc import Hashable, Sequence
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from datasets import Dataset

from benchmarks.subjects.serving import Job, Run, cpu_seconds, serve
from hf_audio_tagger import Tagger, build_tagger, memo, tag_dataset
from hf_audio_tagger.models import ModelOutput, ModelSpec, registry
from hf_audio_tagger.models.family import Family, ModelFiles
from hf_audio_tagger.process import Worker, set_worker

RATE_HZ, WINDOW_SAMPLES, FRAME_SAMPLES = 1_000, 50, 10
UNIT_SAMPLES = 10 * RATE_HZ  # of which `batch_size` counts
LABEL_COUNT = 527


class WaitingModel:
    """An `AudioModel` with the classes of AudioSet and random logits, always the same ones."""

    labels: tuple[str, ...] = tuple(f"Sound {number}" for number in range(LABEL_COUNT))
    multi_label = True
    rate_hz = RATE_HZ
    window_samples, frame_samples = WINDOW_SAMPLES, FRAME_SAMPLES
    default_windows = "all"
    embedding_size: int | None = None
    device = torch.device("cpu")

    def __init__(self, seconds_a_window: float, windows_a_clip: int) -> None:
        self.seconds_a_window = seconds_a_window
        self.hop_samples = UNIT_SAMPLES // windows_a_clip  # the taggers' own hop is smaller
        self.logits = np.random.default_rng(0).standard_normal((4096, LABEL_COUNT), np.float32)

    def predict(self, windows: Sequence[np.ndarray]) -> ModelOutput:
        time.sleep(len(windows) * self.seconds_a_window)
        return ModelOutput(self.logits[: len(windows)], None)


class Waiting(Family):
    """Models by name: "waiting/<seconds a window, on all cores of a process>/<windows a clip>"."""

    name = "waiting"

    def recognizes(self, model: str) -> bool:
        return model.startswith(f"{self.name}/")

    def load(self, spec: ModelSpec, device: torch.device) -> WaitingModel:
        _, seconds, windows = spec.model.split("/")
        return WaitingModel(float(seconds), int(windows))

    def read_labels(self, spec: ModelSpec) -> tuple[str, ...]:
        return WaitingModel.labels

    def identify(self, spec: ModelSpec) -> tuple[Hashable, ...]:
        return (spec.model,)

    def find_files(self, spec: ModelSpec) -> ModelFiles:
        return ModelFiles(is_ready=True, detail="nothing to load")


def make_cells(count: int, windows: int) -> list[dict[str, object]]:
    """Clips of which no two have a window in common: what is equal is scored once."""
    noise = np.random.default_rng(count).standard_normal((count, windows * WINDOW_SAMPLES), np.float32) / 10
    return [{"array": samples, "sampling_rate": RATE_HZ} for samples in noise]


def make_tagger(job: Job, cores: int) -> Tagger:
    windows, seconds = job["windows"], job["ms"] / 1000 / cores
    settings: Job = {"hop_seconds": WINDOW_SAMPLES / RATE_HZ} if windows > 1 else {"windows": "first"}
    return build_tagger(f"waiting/{seconds}/{windows}", device="cpu", batch_size=job["batch"], **settings)


def run_here(job: Job) -> Job:
    """One process that has `cores`."""
    set_worker(Worker(cores=job["cores"]))
    tagger = make_tagger(job, job["cores"])
    cells = make_cells(job["clips"], job["windows"])
    tagger.classify(make_cells(2, job["windows"]))  # loads the model
    started, cpu_before, thread_before = time.perf_counter(), cpu_seconds(), time.thread_time()
    tagger.classify(cells)
    return {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": cpu_seconds() - cpu_before,
        "thread_seconds": time.thread_time() - thread_before,
    }


def run_workers(job: Job) -> Job:
    """A worker for each of `cores`, with as many clips for each."""
    rows = Dataset.from_dict({"audio": make_cells(job["clips"], job["windows"])})
    with TemporaryDirectory() as folder:
        started, cpu_before = time.perf_counter(), cpu_seconds()
        tag_dataset(
            rows,
            Path(folder) / "run",
            make_tagger(job, 1),
            num_proc=job["cores"],
            shard_rows=ceil(job["clips"] / job["cores"]),
        )
        return {"seconds": time.perf_counter() - started, "cpu_seconds": cpu_seconds() - cpu_before}


def prepare(_: Job) -> Run:
    registry.FAMILIES = (Waiting(), *registry.FAMILIES)  # forked workers have it, too

    def run(job: Job) -> Job:
        memo.clear()
        return run_workers(job) if job["in_workers"] else run_here(job)

    return run


if __name__ == "__main__":
    serve(prepare)
