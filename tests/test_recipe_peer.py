"""Recipes with filters: the very bytes that py-data-juicer 1.6.1 writes for the same files."""

from pathlib import Path

import pytest
from peer_recipes import RECIPES, make_materials, read_kept, read_outputs, write_recipe

from hf_audio_tagger.recipes import run_recipe


@pytest.fixture(scope="module")
def materials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("peer")
    make_materials(folder)
    return folder


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_gives_the_peers_bytes(materials: Path, name: str) -> None:
    run_recipe(write_recipe(materials, name, f"ours_{name}"), lambda line: None)
    assert read_outputs(materials, f"ours_{name}") == read_kept()[name]
