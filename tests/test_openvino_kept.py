"""Converted networks in the cache folder: what the next start needs, and what is made again."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hf_audio_tagger import ModelError
from hf_audio_tagger.models import ModelSpec, load
from hf_audio_tagger.models.engines import conversion, kept_networks

pytest.importorskip("openvino")
CPU = torch.device("cpu")
SOUNDS = [np.random.default_rng(seed).normal(0, 0.1, 16_000).astype(np.float32) for seed in range(3)]


def save_ast(folder: Path, seed: int = 0, weights: Callable[[str], bool] = lambda name: True) -> Path:
    from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

    torch.manual_seed(seed)
    config = ASTConfig(  # type: ignore[call-arg]  # an argument of every config
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_length=64,
        num_mel_bins=32,
        num_labels=5,
    )
    model = ASTForAudioClassification(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    kept = {name: value for name, value in model.state_dict().items() if weights(name)}
    model.save_pretrained(folder, state_dict=kept)
    ASTFeatureExtractor(max_length=64, num_mel_bins=32).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_ast(tmp_path_factory.mktemp("ast"))


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """One item for each conversion in this process."""
    done = []

    def convert(source: conversion.NetworkSource, is_int8: bool) -> Any:
        done.append(is_int8)
        return conversion.convert(source, is_int8)

    monkeypatch.setattr(kept_networks, "convert", convert)
    return done


def hear(folder: Path | str, dtype: str = "float32", **settings: Any) -> np.ndarray:
    spec = ModelSpec(str(folder), engine="openvino", dtype=dtype, **settings)
    return load(spec, CPU).predict(SOUNDS).logits


def list_entries(cache: Path) -> list[Path]:
    return sorted(path for path in (cache / "openvino").iterdir() if not path.name.startswith("."))


def test_a_second_start_needs_no_weights(
    folder: Path, tmp_path: Path, weights_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = hear(folder)
    assert np.abs(first - load(ModelSpec(str(folder)), CPU).predict(SOUNDS).logits).max() < 1e-4
    monkeypatch.setattr("transformers.AutoModelForAudioClassification.from_pretrained", None)
    assert np.array_equal(hear(folder), first)
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert np.array_equal(hear(copy), first)  # known by its content
    assert len(list_entries(weights_cache)) == 1


@pytest.mark.campaign
@pytest.mark.usefixtures("weights_cache")
def test_other_weights_are_another_network(folder: Path, tmp_path: Path, conversions: list[bool]) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    first = hear(copy)
    save_ast(copy, seed=1)
    assert np.abs(hear(copy) - first).max() > 0.1
    assert conversions == [False, False]
    hear(copy, "bfloat16")  # is computed from the same file
    assert conversions == [False, False]
    hear(copy, "int8")
    assert conversions == [False, False, True]


@pytest.mark.campaign
@pytest.mark.usefixtures("weights_cache")
def test_other_code_makes_the_network_again(
    folder: Path, tmp_path: Path, conversions: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = [path for path in kept_networks.CODE if path.name == "ast.py"]
    changed = Path(shutil.copy(code, tmp_path))
    others = [path for path in kept_networks.CODE if path != code]
    for path in (code, changed):
        monkeypatch.setattr(kept_networks, "CODE", (path, *others))
        hear(folder)
    assert len(conversions) == 1
    changed.write_text(changed.read_text() + "# changed")
    hear(folder)
    assert len(conversions) == 2


@pytest.mark.campaign
def test_what_another_process_removes_meanwhile_is_no_failure(
    folder: Path, weights_cache: Path, conversions: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    def list_removed(_: Path) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(kept_networks, "list_oldest", list_removed)
    hear(folder)
    assert conversions == [False]
    assert len(list_entries(weights_cache)) == 1


@pytest.mark.campaign
@pytest.mark.parametrize("damage", ["flipped", "cut"])
def test_a_damaged_file_is_made_again(
    damage: str, folder: Path, weights_cache: Path, conversions: list[bool]
) -> None:
    first = hear(folder)
    (entry,) = list_entries(weights_cache)
    file = entry / "network.bin"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0x40
    file.unlink()  # the network that was read maps it
    file.write_bytes(data if damage == "flipped" else data[:-100])
    assert np.array_equal(hear(folder), first)
    assert len(conversions) == 2
    assert np.array_equal(hear(folder), first)
    assert len(conversions) == 2
    assert list_entries(weights_cache) == [entry]


@pytest.mark.campaign
@pytest.mark.parametrize("problem", ["no folder", "full disk"])
def test_what_cannot_be_kept_is_computed(
    problem: str, folder: Path, tmp_path: Path, weights_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import openvino

    def write(*_: Any, **__: Any) -> None:
        raise RuntimeError("basic_ios::clear: iostream error")  # what openvino says of a full disk

    if problem == "full disk":
        monkeypatch.setattr(openvino, "save_model", write)
    else:
        (tmp_path / "file").touch()
        monkeypatch.setenv("HF_AUDIO_TAGGER_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="not kept for the next start"):
        logits = hear(folder)
    assert np.abs(logits - load(ModelSpec(str(folder)), CPU).predict(SOUNDS).logits).max() < 1e-4
    assert not list(weights_cache.rglob("*.*"))


@pytest.mark.campaign
def test_the_most_recently_used_are_kept(
    folder: Path, tmp_path: Path, weights_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_networks, "KEPT_NETWORKS", 2)
    hear(folder)
    (oldest,) = list_entries(weights_cache)
    hear(folder, "int8")
    (other,) = set(list_entries(weights_cache)) - {oldest}
    for age, entry in enumerate((other, oldest)):
        os.utime(entry, (age, age))
    hear(folder, "int8")  # is now the newest
    hear(save_ast(tmp_path / "other", seed=1))
    left = list_entries(weights_cache)
    assert other in left
    assert oldest not in left
    assert len(left) == 2


@pytest.mark.campaign
def test_a_model_with_code_of_its_own_is_not_kept(folder: Path, weights_cache: Path) -> None:
    hear(folder, trust_remote_code=True)
    assert not (weights_cache / "openvino").exists()


@pytest.mark.campaign
def test_an_id_of_the_hub_counts_by_its_commit(
    folder: Path,
    tmp_path: Path,
    conversions: list[bool],
    monkeypatch: pytest.MonkeyPatch,
    weights_cache: Path,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    repo = tmp_path / "hub" / "models--me--ast"
    (repo / "refs").mkdir(parents=True)
    outputs = []
    for seed, commit in enumerate(("0" * 40, "1" * 40)):
        save_ast(repo / "snapshots" / commit, seed=seed)
        (repo / "refs" / "main").write_text(commit)
        outputs.append(hear("me/ast"))
        assert np.array_equal(hear("me/ast"), outputs[-1])
    assert len(conversions) == 2
    assert np.abs(outputs[0] - outputs[1]).max() > 0.1
    assert np.array_equal(hear("me/ast", revision="0" * 40), outputs[0])
    assert len(conversions) == len(list_entries(weights_cache)) == 2


def test_weights_that_are_missing_are_told(tmp_path: Path, weights_cache: Path) -> None:
    folder = save_ast(tmp_path / "ast", weights=lambda name: not name.startswith("classifier"))
    with pytest.raises(ModelError, match="no trained weights for classifier"):
        hear(folder)
    assert not list_entries(weights_cache)


@pytest.mark.campaign
def test_a_large_network_is_converted_by_another_process(
    folder: Path,
    tmp_path: Path,
    weights_cache: Path,
    conversions: list[bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = hear(folder)
    shutil.rmtree(weights_cache)
    monkeypatch.setattr(kept_networks, "LARGE_BYTES", 0)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("print('Welcome to this machine')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"), prepend=os.pathsep)
    assert np.array_equal(hear(folder), here)
    assert conversions == [False]
    broken = save_ast(tmp_path / "ast", weights=lambda name: not name.startswith("classifier"))
    with pytest.raises(ModelError, match="no trained weights for classifier"):
        hear(broken)
    assert len(list_entries(weights_cache)) == 1
