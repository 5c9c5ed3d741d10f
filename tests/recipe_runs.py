"""Recipes that tag samples with the packaged checkpoint, and what their runs export."""

import json
import os
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner, Result

from hf_audio_tagger.cli import app
from hf_audio_tagger.recipes import Report, run_recipe

OPERATOR = "video_tagging_from_audio_mapper"
META, STATS = "__dj__meta__", "__dj__stats__"

Rows = list[dict[str, Any]]

CLIPS = {  # of the fixture `clips`
    "siren": "Siren",
    "dial": "Dial tone",
    "noise": "White noise",
    "mute": "EMPTY",
    "broken": "broken",
}
FAILING: Rows = [
    {"videos": ["clips/siren.mp4"], "text": "a"},
    {"videos": ["clips/dial.mp4", "clips/broken.mp4"], "text": "b"},
    {"videos": ["clips/missing.mp4"], "text": "c"},
    {"videos": [None], "text": "d"},
]


def link_clips(folder: Path, clips: dict[str, Path]) -> Path:
    """A folder with a folder `clips` of named videos."""
    (folder / "clips").mkdir()
    for name, label in CLIPS.items():
        os.link(clips[label], folder / f"clips/{name}.mp4")
    return folder


def write_rows(path: Path, rows: Rows) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def write_recipe(folder: Path, options: dict[str, Any] | None = None, **keys: Any) -> Path:
    """A recipe as people write them: YAML, the packaged checkpoint for a model."""
    process = [{OPERATOR: {"hf_ast": "demo", "accelerator": "cpu", **(options or {})}}]
    recipe = {"export_path": str(folder / "out" / "res.jsonl"), "np": 1, "process": process, **keys}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return path


def run_rows(folder: Path, rows: Rows, *, options: dict[str, Any] | None = None, **keys: Any) -> Report:
    """Write samples and a recipe, run it, return the report."""
    path = write_rows(folder / "samples.jsonl", rows)
    recipe = write_recipe(folder, options, **{"dataset_path": str(path), **keys})
    return run_recipe(recipe, lambda line: None, overwrite=True)


def lines(folder: Path, name: str) -> list[str]:
    return (folder / "out" / name).read_text(encoding="utf-8").splitlines()


def tags_of(folder: Path, field: str = "video_audio_tags") -> list[Any]:
    return [json.loads(line)[META].get(field) for line in lines(folder, "res_stats.jsonl")]


def invoke(*arguments: object) -> Result:
    """Run the command. It silences libraries through environment variables, which are reset."""
    before = dict(os.environ)
    try:
        return CliRunner().invoke(app, ["run", *map(str, arguments)])
    finally:
        os.environ.clear()
        os.environ.update(before)
