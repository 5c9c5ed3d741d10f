"""What runs are made on: a few short clips, some of them broken or without sound."""

import json
from pathlib import Path

LABELS = ("Siren", "Sine wave", "White noise", "Clicking", "Dial tone", "Music")
SECONDS, RATE_HZ = 1.0, 16_000


def write_clips(folder: Path, count: int) -> Path:
    """A folder of videos: every ninth broken, every seventh without sound."""
    from hf_audio_tagger.demo.sounds import synthesize
    from hf_audio_tagger.demo.videos import write_video

    folder.mkdir(parents=True)
    for number in range(count):
        path = folder / f"{number:03d}.mp4"
        if number % 9 == 4:
            path.write_bytes(b"this is no video" * 50)
        elif number % 7 == 5:
            write_video(path, None, RATE_HZ)
        else:
            write_video(path, synthesize(LABELS[number % len(LABELS)], SECONDS, RATE_HZ, number), RATE_HZ)
    return folder


def write_rows(path: Path, clips: Path) -> Path:
    """A table that names every clip of a folder."""
    lines = [json.dumps({"video": str(clip)}) for clip in sorted(clips.iterdir())]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_recipe(path: Path, clips: Path, export: Path) -> Path:
    """A recipe that tags every clip of a folder, a sample each."""
    samples = path.with_suffix(".jsonl")
    lines = [json.dumps({"text": "", "videos": [str(clip)]}) for clip in sorted(clips.iterdir())]
    samples.write_text("\n".join(lines) + "\n")
    step = {"video_tagging_from_audio_mapper": {"hf_ast": "demo", "accelerator": "cpu"}}
    # JSON is YAML too.
    path.write_text(
        json.dumps({"dataset_path": str(samples), "export_path": str(export), "np": 1, "process": [step]})
    )
    return path
