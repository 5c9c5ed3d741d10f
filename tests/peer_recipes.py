"""What py-data-juicer 1.6.1 writes for small recipes, kept in `peer_recipes.jsonl`, and how it was made.

    python -m tests.peer_recipes PYTHON   # of an environment that has the peer

runs the recipes with it and writes that file anew. `FOLDER` stands for the folder of the media.
"""

import json
import sys
import tempfile
import wave
from pathlib import Path
from typing import Any

import av
import numpy as np
import yaml

from benchmarks.child import Child, Subject
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.demo.videos import write_video

KEPT = Path(__file__).parent / "peer_recipes.jsonl"
FOLDER = "FOLDER"
CHECKPOINT = Path(__file__).parents[1] / "hf_audio_tagger" / "demo" / "checkpoint"
OUTPUTS = ("res.jsonl", "res_stats.jsonl", "duration.jsonl", "ratio.jsonl")

MAPPER = {"video_tagging_from_audio_mapper": {"hf_ast": str(CHECKPOINT), "accelerator": "cpu"}}

# Sound or None, seconds of the picture, its size.
VIDEOS: dict[str, tuple[str | None, float, tuple[int, int]]] = {
    "siren": ("Siren", 1.5, (64, 48)),
    "noise": ("White noise", 2.5, (128, 48)),
    "mute": (None, 4.0, (48, 128)),
    "music": ("Music", 3.0, (46, 20)),
}
CONTAINERS = {"third.mp4": "mpeg4", "third.mkv": "mpeg4", "third.avi": "mpeg4", "third.webm": "vp8"}
AUDIOS = {"short": (8_000, 10_667), "long": (22_050, 51_234), "exact": (16_000, 32_000)}  # Hz, samples

ROWS: list[dict[str, Any]] = [
    {"text": "one", "videos": ["siren.mp4"], "audios": ["short.wav"]},
    {"text": "two", "videos": ["noise.mp4", "mute.mp4"], "audios": ["long.wav", "short.wav"]},
    {"text": "none", "videos": [], "audios": []},
    {"text": "null", "videos": None, "audios": None},
    {"text": "same", "videos": ["music.mp4", "siren.mp4", "music.mp4"], "audios": ["exact.wav", "exact.wav"]},
    {"text": "mute", "videos": ["mute.mp4"], "audios": ["long.wav"]},
    {"text": "wide", "videos": ["music.mp4"], "audios": ["exact.wav"]},
    {"text": "third", "videos": ["third.mp4"], "audios": []},
]


def duration(**options: Any) -> dict[str, Any]:
    return {"video_duration_filter": options}


def resolution(**options: Any) -> dict[str, Any]:
    return {"video_resolution_filter": options}


def ratio(**options: Any) -> dict[str, Any]:
    return {"video_aspect_ratio_filter": options}


def audio_duration(**options: Any) -> dict[str, Any]:
    return {"audio_duration_filter": options}


def audio_size(**options: Any) -> dict[str, Any]:
    return {"audio_size_filter": options}


KEEP = {"keep_stats_in_res_ds": True}
RECIPES: dict[str, dict[str, Any]] = {
    "defaults": {"process": [duration(), ratio(), MAPPER]},
    "any": {"process": [duration(min_duration=2), resolution(max_width=100), MAPPER]},
    "all": {
        "process": [
            duration(min_duration=1.6, any_or_all="all"),
            resolution(min_height=30, any_or_all="all"),
            MAPPER,
        ],
        **KEEP,
    },
    "reversed": {
        "process": [
            duration(min_duration=2.5, max_duration=3, reversed_range=True),
            MAPPER,
            resolution(max_height=100),
        ],
        **KEEP,
    },
    "open": {
        "process": [
            MAPPER,
            duration(min_duration=1.5, min_closed_interval=False),
            ratio(max_ratio="8:3", max_closed_interval=False),
        ],
        **KEEP,
    },
    "open_reversed": {
        "process": [
            duration(min_duration=1.5, max_duration=4, reversed_range=True, max_closed_interval=False),
            resolution(min_width=46, max_width=128, reversed_range=True, min_closed_interval=False),
            MAPPER,
        ]
    },
    "backend": {"process": [duration(video_backend="av", max_duration=3.9), MAPPER, ratio(min_ratio="4/3")]},
    "exported": {
        "process": [
            duration(max_duration=3, stats_export_path="FOLDER/out/duration.jsonl"),
            MAPPER,
            ratio(min_ratio="1", stats_export_path="FOLDER/out/ratio.jsonl"),
        ]
    },
    "audio": {"process": [audio_duration(min_duration=2), audio_size(max_size="60KB"), MAPPER], **KEEP},
    "audio_all": {
        "process": [
            audio_size(min_size="60000", any_or_all="all"),
            MAPPER,
            audio_duration(min_duration=2, min_closed_interval=False, any_or_all="all"),
        ]
    },
    "containers": {
        "dataset_path": f"{FOLDER}/containers.jsonl",
        "process": [duration(min_duration=2.333333), ratio(min_ratio="40:30"), resolution()],
        **KEEP,
    },
    "nothing_left": {
        "process": [
            duration(min_duration=100),
            audio_duration(max_duration=0, any_or_all="all"),
            resolution(max_width=0, any_or_all="all"),
            MAPPER,
        ],
        **KEEP,
    },
}


