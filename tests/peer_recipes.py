"""What py-data-juicer 1.6.1 writes for the recipes of `benchmarks.recipes`, and how it was made.

    python -m tests.peer_recipes PYTHON   # of an environment that has the peer, and EasyOCR with its weights

runs the recipes with it and writes `peer_recipes.jsonl` anew. The clips whose pictures are looked at are kept
in `peer_clips/`, so that no encoder's version changes a number.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.child import Child, Subject
from benchmarks.recipes import LINES, RECIPES, SPEEDS, WITH_TEXT, read_outputs, write_recipe
from benchmarks.subjects.recipe_media import make_materials, write_lines_of_text, write_moving_pictures

KEPT = Path(__file__).parent / "peer_recipes.jsonl"
CLIPS = Path(__file__).parent / "peer_clips"


def make_kept_materials(folder: Path) -> None:
    make_materials(folder)
    for clip in CLIPS.glob("*.mp4"):
        shutil.copy(clip, folder)


def read_kept() -> dict[str, dict[str, str]]:
    """What the peer wrote for each recipe: its files by name."""
    kept = map(json.loads, KEPT.read_text("utf-8").splitlines())
    return {files.pop("recipe"): files for files in kept}


def run_peer(python: str, folder: Path, names: list[str]) -> dict[str, dict[str, str]]:
    """What the peer writes for each recipe."""
    recipes = [str(write_recipe(folder, name, f"peer_{name}", for_peer=True)) for name in names]
    child = Child(Subject("recipes_peer", {}, python), folder / "peer.log")
    try:
        child.ask({"recipes": recipes})
    finally:
        child.close()
    return {name: read_outputs(folder, f"peer_{name}") for name in names}


if __name__ == "__main__":
    CLIPS.mkdir(exist_ok=True)
    for seed, (name, pixels) in enumerate(SPEEDS.items()):
        if not (CLIPS / f"{name}.mp4").exists():
            write_moving_pictures(CLIPS / f"{name}.mp4", pixels, seed)
    for name, lines in LINES.items():
        if not (CLIPS / f"{name}.mp4").exists():
            write_lines_of_text(CLIPS / f"{name}.mp4", lines)
    with tempfile.TemporaryDirectory() as place:
        make_kept_materials(Path(place))
        written = run_peer(sys.argv[1], Path(place), [*RECIPES, *WITH_TEXT])
    KEPT.write_text("".join(json.dumps({"recipe": name, **files}) + "\n" for name, files in written.items()))
