"""An index of many rows: reading, opening again, writing, weights; which of many files are in a folder."""

import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow.compute
import pyarrow.json  # noqa: F401  # libraries are no part of what a job takes

from benchmarks.subjects.serving import Job, Run, anonymous_mb, cpu_seconds, sample_peak, serve
from hf_audio_tagger import ontology, read_index, sample_weights, write_index
from hf_audio_tagger.index.checking import Listing

SEED = 20_261
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
ROWS_IN_FOLDER = 35_000
MISSING = 1_000  # paths beyond those that are there


def make_index(path: str, rows: int) -> None:
    """Rows as audioset-dl writes them."""
    draw, mids = random.Random(SEED), [one.id for one in ontology.audioset_classes()]
    part = Path(f"{path}.part")
    with part.open("w") as file:
        for number in range(rows):
            begin, folder = draw.randrange(300), number // ROWS_IN_FOLDER * ROWS_IN_FOLDER
            row = {
                "dir": f"all_{folder}_{folder + ROWS_IN_FOLDER}",
                "aclip": ["p0.mp3"],
                "frame": [f"p0.4_{still:02}.jpg" for still in range(1, 5)],
                "aclip_128": "p0.npz",
                "frame_224": "p0.npz",
                "id": "".join(draw.choices(LETTERS, k=11)),
                "bos": f"{begin:.3f}",
                "eos": f"{begin + 10:.3f}",
                "labels": draw.sample(mids, draw.randint(1, 3)),
            }
            file.write(json.dumps(row) + "\n")
    part.rename(path)


def make_folder(path: str, files: int) -> None:
    folder = Path(path)
    folder.mkdir(exist_ok=True)
    for number in range(files):
        (folder / f"{number:011d}.p0.mp3").touch()


def prepare(settings: Job) -> Run:
    path, folder = settings["path"], settings["folder"]
    datasets.config.HF_DATASETS_CACHE = Path(settings["cache"])
    if not Path(path).exists():
        make_index(path, settings["rows"])
    if not Path(folder).exists():
        make_folder(folder, settings["files"])
    asked = [f"{folder}/{number:011d}.p0.mp3" for number in range(settings["files"] + MISSING)]

    def list_folder() -> int:
        listing = Listing()
        return sum(listing.find(one).status == "ok" for one in asked)

    ways: dict[str, Callable[[], Any]] = {
        "read": lambda: len(read_index(path)),
        "write": lambda: write_index(read_index(path), f"{path}.again"),
        "weights": lambda: len(sample_weights(read_index(path))),
        "list": list_folder,
    }

    def run(job: Job) -> Job:
        before = anonymous_mb()
        with sample_peak(anonymous_mb) as peak:
            started, cpu_before = time.perf_counter(), cpu_seconds()
            result = ways[job["way"]]()
            cpu, seconds = cpu_seconds() - cpu_before, time.perf_counter() - started
        return {"seconds": seconds, "cpu_seconds": cpu, "grown_mb": peak[0] - before, "result": result}

    return run


if __name__ == "__main__":
    serve(prepare)
