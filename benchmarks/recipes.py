"""Recipes of filters and the mapper, in variants of their options, for this package and for the peer.

Nothing heavy is imported before media are made. `FOLDER` stands for the folder of media and samples.
"""

from pathlib import Path
from typing import Any

import yaml

FOLDER = "FOLDER"
DETECTOR = "detector"  # an option that the peer lacks
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


def motion(**options: Any) -> dict[str, Any]:
    return {"video_motion_score_filter": options}


def text_area(**options: Any) -> dict[str, Any]:
    return {"video_ocr_area_ratio_filter": {DETECTOR: "easyocr", **options}}


KEEP = {"keep_stats_in_res_ds": True}
SMALL: dict[str, dict[str, Any]] = {
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
        "process": [duration(min_duration=2.333333), ratio(min_ratio="13:10"), resolution()],
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


SPEEDS = {"still": 0, "slow": 1, "fast": 5}  # pixels a frame
MOTION_ROWS: list[dict[str, Any]] = [
    {"text": "still", "videos": ["still.mp4"]},
    {"text": "fast", "videos": ["fast.mp4"]},
    {"text": "both", "videos": ["slow.mp4", "still.mp4"]},
    {"text": "none", "videos": []},
    {"text": "slow", "videos": ["slow.mp4"]},
]


def recipe_of_motion(*process: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"dataset_path": f"{FOLDER}/motion.jsonl", "process": list(process), **keys}


WITH_MOTION: dict[str, dict[str, Any]] = {
    "motion": recipe_of_motion(motion(), duration(), MAPPER),
    "motion_all": recipe_of_motion(motion(any_or_all="all"), MAPPER, resolution(), **KEEP),
    "motion_reversed": recipe_of_motion(
        duration(), motion(min_score=0.1, max_score=1.2, reversed_range=True), MAPPER, **KEEP
    ),
    "motion_sampling": recipe_of_motion(motion(sampling_fps=6), ratio(), MAPPER, **KEEP),
    "motion_every_frame": recipe_of_motion(MAPPER, motion(sampling_fps=100, max_score=2), duration(), **KEEP),
    "motion_relative": recipe_of_motion(motion(relative=True, min_score=0.01), ratio(), MAPPER, **KEEP),
    "motion_size": recipe_of_motion(motion(size=32), MAPPER, duration(max_duration=2.1), **KEEP),
    "motion_sizes": recipe_of_motion(
        motion(size=[40, 56], divisible=8, min_score=0), resolution(min_width=64), MAPPER, **KEEP
    ),
    "motion_max_size": recipe_of_motion(
        motion(max_size=50, min_closed_interval=False), ratio(), MAPPER, **KEEP
    ),
    "motion_exported": recipe_of_motion(
        motion(min_score=0.5, stats_export_path="FOLDER/out/ratio.jsonl"),
        duration(stats_export_path="FOLDER/out/duration.jsonl"),
        MAPPER,
    ),
}

RECIPES = {**SMALL, **WITH_MOTION}

LINES = {"blank": 0, "caption": 1, "credits": 3}  # of text in each frame
TEXT_ROWS: list[dict[str, Any]] = [
    {"text": "blank", "videos": ["blank.mp4"]},
    {"text": "credits", "videos": ["credits.mp4"]},
    {"text": "both", "videos": ["caption.mp4", "credits.mp4"]},
    {"text": "none", "videos": []},
]


def recipe_of_text(*process: dict[str, Any]) -> dict[str, Any]:
    return {"dataset_path": f"{FOLDER}/text.jsonl", "process": list(process), **KEEP}


WITH_TEXT: dict[str, dict[str, Any]] = {  # needs EasyOCR on both sides
    "text": recipe_of_text(text_area(max_area_ratio=0.2), duration(), MAPPER),
}


def write_recipe(folder: Path, name: str, out: str = "out", *, for_peer: bool = False) -> Path:
    """The recipe, whose outputs go to the folder `out`."""
    paths = {"dataset_path": f"{FOLDER}/samples.jsonl", "export_path": f"{FOLDER}/out/res.jsonl"}
    recipe = {**RECIPES, **WITH_TEXT}[name]
    steps = [next(iter(step.items())) for step in recipe["process"]]
    lacked = {DETECTOR} if for_peer else set()
    process = [{step: {key: options[key] for key in options.keys() - lacked}} for step, options in steps]
    text = yaml.safe_dump({**paths, "np": 1, **recipe, "process": process})
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
