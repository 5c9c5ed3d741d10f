"""Recipes with filters: the very bytes that py-data-juicer 1.6.1 writes for the same files."""

import os
import subprocess
from pathlib import Path

import pytest
from peer_recipes import make_kept_materials, read_kept, run_peer

from benchmarks.peer_environment import PYTHON_VARIABLE
from benchmarks.recipes import RECIPES, WITH_MOTION, WITH_TEXT, read_outputs, write_recipe
from hf_audio_tagger.recipes import run_recipe


@pytest.fixture(scope="module")
def materials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("peer")
    make_kept_materials(folder)
    return folder


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_gives_the_peers_bytes(materials: Path, name: str) -> None:
    if name in WITH_MOTION:
        pytest.importorskip("cv2", reason="OpenCV, the extra `video`, is not installed")
    check_bytes(materials, name)


@pytest.mark.campaign
@pytest.mark.usefixtures("easyocr_weights")
@pytest.mark.parametrize("name", WITH_TEXT)
def test_areas_of_text_by_easyocr_give_the_peers_bytes(materials: Path, name: str) -> None:
    check_bytes(materials, name)


def check_bytes(materials: Path, name: str) -> None:
    run_recipe(write_recipe(materials, name, f"ours_{name}"), lambda line: None)
    assert read_outputs(materials, f"ours_{name}") == read_kept()[name] != {}


@pytest.mark.campaign
@pytest.mark.timeout(1800)
def test_what_is_kept_is_what_the_peer_writes_here(materials: Path) -> None:
    """Where an environment with the peer is named, as for the benchmarks."""
    python = os.environ.get(PYTHON_VARIABLE) or pytest.skip(
        f"{PYTHON_VARIABLE} names no Python with the peer"
    )
    has_easyocr = subprocess.run([python, "-c", "import easyocr"], capture_output=True, check=False)
    names = [*RECIPES, *(WITH_TEXT if has_easyocr.returncode == 0 else ())]
    assert run_peer(python, materials, names) == {name: read_kept()[name] for name in names}