def make_materials(folder: Path) -> None:
    for seed, (name, (label, seconds, size)) in enumerate(VIDEOS.items()):
        waveform = None if label is None else synthesize(label, seconds, 44_100, 7_000 + seed)
        write_video(folder / f"{name}.mp4", waveform, 44_100, size=size, seconds=seconds, picture_seed=seed)
    for name, codec in CONTAINERS.items():
        write_seven_pictures(folder / name, codec)
    for name, (rate_hz, samples) in AUDIOS.items():
        with wave.open(str(folder / f"{name}.wav"), "wb") as file:
            file.setparams((1, 2, rate_hz, samples, "NONE", ""))
            file.writeframes(b"\1\0" * samples)
    containers = [{"text": name, "videos": [name]} for name in CONTAINERS]
    for name, rows in {"samples": ROWS, "containers": containers}.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_seven_pictures(path: Path, codec: str) -> None:
    """Seven pictures of 40 x 30, three a second: durations and ratios that no decimal number states."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=3)
        stream.width, stream.height, stream.pix_fmt = 40, 30, "yuv420p"
        for index in range(7):
            picture = av.VideoFrame.from_ndarray(np.full((30, 40, 3), 30 * index, np.uint8), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def write_recipe(folder: Path, name: str, out: str = "out") -> Path:
    """The recipe, whose outputs go to the folder `out`."""
    paths = {"dataset_path": f"{FOLDER}/samples.jsonl", "export_path": f"{FOLDER}/out/res.jsonl"}
    text = yaml.safe_dump({**paths, "np": 1, **RECIPES[name]})
    path = folder / f"{name}.yaml"
    path.write_text(text.replace(f"{FOLDER}/out", f"{folder}/{out}").replace(FOLDER, str(folder)))
    return path


def read_outputs(folder: Path, out: str = "out") -> dict[str, str]:
    """The files that a run wrote, by name, without the name of the folder."""
    files = {name: folder / out / name for name in OUTPUTS}
    return {
        name: file.read_text("utf-8").replace(str(folder), FOLDER)
        for name, file in files.items()
        if file.exists()
    }


def read_kept() -> dict[str, dict[str, str]]:
    """What the peer wrote for each recipe: its files by name."""
    kept = map(json.loads, KEPT.read_text("utf-8").splitlines())
    return {files.pop("recipe"): files for files in kept}


def run_peer(python: str, folder: Path, names: list[str]) -> dict[str, dict[str, str]]:
    """What the peer writes for each recipe."""
    recipes = [str(write_recipe(folder, name, f"peer_{name}")) for name in names]
    child = Child(Subject("recipes_peer", {}, python), folder / "peer.log")
    try:
        child.ask({"recipes": recipes})
    finally:
        child.close()
    return {name: read_outputs(folder, f"peer_{name}") for name in names}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        make_materials(Path(place))
        written = run_peer(sys.argv[1], Path(place), list(RECIPES))
    KEPT.write_text("".join(json.dumps({"recipe": name, **files}) + "\n" for name, files in written.items()))
