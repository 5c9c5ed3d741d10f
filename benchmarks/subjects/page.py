"""Writes a report of made-up tags, and times its page in a headless Chromium."""

import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from benchmarks.subjects.serving import Job, Run, serve
from hf_audio_tagger import ontology, report

SEED = 20_271
TOP = 4  # labels of a clip
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MOST_MS = 120_000
# What a reader does, as the page's own state; each name is a row of the table.
FILTERS = {
    "Vehicle": "{sounds: [report.findSound('Vehicle')]}",
    "Vehicle in any place": "{anywhere: true}",
    "by that sound's score": "{sort: 'score', descending: true}",
    "score from 0.5": "{low: 0.5}",
    "none": "{sounds: [], anywhere: false, low: 0}",
    "text": "{text: 'take 0123'}",
    "text of all clips": "{text: 'mp4'}",
    "order by name": "{text: '', sort: 'name', descending: false}",
    "failed": "{kind: 'failed'}",
}


def make_tagged(clips: int) -> Dataset:
    """Tags, top labels and segments of clips that do not exist."""
    random = np.random.default_rng(SEED)
    labels = [category.name for category in ontology.audioset_classes()]
    picks = np.minimum(random.zipf(1.35, (clips, TOP)) - 1, len(labels) - 1)
    scores = -np.sort(-random.beta(2, 3, (clips, TOP)), axis=1)
    states = random.choice(["tagged", "empty", "failed"], clips, p=[0.9, 0.06, 0.04])
    seconds = random.gamma(3, 6, clips) + 1
    rows: dict[str, list[Any]] = {
        "video": [f"/data/walks/{number % 97:02d}/take {number:07d}.mp4" for number in range(clips)],
        "video_duration": seconds.tolist(),
        "video_audio_tags": [],
        "video_audio_top": [],
        "video_audio_segments": [],
        "video_audio_error": [],
    }
    for number in range(clips):
        found = {
            labels[pick]: float(score) for pick, score in zip(picks[number], scores[number], strict=True)
        }
        top = [{"label": label, "score": score} for label, score in found.items()]
        edges = np.linspace(0, seconds[number], len(top) + 1).tolist()
        segments = [{"start": a, "end": b, **one} for a, b, one in zip(edges, edges[1:], top, strict=False)]
        is_tagged, has_failed = states[number] == "tagged", states[number] == "failed"
        rows["video_audio_tags"].append([next(iter(found)) if is_tagged else None if has_failed else "EMPTY"])
        rows["video_audio_top"].append([top if is_tagged else None])
        rows["video_audio_segments"].append([segments if is_tagged else None])
        rows["video_audio_error"].append(["it cannot be decoded" if has_failed else None])
    return Dataset.from_dict(rows)


def make_report(folder: Path, clips: int) -> Job:
    tagged = make_tagged(clips)
    started, cpu_started = time.perf_counter(), time.process_time()
    index = report(tagged, folder, media="none", posters=0, neighbors=0)
    taken = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - cpu_started}
    code = sum(path.stat().st_size for path in [index, *(folder / "web").iterdir()])
    return {**taken, "code_kb": round(code / 1000, 1)}


def open_report(folder: Path) -> Job:
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError as error:
        raise RuntimeError("playwright is not installed") from error
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        raise RuntimeError("there is no Chromium on this machine")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(MOST_MS)
        begun = time.perf_counter()
        page.goto((folder / "index.html").absolute().as_uri())
        page.wait_for_selector(".clip .name:not(:text-is('…'))")
        first_seconds = time.perf_counter() - begun
        page.wait_for_selector("html[data-ready]")
        ready_seconds = time.perf_counter() - begun
        page.evaluate("report.loadTexts()")
        filters = {name: time_filter(page, values) for name, values in FILTERS.items()}
        browser.close()
    return {"first_seconds": first_seconds, "ready_seconds": ready_seconds, "filters": filters}


def time_filter(page: Any, values: str) -> float:
    """Milliseconds until list, bars and numbers are new; the page measures them itself."""
    page.evaluate("performance.clearMeasures()")
    page.evaluate(f"report.change({values})")
    taken: float = page.evaluate("performance.getEntriesByName('filter')[0].duration")
    return taken


def prepare(settings: Job) -> Run:
    folder, clips = Path(settings["folder"]), settings["clips"]
    return lambda job: make_report(folder, clips) if job["way"] == "make" else open_report(folder)


if __name__ == "__main__":
    serve(prepare)
